"""A resource as written → what requests and rules need of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import PolicyError
from extauthz.model.decision import Target
from extauthz.model.identity import Credential
from extauthz.policy.attributes import IN_BODY, FromHeader, origin_name
from extauthz.policy.declared_attributes import declare_attribute
from extauthz.policy.declared_match import declare_distinctions
from extauthz.policy.homes import ANYWHERE, Ground
from extauthz.policy.index import Template, is_host_pattern, parse_template
from extauthz.policy.ruleset import Route
from extauthz.policy.written import Written, collecting
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.errors import Problem
    from extauthz.policy.attributes import Attribute, FromBody, FromForm, Origin
    from extauthz.policy.document import Record, ResourcePart
    from extauthz.policy.matching import Distinction
    from extauthz.policy.names import FactType
    from extauthz.policy.targets import TargetName

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_TOKEN: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
"""A header or protocol name in lower case (RFC 9110 section 5.6.2)."""

_DEFAULT_PROFILE: Final = "default"


@dataclass(frozen=True, slots=True)
class ProfileFace:
    """What policy needs to know of a verification profile.

    Attributes:
        audience: the resource identifier that tokens must name.
        realm: `realm` of challenges; empty for none.
        api_key_header: lower-case name of the header that carries API keys; empty where none are accepted.
        proof_algorithms: JWS algorithms of DPoP proofs; empty where none are accepted.
        certificates: whether client certificates are accepted as a credential.
        introspects: whether each of its issuers can be asked about a token.
        metadata_url: where the resource's metadata is published (RFC 9728); empty when it is not.
    """

    audience: str
    realm: str = ""
    api_key_header: str = "x-api-key"
    proof_algorithms: tuple[str, ...] = ()
    certificates: bool = False
    introspects: bool = False
    metadata_url: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declared resource and action.

    Attributes:
        written: where it stands.
        hosts: host patterns.
        template: path.
        methods: methods.
        route: what a request for it becomes, without rules yet.
        distinctions: what else a request must have.
        record: what it says about records of allows.
        ground: where it belongs.
    """

    written: Written
    hosts: tuple[str, ...]
    template: Template
    methods: tuple[str, ...]
    route: Route
    distinctions: tuple[Distinction, ...] = ()
    record: Record | None = None
    ground: Ground = ANYWHERE

    @property
    def target(self) -> TargetName:
        """Return resource and action name."""
        return self.route.target.resource, self.route.target.action

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Return everything that is read from a request for it."""
        attributes = (each.origin for each in self.route.attributes)
        return (*(each.origin for each in self.distinctions), *attributes)

    @property
    def body(self) -> FromBody | FromForm | None:
        """Return one of the places in the body that are read; None when none is."""
        return next((origin for origin in self.origins if isinstance(origin, IN_BODY)), None)

    @property
    def signature(self) -> tuple[tuple[str, FactType, tuple[Any, ...]], ...]:
        """Return names, types and vocabularies of the attributes: what rules can tell apart."""
        return tuple(sorted((each.name, each.type, each.one_of) for each in self.route.attributes))


def declare(
    part: ResourcePart, written: Written, profiles: Mapping[str, ProfileFace] | None, ground: Ground = ANYWHERE
) -> Declaration:
    """Return what a resource in a file declares.

    Args:
        part: the resource.
        written: where it stands.
        profiles: verification profiles by name; None leaves `verify` unchecked.
        ground: where its file belongs.

    Raises:
        PolicyError: it does not make sense; every problem found is listed.
    """
    problems: list[Problem] = []
    template: Template | None = None
    verify: str | None = None
    attributes: list[Attribute] = []
    distinctions: tuple[Distinction, ...] = ()
    with collecting(problems):
        template = _template(part, written)
    problems.extend(_name_problems(part, written))
    with collecting(problems):
        verify = _profile(part, written, profiles)
    for name, each in part.attributes.items():
        with collecting(problems):
            inside = written.at("attributes", name)
            attributes.append(declare_attribute(name, each, template, part.body or "json", inside))
    with collecting(problems):
        distinctions = declare_distinctions(part.match, part.body or "json", written.at("match"))
    if problems or template is None:
        raise PolicyError(problems)
    face = (profiles or {}).get(verify or "", ProfileFace(""))
    target = Target(
        resource=part.name,
        action=part.action,
        audience=face.audience,
        realm=face.realm,
        forward=frozenset(part.forward),
        carrier=_carrier(Credential(part.credential), face),
        proof_algorithms=face.proof_algorithms if part.credential == "dpop" else (),
        metadata_url=face.metadata_url if part.credential in {"bearer", "dpop"} else "",
        verify=verify or "",
        credential=part.credential,
        read_from=tuple((each.name, place) for each in attributes if (place := origin_name(each.origin))),
    )
    route = Route(
        target=target,
        verify=verify,
        credential=Credential(part.credential),
        stale_proceeds=part.stale == "proceed",
        signals_optional=part.signals == "optional",
        attributes=tuple(attributes),
        upgrades=frozenset(part.upgrades),
        preflight=part.preflight,
    )
    declaration = Declaration(
        written=written,
        hosts=part.match.host,
        template=template,
        methods=part.match.methods,
        route=route,
        distinctions=distinctions,
        record=part.record,
        ground=ground,
    )
    if target.carrier and FromHeader(target.carrier) in declaration.origins:
        message = f"the header `{target.carrier}` carries the credential"
        written.refuse(message, "attributes are written into records; read another header")
    if part.body is not None and declaration.body is None:
        written.at("body").refuse("nothing here reads the body", "remove it, or add an attribute from `body.NAME`")
    return declaration


def _carrier(credential: Credential, face: ProfileFace) -> str:
    """Return the lower-case name of the header that carries the credential; empty when none does."""
    if credential in (Credential.BEARER, Credential.DPOP):
        return "authorization"
    return face.api_key_header if credential is Credential.API_KEY else ""


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
    if part.credential == "dpop" and profiles is not None and not profiles[name].proof_algorithms:
        problem = f"the verification profile `{name}` accepts no DPoP proofs"
        written.at("credential").refuse(problem, f"add `dpop:` to `profiles.{name}` in the settings")
    if part.credential == "certificate" and profiles is not None and not profiles[name].certificates:
        problem = f"the verification profile `{name}` accepts no client certificates"
        written.at("credential").refuse(problem, f"add `certificates.accept` to `profiles.{name}` in the settings")
    if part.credential == "api_key" and profiles is not None and not profiles[name].api_key_header:
        problem = f"the verification profile `{name}` accepts no API keys"
        written.at("credential").refuse(problem, f"add `api_keys: {{}}` to `profiles.{name}` in the settings")
    return name
