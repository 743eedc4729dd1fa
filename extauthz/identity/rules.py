"""What the operator configured about issuers and verification profiles, as plain values.

`server/profiles.py` makes them from the settings; this package knows nothing of settings files. The shapes that tokens
come in are in `shapes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from extauthz.identity.certificate_rules import BindingRule, CertificateRules
from extauthz.model.state import StateName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.identity.dpop import DpopRules


@dataclass(frozen=True, slots=True)
class FromClaim:
    """An identity field is read from a claim.

    Attributes:
        name: the claim's name. A claim of exactly this name is taken; else dots step into objects
            (`realm_access.roles`).
    """

    name: str


@dataclass(frozen=True, slots=True)
class FixedValue:
    """An identity field is the same for every token of the issuer; the empty text leaves it empty."""

    value: str


@dataclass(frozen=True, slots=True)
class Computed:
    """An identity field is worked out from all claims, by a shape or by an expression of the operator's.

    Attributes:
        rule: names it, for the record (`map.kind`).
        find: verified claims → a text or a list of texts; raises Refusal when there is none to be had.
    """

    rule: str
    find: Callable[[Mapping[str, Any]], Any]


FieldSource = FromClaim | FixedValue | Computed


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingRules:
    """Claims → identity fields, for one issuer.

    Attributes:
        workload: stable key of the caller within its issuer; None for its client, or the subject where it has none.
    """

    kind: FieldSource = FromClaim("kind")
    tenant: FieldSource = FromClaim("tenant")
    roles: FieldSource = FromClaim("roles")
    groups: FieldSource = FromClaim("groups")
    session: FieldSource = FromClaim("sid")
    workload: FieldSource | None = None
    environment: FieldSource = FixedValue("")
    device: FieldSource = FixedValue("")


def _anything(claims: Mapping[str, Any], rules: IssuerRules) -> None:
    """Ask nothing more."""
    del claims, rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the tokens of a kind of issuer look like. The defaults are those of an access token by RFC 9068.

    Attributes:
        name: as in the settings.
        types: accepted `typ` values, in lower case.
        untyped: whether `typ` may be absent.
        header: the only members that the JOSE header may have; empty for any.
        clients: claims that can name the client; where several are there, they must agree.
        client_required: whether one of them must be there.
        token_id_required: whether `jti` must be there.
        issued_at_required: whether `iat` must be there.
        scopes: claims that can hold scopes; where several are there, they must agree.
        chosen_by_subject: whether `sub`, a SPIFFE ID, says whose keys verify the token, and not `iss`.
        workload_is_global: whether the workload key is unique beyond its issuer.
        verify: further demands on verified claims; raises Refusal.
        mapping: what is mapped how where the operator says nothing.
    """

    name: str = "rfc9068"
    types: frozenset[str] = frozenset({"at+jwt", "application/at+jwt"})
    untyped: bool = False
    header: frozenset[str] = frozenset()
    clients: tuple[str, ...] = ("client_id",)
    client_required: bool = True
    token_id_required: bool = True
    issued_at_required: bool = True
    scopes: tuple[str, ...] = ("scope",)
    chosen_by_subject: bool = False
    workload_is_global: bool = False
    verify: Callable[[Mapping[str, Any], IssuerRules], None] = _anything
    mapping: MappingRules = MappingRules()


RFC9068 = Shape()
"""JWT access tokens (RFC 9068)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRules:
    """How the status of an issuer's tokens is looked up.

    Attributes:
        uris: where its lists are: exact URIs, or what they begin with where one ends with `/`.
        required: whether each token must name a list.
        ignored: whether tokens are accepted without looking.
    """

    uris: tuple[str, ...] = ()
    required: bool = False
    ignored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRules:
    """What is accepted from one issuer.

    Attributes:
        issuer: the exact `iss`; for SPIFFE `spiffe://` and the trust domain.
        algorithms: accepted JWS algorithms, in the order the operator prefers.
        leeway: seconds of clock difference tolerated.
        max_lifetime: longest `exp` - `iat`, in seconds.
        shape: what its tokens look like.
        required_claims: claims that must be there besides those that the shape asks for.
        accept_id_tokens: whether an OpenID Connect ID token may serve as access token.
        mapping: claims → identity fields.
        actors_of: other issuers whose callers it may name as actors.
        opaque: whether it is asked about each token, whatever the token looks like.
        prefix: how each of its opaque tokens begins.
        introspects: whether it can be asked about a token.
        status: how the status of its tokens is looked up; None when it is not.
    """

    issuer: str
    algorithms: tuple[str, ...]
    leeway: float
    max_lifetime: float
    shape: Shape = RFC9068
    required_claims: tuple[str, ...] = ()
    accept_id_tokens: bool = False
    mapping: MappingRules = MappingRules()
    actors_of: frozenset[str] = frozenset()
    opaque: bool = False
    prefix: str = ""
    introspects: bool = False
    status: StatusRules | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRules:
    """Which API keys are accepted.

    Attributes:
        header: lower-case name of the one header that carries them.
        max_lifetime: seconds after which a key is refused, whatever it says itself.
        tenants: whose keys are accepted; empty means anybody's.
    """

    header: str
    max_lifetime: float
    tenants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRules:
    """Which transaction tokens may come along as context.

    Attributes:
        rules: of the service that issues them.
        audience: the trust domain, which `aud` must contain exactly.
    """

    rules: IssuerRules
    audience: str


_NO_CERTIFICATES: Final = CertificateRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A verification profile, which resources choose by name.

    Attributes:
        name: as configured.
        audience: our resource identifier, which `aud` must contain exactly.
        realm: `realm` in challenges; empty for none.
        issuers: exact `iss` → rules.
        max_token_age: oldest `iat` accepted, in seconds; None means no limit.
        refuses_unknown: whether everybody involved must be declared in the registry.
        transactions: which transaction tokens are read; None for none.
        dpop: which DPoP proofs are accepted; None for none.
        api_keys: which API keys are accepted; None for none.
        certificates: whose client certificates are accepted, and how they are read.
        binding: how tokens must be bound to their sender.
        opaque: the one issuer of opaque tokens; None when there is none.
        rests_on: the facts that proving a caller by this profile may read: the keys of each issuer of JWTs.
    """

    name: str
    audience: str
    realm: str = ""
    issuers: Mapping[str, IssuerRules]
    max_token_age: float | None = None
    refuses_unknown: bool = False
    transactions: TransactionRules | None = None
    dpop: DpopRules | None = None
    api_keys: ApiKeyRules | None = None
    certificates: CertificateRules = _NO_CERTIFICATES
    binding: BindingRule = BindingRule.ANY
    opaque: IssuerRules | None = field(init=False, compare=False)
    rests_on: tuple[StateName, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        signed = [issuer for issuer, rules in self.issuers.items() if not rules.opaque]
        asked = [rules for rules in self.issuers.values() if rules.opaque]
        object.__setattr__(self, "opaque", asked[0] if asked else None)
        object.__setattr__(self, "rests_on", tuple(StateName("keys", issuer) for issuer in signed))
