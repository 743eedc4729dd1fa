"""A resource as written → what requests and rules need of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import PolicyError
from extauthz.model.decision import Target
from extauthz.policy.attributes import Attribute, Fixed, FromBody, FromContext, FromHeader, FromPath, FromQuery, Origin
from extauthz.policy.index import Template, is_host_pattern, parse_template
from extauthz.policy.names import RESERVED_ATTRIBUTES, RESERVED_WORDS, FactType
from extauthz.policy.ruleset import Route
from extauthz.policy.written import Written, collecting
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.errors import Problem
    from extauthz.policy.document import AttributePart, ResourcePart
    from extauthz.policy.targets import TargetName

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_ATTRIBUTE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TOKEN: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
"""A header or protocol name in lower case (RFC 9110 section 5.6.2)."""

_CREDENTIAL_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})
"""Never attributes: attributes are written into records."""

_DEFAULT_PROFILE: Final = "default"


@dataclass(frozen=True, slots=True)
class ProfileFace:
    """What policy needs to know of a verification profile.

    Attributes:
        audience: the resource identifier that tokens must name.
        realm: `realm` of challenges; empty for none.
    """

    audience: str
    realm: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declared resource and action.

    Attributes:
        written: where it stands.
        hosts: host patterns.
        template: path.
        methods: methods.
        route: what a request for it becomes, without rules yet.
    """

    written: Written
    hosts: tuple[str, ...]
    template: Template
    methods: tuple[str, ...]
    route: Route

    @property
    def target(self) -> TargetName:
        """Return resource and action name."""
        return self.route.target.resource, self.route.target.action

    @property
    def signature(self) -> tuple[tuple[str, FactType, tuple[Any, ...]], ...]:
        """Return names, types and vocabularies of the attributes: what rules can tell apart."""
        return tuple(sorted((each.name, each.type, each.one_of) for each in self.route.attributes))


def declare(part: ResourcePart, written: Written, profiles: Mapping[str, ProfileFace] | None) -> Declaration:
    """Return what a resource in a file declares.

    Args:
        part: the resource.
        written: where it stands.
        profiles: verification profiles by name; None leaves `verify` unchecked.

    Raises:
        PolicyError: it does not make sense; every problem found is listed.
    """
    problems: list[Problem] = []
    template: Template | None = None
    verify: str | None = None
    attributes: list[Attribute] = []
    with collecting(problems):
        template = _template(part, written)
    problems.extend(_name_problems(part, written))
    with collecting(problems):
        verify = _profile(part, written, profiles)
    for name, each in part.attributes.items():
        with collecting(problems):
            attributes.append(_attribute(name, each, template, written.at("attributes", name)))
    if problems or template is None:
        raise PolicyError(problems)
    face = (profiles or {}).get(verify or "", ProfileFace(""))
    target = Target(
        resource=part.name,
        action=part.action,
        audience=face.audience,
        realm=face.realm,
        forward=frozenset(part.forward),
        carrier="" if verify is None else "authorization",
    )
    route = Route(
        target=target,
        verify=verify,
        attributes=tuple(attributes),
        upgrades=frozenset(part.upgrades),
        preflight=part.preflight,
    )
    return Declaration(written, part.match.host, template, part.match.methods, route)


def _template(part: ResourcePart, written: Written) -> Template:
    try:
        return parse_template(part.match.path)
    except ValueError as error:
        written.at("match", "path").refuse(str(error), "write for example `/v1/orders/{order}`")


def _name_problems(part: ResourcePart, written: Written) -> Iterator[Problem]:
    """Yield what is wrong with names, hosts and headers."""
    for key, name in (("name", part.name), ("action", part.action)):
        if _NAME.fullmatch(name) is None:
            fix = "use letters, digits, `-` and `_`, at most 64, a letter first"
            yield written.at(key).problem("not a name", fix)
    for host in part.match.host:
        if not is_host_pattern(host):
            fix = "write it in lower case as clients send it, for example `api.example.com` or `*.example.com`"
            yield written.at("match", "host").problem(f"`{host}` is not a host", fix)
    for key, words in (("upgrades", part.upgrades), ("forward", part.forward)):
        for position, word in enumerate(words):
            if _TOKEN.fullmatch(word) is None:
                yield written.at(key, position).problem(f"`{word}` is not a lower-case name", f"write `{word.lower()}`")


def _profile(part: ResourcePart, written: Written, profiles: Mapping[str, ProfileFace] | None) -> str | None:
    """Return the name of the verification profile; None for anonymous callers."""
    if part.credential == "none":
        if part.verify is not None:
            written.at("verify").refuse("there is no credential to verify", "remove `verify` or `credential: none`")
        return None
    name = part.verify or _DEFAULT_PROFILE
    if profiles is not None and name not in profiles:
        place = written.at("verify") if part.verify else written
        place.refuse(f"there is no verification profile `{name}`", did_you_mean(name, profiles))
    return name


def _attribute(name: str, part: AttributePart, template: Template | None, written: Written) -> Attribute:
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
    origin = _origin(part.source, template, written)
    return Attribute(name=name, origin=origin, type=declared, one_of=choices, optional=part.optional)


def _fixed(name: str, value: Any, part: AttributePart, written: Written) -> Attribute:
    if part.one_of or part.optional or part.type:
        written.refuse("a fixed value has no `one_of`, `optional` or `type`", "remove them")
    if value == "":
        written.refuse("an attribute is never empty", "write the value")
    return Attribute(name=name, origin=Fixed(value), type=_type_of(value))


def _type_of(value: object) -> FactType:
    if isinstance(value, bool):
        return FactType.FLAG
    return FactType.NUMBER if isinstance(value, int) else FactType.TEXT


def _origin(source: str, template: Template | None, written: Written) -> Origin:
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
            if not all(name.split(".")):
                written.refuse(f"`{source}` has an empty member name", "write for example `body.order.id`")
            return FromBody(tuple(name.split(".")))
        case _:
            return FromContext(name)


_PLACES: Final = ("path", "query", "header", "body", "context")


def _path_origin(name: str, template: Template | None, written: Written) -> Origin:
    if template is None:
        return FromPath(0)  # The template is a problem of its own; the declaration is refused for it.
    found = template.find_parameter(name)
    if found is None:
        written.refuse(f"the path has no `{{{name}}}`", did_you_mean(name, template.parameters()))
    position, parameter = found
    return FromPath(position, rest=parameter.rest)


def _header_origin(name: str, written: Written) -> Origin:
    if _TOKEN.fullmatch(name) is None:
        written.refuse(f"`{name}` is not a lower-case header name", f"write `{name.lower()}`")
    if name in _CREDENTIAL_HEADERS:
        written.refuse(
            "a credential cannot be an attribute", "attributes are written into records; name another header"
        )
    return FromHeader(name)
