"""`x-forwarded-client-cert`: what is written is read, and any text is read or refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import Refusal
from extauthz.identity.xfcc import Element, parse_xfcc

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=20)
DIGESTS = st.binary(min_size=32, max_size=32) | st.just(b"")
ELEMENTS = st.builds(Element, digest=DIGESTS, certificate=TEXT, chain=TEXT)


def quoted(text: str) -> str:
    """Return a value in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@st.composite
def written(draw: st.DrawFn) -> tuple[tuple[Element, ...], str]:
    """Return elements, and a header that says so, with keys in any case and other pairs between them."""
    elements = draw(st.lists(ELEMENTS, min_size=1, max_size=4))
    return tuple(elements), ",".join(draw(_one(element)) for element in elements)


@st.composite
def _one(draw: st.DrawFn, element: Element) -> str:
    given = {"Hash": element.digest.hex(), "Cert": quoted(element.certificate), "Chain": quoted(element.chain)}
    pairs = [f"{draw(st.sampled_from([key, key.lower(), key.upper()]))}={value}" for key, value in given.items()]
    pairs += [
        f"{key}={quoted(draw(TEXT))}" for key in draw(st.lists(st.sampled_from(["By", "URI", "DNS"]), max_size=3))
    ]
    pairs += [f"Subject={quoted(draw(TEXT))}"] if draw(st.booleans()) else []
    return ";".join(draw(st.permutations(pairs)))


@given(written())
def test_what_is_written_is_read(case: tuple[tuple[Element, ...], str]) -> None:
    """Round trip, whatever stands in the values: no comma, semicolon or quote within one ends it."""
    elements, header = case
    assert parse_xfcc(header) == elements


@given(st.text(st.sampled_from('ByHashCert=;,"\\ 0a{'), max_size=40) | st.text(max_size=40))
def test_any_text_is_read_or_refused(header: str) -> None:
    """No other exception, and at least one element."""
    try:
        elements = parse_xfcc(header)
    except Refusal:
        return
    assert elements


@given(written(), st.integers(min_value=0), st.sampled_from('";,='))
def test_an_extra_separator_never_goes_unnoticed_in_the_hash(
    case: tuple[tuple[Element, ...], str], place: int, extra: str
) -> None:
    """Where a separator is put in, the result is refused or holds no hash that was not written."""
    elements, header = case
    at = place % (len(header) + 1)
    try:
        found = parse_xfcc(header[:at] + extra + header[at:])
    except Refusal:
        return
    assert {element.digest for element in found} <= {element.digest for element in elements} | {b""}
