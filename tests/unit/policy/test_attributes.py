"""Attributes are typed and closed; what has two readings or none is a refusal that names the attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.errors import Refusal
from extauthz.limits import MAX_ATTRIBUTE_LENGTH
from extauthz.model.reason import Reason
from extauthz.model.request import Headers
from extauthz.policy.attributes import (
    Attribute,
    Fixed,
    FromBody,
    FromContext,
    FromHeader,
    FromPath,
    FromQuery,
    read_attributes,
)
from extauthz.policy.names import FactType
from tests.simulators.policies import json_body, make_request

if TYPE_CHECKING:
    from extauthz.model.facts import AttributeValue
    from extauthz.model.request import Request
    from extauthz.policy.attributes import Origin


def read(request: Request, origin: Origin, **fields: Any) -> AttributeValue | None:
    """Return the value of an attribute `env` with this origin; None when it is left out."""
    return read_attributes((Attribute(name="env", origin=origin, **fields),), request).get("env")


def refusal_of(request: Request, origin: Origin, **fields: Any) -> Refusal:
    """Return the refusal for an attribute `env`, which must name it."""
    with pytest.raises(Refusal) as caught:
        read(request, origin, **fields)
    assert caught.value.detail.startswith("env ")
    return caught.value


def with_query(*values: str) -> Request:
    """Return a request with `env` in its query."""
    return make_request(query=tuple(("env", value) for value in values))


def test_each_origin_is_read() -> None:
    """One place each; the context is the proxy's, a fixed value the policy's."""
    request = make_request(
        "POST",
        "h/a/b/c",
        query=(("env", "q"), ("other", "x")),
        context={"env": "c"},
        **json_body(b'{"deep": {"env": "b"}}', env="hd"),
    )
    assert read(request, FromPath(1)) == "b"
    assert read(request, FromPath(1, rest=True)) == "b/c"
    assert read(request, FromQuery("env")) == "q"
    assert read(request, FromHeader("env")) == "hd"
    assert read(request, FromBody(("deep", "env"))) == "b"
    assert read(request, FromContext("env")) == "c"
    assert read(request, Fixed(7)) == 7


@pytest.mark.parametrize("origin", [FromQuery("env"), FromHeader("env"), FromContext("env")])
def test_a_missing_attribute_is_refused_unless_optional(origin: Origin) -> None:
    """The refusal says where to send it; an optional one is left out, not empty."""
    refusal = refusal_of(make_request(), origin)
    assert refusal.reason is Reason.MALFORMED_REQUEST
    assert "is missing; send it as" in refusal.detail
    assert read(make_request(), origin, optional=True) is None


def test_a_missing_member_of_the_body_is_refused_unless_optional() -> None:
    """With the body's own reason; an optional member does not make the body optional."""
    request = make_request("POST", **json_body(b"{}"))
    refusal = refusal_of(request, FromBody(("a", "b")))
    assert (refusal.reason, refusal.detail) == (
        Reason.UNREADABLE_BODY,
        "env is missing; send it as member a.b of the body.",
    )
    assert read(request, FromBody(("a",)), optional=True) is None
    with pytest.raises(Refusal):
        read(make_request("POST"), FromBody(("a",)), optional=True)


def test_several_values_are_refused() -> None:
    """The upstream may take the first, the last or both."""
    assert refusal_of(with_query("a", "a"), FromQuery("env")).detail == "env must be sent once."
    twice = make_request(headers=Headers({"env": ("a", "b")}, exact=True))
    assert refusal_of(twice, FromHeader("env")).detail == "env must be sent once."


def test_a_header_that_envoy_may_have_joined_is_refused() -> None:
    """A comma is a value's own only where Envoy shows the lines as sent."""
    joined, shown = (make_request(headers=Headers({"env": ("a,b",)}, exact=exact)) for exact in (False, True))
    assert refusal_of(joined, FromHeader("env")).reason is Reason.MALFORMED_REQUEST
    assert read(shown, FromHeader("env")) == "a,b"


@pytest.mark.parametrize("text", ["", "x" * (MAX_ATTRIBUTE_LENGTH + 1), "staging\0production"])
def test_an_empty_or_endless_value_is_refused(text: str) -> None:
    """Empty is not a value, and a value fits its record."""
    refusal_of(with_query(text), FromQuery("env"))
    assert read(with_query("x" * MAX_ATTRIBUTE_LENGTH), FromQuery("env")) is not None


def test_values_are_closed() -> None:
    """What is not declared is refused, and the refusal lists what is, but never what was sent."""
    one_of = ("staging", "production")
    assert read(with_query("staging"), FromQuery("env"), one_of=one_of) == "staging"
    refusal = refusal_of(with_query("<script>"), FromQuery("env"), one_of=one_of)
    assert refusal.detail == "env must be one of staging, production."
    assert read(with_query("2"), FromQuery("env"), type=FactType.NUMBER, one_of=(1, 2)) == 2


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("-7", -7), ("9" * 18, 10**18 - 1)])
def test_numbers_are_read(text: str, number: int) -> None:
    """Plain decimal."""
    value = read(with_query(text), FromQuery("env"), type=FactType.NUMBER)
    assert (value, type(value)) == (number, int)


@pytest.mark.parametrize("text", ["", "-0", "007", "+7", "1.0", "1e3", " 7", "7 ", "0x7", "\u0667", "1_000", "9" * 19])
def test_what_is_a_number_only_to_some_is_refused(text: str) -> None:
    """Leading zeros, signs, spaces, other digits."""
    refusal_of(with_query(text), FromQuery("env"), type=FactType.NUMBER)


def test_flags_are_true_or_false() -> None:
    """Exactly those texts."""
    assert read(with_query("true"), FromQuery("env"), type=FactType.FLAG) is True
    assert read(with_query("false"), FromQuery("env"), type=FactType.FLAG) is False
    for text in ("True", "1", "yes"):
        refusal_of(with_query(text), FromQuery("env"), type=FactType.FLAG)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (FactType.TEXT, b'"x"', [b"1", b"true", b"[]", b"{}"]),
        (FactType.NUMBER, b"7", [b'"7"', b"7.0", b"true", b"9223372036854775808"]),
        (FactType.FLAG, b"true", [b'"true"', b"1", b"0"]),
    ],
)
def test_members_of_the_body_have_their_type_already(kind: FactType, good: bytes, bad: list[bytes]) -> None:
    """JSON says what is a number; nothing is converted."""
    wrap = b'{"env": %s}'
    assert read(make_request("POST", **json_body(wrap % good)), FromBody(("env",)), type=kind) is not None
    for raw in bad:
        request = make_request("POST", **json_body(wrap % raw))
        assert refusal_of(request, FromBody(("env",)), type=kind).reason is Reason.UNREADABLE_BODY
