"""What the operator configured about issuers and verification profiles, as plain values.

`server/profiles.py` makes them from the settings; this package knows nothing of settings files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extauthz.model.state import StateName

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    """An identity field is the same for every token of the issuer."""

    value: str


FieldSource = FromClaim | FixedValue


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingRules:
    """Claims → identity fields, for one issuer."""

    kind: FieldSource = FromClaim("kind")
    tenant: FieldSource = FromClaim("tenant")
    roles: FieldSource = FromClaim("roles")
    groups: FieldSource = FromClaim("groups")
    session: FieldSource = FromClaim("sid")


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerRules:
    """What is accepted from one issuer.

    Attributes:
        issuer: the exact `iss`.
        algorithms: accepted JWS algorithms, in the order the operator prefers.
        leeway: seconds of clock difference tolerated.
        max_lifetime: longest `exp` - `iat`, in seconds.
        mapping: claims → identity fields.
    """

    issuer: str
    algorithms: tuple[str, ...]
    leeway: float
    max_lifetime: float
    mapping: MappingRules = MappingRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A verification profile, which resources choose by name.

    Attributes:
        name: as configured.
        audience: our resource identifier, which `aud` must contain exactly.
        realm: `realm` in challenges; empty for none.
        issuers: exact `iss` → rules.
        max_token_age: oldest `iat` accepted, in seconds; None means no limit.
        rests_on: the facts that verifying a token by this profile may read: the keys of each issuer.
    """

    name: str
    audience: str
    realm: str = ""
    issuers: Mapping[str, IssuerRules]
    max_token_age: float | None = None
    rests_on: tuple[StateName, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rests_on", tuple(StateName("keys", issuer) for issuer in self.issuers))
