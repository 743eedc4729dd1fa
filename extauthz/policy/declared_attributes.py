"""An attribute as written → where requests have it and what it may be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from extauthz.limits import MAX_ATTRIBUTE_LENGTH
from extauthz.policy.attributes import (
    Attribute,
    Fixed,
    FromBody,
    FromContext,
    FromForm,
    FromHeader,
    FromPath,
    FromQuery,
    Origin,
)
from extauthz.policy.names import RESERVED_ATTRIBUTES, RESERVED_WORDS, FactType
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.policy.document import AttributePart
    from extauthz.policy.index import Template
    from extauthz.policy.written import Written

_ATTRIBUTE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HEADER_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
"""RFC 9110 section 5.6.2, in lower case."""

_CREDENTIAL_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "dpop"})
"""Never attributes: attributes are written into records."""

_PLACES: Final = ("path", "query", "header", "body", "context")


def declare_attribute(
    name: str, part: AttributePart, template: Template | None, body: str, written: Written
) -> Attribute:
    """Return an attribute.

    Args:
        name: its name.
        part: as written.
        template: the resource's path; None when that is wrong itself.
        body: how the body is read, `json` or `form`.
        written: where it stands.

    Raises:
        PolicyError: it does not make sense.
    """
    if _ATTRIBUTE_NAME.fullmatch(name) is None or name in RESERVED_ATTRIBUTES | RESERVED_WORDS:
        written.refuse(f"`{name}` cannot name an attribute", "use lower-case letters, digits and `_`; not a CEL word")
    if (part.source is None) == (part.value is None):
        written.refuse("give exactly one of `from`, `value`", "write for example `query.environment`")
    if part.source is None:
        return _fixed(name, part.value, part, written)
    declared = FactType(part.type or "string")
    choices = part.one_of or ()
    for position, choice in enumerate(choices):
        if _type_of(choice) is not declared:
            written.at("one_of", position).refuse(f"`{choice}` is not a {declared.value}", "quote it, or set `type`")
        if choice in choices[:position]:
            written.at("one_of", position).refuse(f"`{choice}` stands twice", "keep one of them")
        if choice == "":
            written.at("one_of", position).refuse("an attribute is never empty", "remove it")
    origin = origin_of(part.source, template, body, written)
    if part.default is not None:
        _require_fit(part, declared, origin, written)
    return Attribute(
        name=name,
        origin=origin,
        type=declared,
        one_of=choices,
        optional=part.optional or part.default is not None,
        default=part.default,
    )


def _require_fit(part: AttributePart, declared: FactType, origin: Origin, written: Written) -> None:
    """Refuse a default that the attribute could not have, or never takes."""
    place = written.at("default")
    if isinstance(origin, FromPath):
        place.refuse("a part of the path is never missing", "remove `default`")
    if "optional" in part.model_fields_set and not part.optional:
        place.refuse("what has a default may be missing", "remove `optional: false` or `default`")
    if _type_of(part.default) is not declared:
        place.refuse(f"`{part.default}` is not a {declared.value}", "quote it, or set `type`")
    if part.one_of and part.default not in part.one_of:
        place.refuse(f"`{part.default}` is not among `one_of`", did_you_mean(str(part.default), map(str, part.one_of)))
    _require_recordable(part.default, place)


def _require_recordable(value: Any, place: Written) -> None:
    if value == "":
        place.refuse("an attribute is never empty", "write the value")
    if isinstance(value, str) and len(value) > MAX_ATTRIBUTE_LENGTH:
        place.refuse(f"an attribute has at most {MAX_ATTRIBUTE_LENGTH} characters", "shorten it")


def _fixed(name: str, value: Any, part: AttributePart, written: Written) -> Attribute:
    if part.one_of or part.optional or part.type or part.default is not None:
        written.refuse("a fixed value has no `one_of`, `optional`, `default` or `type`", "remove them")
    _require_recordable(value, written)
    return Attribute(name=name, origin=Fixed(value), type=_type_of(value))


def _type_of(value: object) -> FactType:
    if isinstance(value, bool):
        return FactType.FLAG
    return FactType.NUMBER if isinstance(value, int) else FactType.TEXT


def origin_of(source: str, template: Template | None, body: str, written: Written) -> Origin:
    """Return the place in a request that a text such as `query.name` means.

    Args:
        source: as written.
        template: the resource's path; None when that is wrong itself.
        body: how the body is read, `json` or `form`.
        written: where it stands.

    Raises:
        PolicyError: there is no such place.
    """
    place, _, name = source.partition(".")
    if place not in _PLACES or not name:
        written.refuse(f"`{source}` is nowhere in a request", did_you_mean(place, _PLACES) + " as in `query.name`")
    match place:
        case "path":
            return _path_origin(name, template, written)
        case "query":
            return FromQuery(name)
        case "header":
            return _header_origin(name, written)
        case "body":
            return _body_origin(name, body, written)
        case _:
            return FromContext(name)


def _body_origin(name: str, body: str, written: Written) -> Origin:
    if body == "form":
        return FromForm(name)
    if not all(name.split(".")):
        written.refuse(f"`body.{name}` has an empty member name", "write for example `body.order.id`")
    return FromBody(tuple(name.split(".")))


def _path_origin(name: str, template: Template | None, written: Written) -> Origin:
    if template is None:
        return FromPath(0)  # The template is a problem of its own; the declaration is refused for it.
    found = template.find_parameter(name)
    if found is None:
        written.refuse(f"the path has no `{{{name}}}`", did_you_mean(name, template.parameters()))
    position, parameter = found
    return FromPath(position, rest=parameter.rest)


def _header_origin(name: str, written: Written) -> Origin:
    if _HEADER_NAME.fullmatch(name) is None:
        written.refuse(f"`{name}` is not a lower-case header name", f"write `{name.lower()}`")
    if name in _CREDENTIAL_HEADERS:
        written.refuse(
            "a credential cannot be an attribute", "attributes are written into records; name another header"
        )
    return FromHeader(name)
