"""Tests of `extauthz/request/headers.py`: the same answer for lines and for their merged form."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.limits import MAX_HEADER_NAME_BYTES, MAX_HEADER_VALUE_BYTES, MAX_HEADERS
from extauthz.model.reason import Reason
from extauthz.model.request import Headers
from extauthz.request.headers import headers_from
from tests.unit.request.refusals import reason_of, refusal_of


def read(lines: list[tuple[str, str]], *, exact: bool) -> tuple[Headers, dict[str, str]]:
    """Return what `headers_from` makes of header lines."""
    names, values = zip(*lines, strict=True) if lines else ((), ())
    return headers_from(names, values, exact=exact)


def test_names_are_folded_and_lines_kept() -> None:
    """Names become lower case, lines of one name stay in order, and whether they are lines is remembered."""
    headers, pseudo = read([("X-A", "1"), ("b", ""), ("x-a", "2"), ("X-a", "3")], exact=True)
    assert headers == Headers({"x-a": ("1", "2", "3"), "b": ("",)}, exact=True)
    assert pseudo == {}


LINES = st.lists(
    st.tuples(
        st.sampled_from([":path", ":method", "x-a", "X-A", "x-b", "host", "Host", "content-type", "authorization"]),
        st.sampled_from(["", "1", "2", "a\tb", "a\x00", "a,b", "é"]),
    ),
    max_size=6,
)


@given(lines=LINES, more=st.sampled_from([0, 70]))
def test_lines_are_told_apart_by_name_and_keep_their_values(lines: list[tuple[str, str]], more: int) -> None:
    """Against a plain reading line by line, also when names come again and when there are many."""
    lines = [*lines, *((f"x-more-{number}", str(number)) for number in range(more))]
    folded: dict[str, tuple[str, ...]] = {}
    for name, value in lines:
        folded[name.lower()] = (*folded.get(name.lower(), ()), value)
    apart = {name: values[0] for name, values in folded.items() if name.startswith(":")}
    once = all(len(values) == 1 for name, values in folded.items() if not name.startswith("x-"))
    commas = any("," in value for name, value in lines if not name.startswith(("x-", ":")))
    if not once or commas or any("\x00" in value for _, value in lines):
        refusal_of(partial(read, lines, exact=True))
        return
    headers, pseudo = read(lines, exact=True)
    assert headers.lines == {name: values for name, values in folded.items() if name not in apart}
    assert list(headers.lines) == [name for name in folded if name not in apart]
    assert pseudo == apart


def test_pseudo_headers_are_taken_out() -> None:
    """Pseudo headers are returned apart and are no headers."""
    headers, pseudo = read([(":path", "/a"), (":protocol", "websocket"), ("a", "b")], exact=False)
    assert headers == Headers({"a": ("b",)}, exact=False)
    assert pseudo == {":path": "/a", ":protocol": "websocket"}


@pytest.mark.parametrize("lines", [[(":status", "200")], [(":", "x")], [(":Path", "/")], [(":path", "/")] * 2])
def test_unknown_or_repeated_pseudo_headers_are_refused(lines: list[tuple[str, str]]) -> None:
    """A pseudo header that is no request's, or that comes twice, is refused."""
    assert refusal_of(lambda: read(lines, exact=True)).inner == "pseudo header"


@pytest.mark.parametrize(
    "name", ["", "a b", "a:b", "a\n", "a\x00", "é", "a(b)", "\u212a", "a" * (MAX_HEADER_NAME_BYTES + 1)]
)
def test_names_must_be_tokens(name: str) -> None:
    """A name that is empty, too long, or holds more than token characters is refused."""
    refusal = refusal_of(lambda: read([(name, "x")], exact=True))
    assert (refusal.reason, refusal.inner) == (Reason.MALFORMED_REQUEST, "header name")


@pytest.mark.parametrize("value", ["a\x00b", "a\rb", "a\nb", "a\r\n b", "\x1b[0m", "\x7f"])
@pytest.mark.parametrize("name", ["x-any", ":path"])
def test_control_characters_are_refused(name: str, value: str) -> None:
    """A NUL, a line break or another control character in a value is refused, also in a pseudo header."""
    assert reason_of(lambda: read([(name, value)], exact=True)) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("value", ["", "a\tb", " a ", "é", "a\u0085b", "a\u2028b", "!"])
def test_other_values_are_kept_as_they_are(value: str) -> None:
    """Tabs and text beyond ASCII are kept unchanged."""
    headers, _ = read([("x-any", value)], exact=True)
    assert headers.all("x-any") == (value,)


@pytest.mark.parametrize(
    "values",
    [
        ("Bearer a", "Bearer b"),
        ("Bearer a", "bearer a"),
        ("Bearer a", "DPoP b"),
        ("dpop a", "BEARER b"),
        ("Bearer a", "Basic YTpi"),
        ("Basic YTpi", "Bearer a"),
        ("Bearer a", ""),
        ("", "Bearer a"),
        ("", ""),
        ("Bearer a", "b"),
        ("Bearer a=b", "c=d"),
        ("Negotiate", "Bearer a"),
        ('Digest username="x", uri="/"', "Bearer a"),
        ('Digest username="x"', 'Digest username="y"'),
        ("Custom abc==", "Custom def=="),
        ("AWS4-HMAC-SHA256 Credential=a/b, Signature=c", "Bearer a"),
    ],
)
@pytest.mark.parametrize("name", ["authorization", "proxy-authorization"])
def test_two_credentials_are_ambiguous_in_both_shapes(name: str, values: tuple[str, ...]) -> None:
    """Two lines are refused, and so is the value that Envoy makes of them by joining."""
    lines = [(name, value) for value in values]
    for shown, exact in ((lines, True), ([(name, ",".join(values))], False)):
        refusal = refusal_of(partial(read, shown, exact=exact))
        assert refusal.reason is Reason.CREDENTIALS_AMBIGUOUS
        # The schemes of ours that were tried, so that each can be told; credentials for a proxy are of another kind.
        tried = {value.partition(" ")[0].lower() for value in values} if name == "authorization" else set()
        assert set(refusal.schemes) == tried & {"bearer", "dpop"}


@pytest.mark.parametrize(
    "value",
    [
        "Bearer a.b.c",
        "Basic YTpi",
        "",
        'Digest username="a, Bearer b", uri="/x,y" , nonce=abc',
        "AWS4-HMAC-SHA256 Credential=AK/20260101/eu/s3/aws4_request, SignedHeaders=host;range, Signature=fe",
    ],
)
def test_one_credential_may_hold_commas_where_its_grammar_does(value: str) -> None:
    """Parameters and quoted strings of one credential hold commas without being two credentials."""
    headers, _ = read([("authorization", value)], exact=False)
    assert headers.all("authorization") == (value,)


SINGLE = {
    "host": ("api.example", "other.example"),
    "content-length": ("5", "5"),
    "content-type": ("application/json", "text/plain"),
    "origin": ("https://a.example", "https://b.example"),
    "access-control-request-method": ("GET", "DELETE"),
    "x-envoy-auth-partial-body": ("false", "true"),
}


@pytest.mark.parametrize(("name", "values"), SINGLE.items(), ids=SINGLE.keys())
def test_headers_that_may_occur_once_do(name: str, values: tuple[str, str]) -> None:
    """Twice is refused in both shapes, once is accepted."""
    for lines, exact in (([(name, value) for value in values], True), ([(name, ",".join(values))], False)):
        refusal = refusal_of(partial(read, lines, exact=exact))
        assert (refusal.reason, refusal.inner) == (Reason.MALFORMED_REQUEST, f"several values of {name}")
    headers, _ = read([(name, values[0])], exact=True)
    assert headers.all(name) == values[:1]


def test_a_comma_in_quotes_is_one_content_type() -> None:
    """A multipart boundary may hold a comma."""
    value = 'multipart/form-data; boundary="a,\\"b"'
    assert read([("content-type", value)], exact=False)[0].all("content-type") == (value,)


@pytest.mark.parametrize("value", ["", "+5", "-1", "5 ", "0x5", "\u0665"])
def test_content_length_is_a_number(value: str) -> None:
    """A length that parsers read differently is refused."""
    assert refusal_of(lambda: read([("content-length", value)], exact=True)).inner == "content-length"


@pytest.mark.parametrize("name", ["accept", "cookie", "x-forwarded-for", "via", "content-encoding"])
def test_lists_may_have_several_lines(name: str) -> None:
    """Headers that are lists are not refused for being lists."""
    headers, _ = read([(name, "a"), (name, "b,c")], exact=True)
    assert headers.all(name) == ("a", "b,c")


@pytest.mark.parametrize(
    "name",
    ["X-HTTP-Method-Override", "x-http-method", "x-method-override", "x-original-url", "X-Rewrite-URL"],
)
def test_override_headers_are_refused(name: str) -> None:
    """Headers that make frameworks see another method or URL are refused whatever they say."""
    refusal = refusal_of(lambda: read([(name, "")], exact=True))
    assert (refusal.reason, refusal.inner) == (Reason.MALFORMED_REQUEST, "override header")


@pytest.mark.parametrize(
    "name",
    ["x_http_method_override", "X-HTTP_Method-Override", "content_length", "x_original_url", "proxy_authorization"],
)
def test_underscore_twins_of_headers_that_matter_are_refused(name: str) -> None:
    """A name that a CGI-like server takes for a header that matters is refused."""
    assert reason_of(lambda: read([(name, "x")], exact=True)) is Reason.MALFORMED_REQUEST


def test_other_underscores_are_kept() -> None:
    """Names with underscores that are nobody's twin are ordinary headers."""
    assert read([("x_nhi_subject", "a")], exact=True)[0].all("x_nhi_subject") == ("a",)


def test_number_of_names_is_bounded() -> None:
    """As many names as the limit are read, however many lines they have; one more is refused."""
    lines = [(f"x-{n}", "a") for n in range(MAX_HEADERS)]
    assert len(read([*lines, *lines], exact=True)[0].lines) == MAX_HEADERS
    assert reason_of(lambda: read([*lines, ("y", "a")], exact=True)) is Reason.REQUEST_TOO_LARGE


@pytest.mark.parametrize(("character", "size"), [("a", 1), ("é", 2), ("😀", 4)])
def test_size_of_values_is_bounded_in_bytes(character: str, size: int) -> None:
    """Values of exactly the limit are read, one character more is refused."""
    fits = MAX_HEADER_VALUE_BYTES // size
    read([("a", character * fits)], exact=True)
    assert reason_of(lambda: read([("a", character * (fits + 1))], exact=True)) is Reason.REQUEST_TOO_LARGE


def test_size_of_several_lines_is_that_of_their_merged_form() -> None:
    """Two lines count as much as the value that joins them."""
    half = "a" * (MAX_HEADER_VALUE_BYTES // 2)
    read([("a", half), ("a", half[1:])], exact=True)
    assert reason_of(lambda: read([("a", half), ("a", half)], exact=True)) is Reason.REQUEST_TOO_LARGE


def test_very_many_lines_of_one_name_cost_linear_time() -> None:
    """A message full of lines of one name is refused without copying them for each line."""
    assert reason_of(lambda: read([("a", "b")] * 400_000, exact=True)) is Reason.REQUEST_TOO_LARGE
