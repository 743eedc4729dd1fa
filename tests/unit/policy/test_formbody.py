"""A form is read in one way, or the request is refused."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import Refusal
from extauthz.limits import MAX_BODY_JSON_BYTES, MAX_FORM_FIELDS
from extauthz.model.reason import Reason
from extauthz.model.request import Body, BodyState, Headers
from extauthz.policy.attributes import Attribute, FromForm, read_attributes
from extauthz.policy.formbody import find_field, read_form_body
from extauthz.policy.names import FactType
from tests.simulators.policies import compile_text, json_body, make_request

FORM = "application/x-www-form-urlencoded"


def form(raw: bytes, content_type: str = FORM, **headers: str) -> dict[str, Any]:
    """Return the fields of a request with a complete form."""
    return json_body(raw, content_type=content_type, **headers)


def refusal_of(raw: bytes = b"a=1", **fields: Any) -> Refusal:
    """Return the refusal of a form."""
    with pytest.raises(Refusal) as caught:
        read_form_body(make_request("POST", **(fields or form(raw))))
    assert caught.value.reason is Reason.UNREADABLE_BODY
    assert caught.value.detail
    return caught.value


@pytest.mark.parametrize(
    "content_type", [FORM, FORM.upper(), f"{FORM}; charset=utf-8", f'{FORM};charset="UTF-8"', f"{FORM} "]
)
def test_a_complete_form_is_read(content_type: str) -> None:
    """Plus is a space, an escape a character, a name alone an empty value, an empty piece nothing."""
    raw = b"kind=big+order&note=a%26b%3D%C3%A9&flag&&x=y=z"
    fields = read_form_body(make_request("POST", **form(raw, content_type)))
    assert fields == {"kind": "big order", "note": "a&b=\u00e9", "flag": "", "x": "y=z"}


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "multipart/form-data; boundary=x", f"{FORM}; charset=latin1", f"{FORM}, a/b"],
)
def test_another_media_type_or_charset_is_refused(content_type: str) -> None:
    """What an upstream might not read as a form in UTF-8, policy does not either."""
    assert refusal_of(**form(b"a=1", content_type)).inner == "body: content-type"


def test_a_form_that_is_not_there_whole_is_refused() -> None:
    """Absent, cut off, compressed."""
    headers = Headers({"content-type": (FORM,)}, exact=True)
    assert refusal_of(headers=headers).inner == "body: absent"
    assert refusal_of(headers=headers, body=Body(BodyState.PARTIAL, b"a=1")).inner == "body: partial"
    assert refusal_of(**form(b"a=1", content_encoding="gzip")).inner == "body: content-encoding"


@pytest.mark.parametrize(
    ("raw", "inner"),
    [
        (b"a=1;b=2", "characters"),
        (b"a=%", "characters"),
        (b"a=%g0", "characters"),
        (b"a=\xc3\xa9", "characters"),
        (b"a=1\nb=2", "characters"),
        (b'a="1"', "characters"),
        (b"a=%ff", "encoding"),
        (b"a=%ed%a0%80", "encoding"),
        (b"a=%00", "control character"),
        (b"a%1b=1", "control character"),
        (b"a=1&a=1", "repeated field"),
        (b"a=1&%61=2", "repeated field"),
        (b"_method=DELETE", "directive"),
        (b"%5FMETHOD=DELETE", "directive"),
        (b"a=1&_charset_=utf-16", "directive"),
        (b"&".join(b"a%d=1" % number for number in range(MAX_FORM_FIELDS + 1)), "too large"),
        (b"a=" + b"x" * MAX_BODY_JSON_BYTES, "too large"),
    ],
)
def test_what_parsers_read_differently_is_refused(raw: bytes, inner: str) -> None:
    """Each has been read otherwise by somebody."""
    assert refusal_of(raw).inner == f"form: {inner}"


@pytest.mark.parametrize("twin", ["Kind", "kind[]", "kind[0]", " kind", "KIND[a]"])
def test_a_field_that_some_take_for_it_is_refused(twin: str) -> None:
    """Only beside one that policy reads, and only if somebody would."""
    for name in ("kind", "other"):
        with pytest.raises(Refusal) as caught:
            find_field({name: "a", twin: "b"}, "kind")
        assert caught.value.reason is Reason.UNREADABLE_BODY
    assert find_field({"kind": "a", "kinds": "b", "other[]": "c"}, "kind") == "a"
    with pytest.raises(Refusal):
        find_field({"order_id": "1", "order.id": "2"}, "order_id")


def test_fields_become_attributes() -> None:
    """Typed as texts are; missing, empty or wrong ones are refused as the body's fault."""
    request = make_request("POST", **form(b"size=7&big=true&none="))
    attributes = (
        Attribute(name="size", origin=FromForm("size"), type=FactType.NUMBER),
        Attribute(name="big", origin=FromForm("big"), type=FactType.FLAG),
    )
    assert read_attributes(attributes, request) == {"size": 7, "big": True}
    for name, message in (("none", "must not be empty"), ("gone", "is missing; send it as field gone of the form")):
        with pytest.raises(Refusal, match=message) as caught:
            read_attributes((Attribute(name=name, origin=FromForm(name)),), request)
        assert caught.value.reason is Reason.UNREADABLE_BODY


def test_records_tell_a_form_from_json() -> None:
    """Where an attribute was read is named as the policy says it."""
    text = (
        "resources: [{name: r, action: a, body: form, attributes: {mood: body.mood},"
        " match: {host: h, path: /, methods: [POST]}}]"
    )
    assert compile_text(text).route(make_request("POST", "h/")).target.read_from == (("mood", "form.mood"),)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1),
        st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))),
        max_size=8,
    )
)
def test_what_a_serialiser_writes_is_read_back(fields: dict[str, str]) -> None:
    """Every form that has one reading is read, whatever its texts."""
    raw = urlencode(fields).encode()
    if {name.strip().lower() for name in fields} & {"_method", "_charset_"}:
        return
    assert read_form_body(make_request("POST", **form(raw))) == fields


@given(st.binary(max_size=64) | st.text(st.sampled_from("ab=&%41;+c"), max_size=40).map(str.encode))
def test_a_form_is_read_as_the_standard_library_does_or_refused(raw: bytes) -> None:
    """There is no third outcome, whatever the bytes."""
    with contextlib.suppress(Refusal):
        fields = read_form_body(make_request("POST", **form(raw)))
        assert fields == dict(parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=False))
