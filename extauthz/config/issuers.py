"""Settings of issuers: who may vouch for callers, where their keys are, and what their claims mean."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from extauthz.config.section import Section
from extauthz.durations import Duration
from extauthz.limits import DEFAULT_LEEWAY_SECONDS
from extauthz.model.identity import Kind


class KeySettings(Section):
    """Where an issuer's public keys come from. Exactly one place."""

    discovery: bool = Field(default=False, description="Read `jwks_uri` from the issuer's discovery document.")
    url: str | None = Field(default=None, description="URL of the JWK set.")
    file: Path | None = Field(default=None, description="File with a JWK set; read again when it changes.")
    refresh: Duration = Field(default=300.0, description="How often the set is fetched in the background.")
    cool_down: Duration = Field(default=10.0, description="Shortest time between fetches that an unknown `kid` causes.")
    max_age: Duration = Field(
        default=86400.0, description="A set older than this is not used any more: the issuer is unavailable."
    )
    timeout: Duration = Field(default=2.0, description="Time for one background fetch.")
    insecure_http: bool = Field(default=False, description="WEAKENS: allow `http` URLs other than loopback.")

    @model_validator(mode="after")
    def _one_place(self) -> KeySettings:
        if sum([self.discovery, self.url is not None, self.file is not None]) != 1:
            message = "give exactly one of discovery, url, file"
            raise ValueError(message)
        return self


class ClaimSource(Section):
    """Where an identity field comes from: a claim, or a fixed value."""

    claim: str | None = Field(default=None, description="Claim name; dots step into objects (`realm_access.roles`).")
    value: str | None = Field(default=None, description="Fixed text.")

    @model_validator(mode="after")
    def _one_source(self) -> ClaimSource:
        if (self.claim is None) == (self.value is None):
            message = "give exactly one of claim, value"
            raise ValueError(message)
        return self


class MappingSettings(Section):
    """Claims → identity fields."""

    kind: ClaimSource = Field(
        default=ClaimSource(claim="kind"),
        description="`user`, `service`, `workload`, `ci`, `agent` or `third_party`; anything else refuses the token.",
    )
    tenant: ClaimSource = Field(default=ClaimSource(claim="tenant"), description="Tenant.")
    roles: ClaimSource = Field(default=ClaimSource(claim="roles"), description="List of roles.")
    groups: ClaimSource = Field(default=ClaimSource(claim="groups"), description="List of groups.")
    session: ClaimSource = Field(default=ClaimSource(claim="sid"), description="Session id.")

    @model_validator(mode="after")
    def _known_kind(self) -> MappingSettings:
        kinds = [kind.value for kind in Kind if kind is not Kind.ANONYMOUS]
        if self.kind.value is not None and self.kind.value not in kinds:
            message = f"kind.value must be one of {', '.join(kinds)}"
            raise ValueError(message)
        return self


class IssuerSettings(Section):
    """An issuer whose tokens can be accepted."""

    issuer: str = Field(description="The exact `iss`.")
    keys: KeySettings
    algorithms: tuple[
        Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519"],
        ...,
    ] = Field(default=("ES256", "RS256"), min_length=1, description="Accepted signature algorithms.")
    profile: Literal["rfc9068"] = Field(default="rfc9068", description="Shape of its tokens (RFC 9068 access tokens).")
    max_lifetime: Duration = Field(default=3600.0 * 12, description="Longest `exp` - `iat` accepted.")
    leeway: Duration = Field(default=float(DEFAULT_LEEWAY_SECONDS), le=300, description="Clock difference tolerated.")
    map: MappingSettings = MappingSettings()
