"""The attributes of a resource: typed and closed, each read from one place, or a refusal that names the attribute.

A decided value has one reading: several values of a query parameter or header are a refusal, as is an empty one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, assert_never

from extauthz.errors import Refusal
from extauthz.limits import MAX_ATTRIBUTE_LENGTH
from extauthz.model.reason import Reason
from extauthz.policy.body import find_member, read_json_body
from extauthz.policy.formbody import find_field, read_form_body
from extauthz.policy.names import FactType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.model.facts import AttributeValue
    from extauthz.model.request import Request

_WHOLE_NUMBER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
"""Decimal without sign plus, spaces or leading zeros, which some read as octal; 18 digits fit 64 bits."""

_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class FromPath:
    """A path parameter: the segment at `position`, or with `rest` that and all following ones joined by `/`."""

    position: int
    rest: bool = False


@dataclass(frozen=True, slots=True)
class FromQuery:
    """The query parameter `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class FromHeader:
    """The header `name`, in lower case."""

    name: str


@dataclass(frozen=True, slots=True)
class FromBody:
    """The member of the JSON body at `path`."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FromForm:
    """The field `name` of the form in the body."""

    name: str


@dataclass(frozen=True, slots=True)
class FromContext:
    """The `context_extensions` entry `name` of the route in Envoy; clients cannot set it."""

    name: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that the policy states."""

    value: AttributeValue


IN_BODY: Final = (FromBody, FromForm)
"""The origins that need the body."""

Origin = FromPath | FromQuery | FromHeader | FromBody | FromForm | FromContext | Fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One declared attribute.

    Attributes:
        name: without `resource.`.
        origin: where it is read.
        type: text, number or flag.
        one_of: the only values accepted; empty when any is.
        optional: whether it may be missing; without a default it is then not known, so a condition that reads it fails.
        default: what it is when it is missing; None for nothing.
    """

    name: str
    origin: Origin
    type: FactType = FactType.TEXT
    one_of: tuple[AttributeValue, ...] = ()
    optional: bool = False
    default: AttributeValue | None = None


def read_attributes(attributes: tuple[Attribute, ...], request: Request) -> dict[str, AttributeValue]:
    """Return the attributes of the resource that a request means, by name; a missing optional one is left out.

    Raises:
        Refusal: `malformed_request` or, for the body, `unreadable_body`: one is missing, doubled, of the wrong type or
            not among the declared values.
    """
    body: dict[str, Any] | None = None
    found: dict[str, AttributeValue] = {}
    for attribute in attributes:
        origin = attribute.origin
        if body is None and isinstance(origin, IN_BODY):
            body = read_body(origin, request)
        value = read_value(attribute, request, body)
        if value is not None:
            found[attribute.name] = _closed(attribute, value)
        elif attribute.default is not None:
            found[attribute.name] = attribute.default
        elif not attribute.optional:
            raise _refusal(attribute, f"is missing; send it as {described(origin)}")
    return found


def read_body(origin: FromBody | FromForm, request: Request) -> dict[str, Any]:
    """Return the body in the form in which `origin` is found there.

    Raises:
        Refusal: `unreadable_body`.
    """
    return read_form_body(request) if isinstance(origin, FromForm) else read_json_body(request)


def read_value(attribute: Attribute, request: Request, body: Mapping[str, Any] | None) -> AttributeValue | None:
    """Return the value that stands where the attribute comes from, typed; None when there is none.

    Args:
        attribute: what is read.
        request: where from.
        body: from `read_body`, for what comes from there.

    Raises:
        Refusal: `malformed_request` or `unreadable_body`: it is there more than once, or has another type.
    """
    origin = attribute.origin
    text: str | None
    match origin:
        case FromPath(position, rest):
            text = "/".join(request.segments[position:]) if rest else request.segments[position]
        case FromQuery(name):
            text = _single(attribute, tuple([value for key, value in request.query if key == name]))
        case FromHeader(name):
            values = request.headers.all(name)
            if not request.headers.exact and any("," in value for value in values):
                # Envoy may have joined several lines into this one; nobody can tell any more.
                raise _refusal(attribute, "must be sent once, without a comma")
            text = _single(attribute, values)
        case FromContext(name):
            text = request.context.get(name)
        case FromForm(name):
            text = find_field(body or {}, name)
        case FromBody(path):
            return _typed(attribute, find_member(body or {}, path))
        case Fixed(value):
            return value
        case _:
            assert_never(origin)
    return _parsed(attribute, text)


def _single(attribute: Attribute, values: tuple[str, ...]) -> str | None:
    if len(values) > 1:
        raise _refusal(attribute, "must be sent once")
    return values[0] if values else None


def _parsed(attribute: Attribute, text: str | None) -> AttributeValue | None:
    """Return the value that a text stands for."""
    if text is None:
        return None
    match attribute.type:
        case FactType.NUMBER:
            if _WHOLE_NUMBER.fullmatch(text) is None:
                raise _refusal(attribute, "must be a whole number")
            return int(text)
        case FactType.FLAG:
            if text not in {"true", "false"}:
                raise _refusal(attribute, "must be true or false")
            return text == "true"
        case _:
            return text


_JSON_TYPES: Final[dict[FactType, tuple[Callable[[Any], bool], str]]] = {
    FactType.TEXT: (lambda value: isinstance(value, str), "must be a string"),
    FactType.NUMBER: (lambda value: type(value) is int and value in _INT64, "must be a whole number"),
    FactType.FLAG: (lambda value: isinstance(value, bool), "must be true or false"),
}


def _typed(attribute: Attribute, value: Any) -> AttributeValue | None:
    """Return a JSON value that has the declared type already; nothing is converted."""
    if value is None:
        return None
    fits, demand = _JSON_TYPES[attribute.type]
    if not fits(value):
        raise _refusal(attribute, demand)
    typed: AttributeValue = value
    return typed


def _closed(attribute: Attribute, value: AttributeValue) -> AttributeValue:
    if value == "":
        raise _refusal(attribute, "must not be empty")
    if isinstance(value, str):
        if len(value) > MAX_ATTRIBUTE_LENGTH:
            raise _refusal(attribute, f"must have at most {MAX_ATTRIBUTE_LENGTH} characters")
        if "\0" in value:
            raise _refusal(attribute, "must not hold a NUL")
    if attribute.one_of and value not in attribute.one_of:
        raise _refusal(attribute, "must be one of " + ", ".join(str(choice) for choice in attribute.one_of))
    return value


def described(origin: Origin) -> str:
    """Return where a request has it, for people."""
    match origin:
        case FromQuery(name):
            return f"query parameter {name}"
        case FromHeader(name):
            return f"header {name}"
        case FromBody(path):
            return f"member {'.'.join(path)} of the body"
        case FromForm(name):
            return f"field {name} of the form"
        case _:
            return "the route's context extension"


def _refusal(attribute: Attribute, demand: str) -> Refusal:
    """Return the refusal; it names what we expect and says nothing of what was sent."""
    reason = Reason.UNREADABLE_BODY if isinstance(attribute.origin, IN_BODY) else Reason.MALFORMED_REQUEST
    return Refusal(reason, f"{attribute.name} {demand}.", inner=f"attribute {attribute.name}")


def origin_name(origin: Origin) -> str:
    """Return where a policy file says that it is read (`query.page`); empty for the path and for fixed values."""
    match origin:
        case FromQuery(name):
            return f"query.{name}"
        case FromHeader(name):
            return f"header.{name}"
        case FromBody(path):
            return f"body.{'.'.join(path)}"
        case FromForm(name):
            return f"form.{name}"
        case FromContext(name):
            return f"context.{name}"
        case _:
            return ""
