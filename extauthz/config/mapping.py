"""Settings of mappings: what the claims of an issuer mean."""

from __future__ import annotations

from pydantic import Field, model_validator

from extauthz.config.section import Section
from extauthz.model.identity import Kind


class ClaimSource(Section):
    """Where an identity field comes from. Exactly one of the three."""

    claim: str | None = Field(default=None, description="Claim name; dots step into objects (`realm_access.roles`).")
    value: str | None = Field(default=None, description="Fixed text; the empty text leaves the field empty.")
    cel: str | None = Field(
        default=None,
        description="CEL expression over `claims`: `claims.env == 'prod' ? 'service' : 'ci'`. One that fails refuses "
        "the token; `has(claims.env)` asks whether a claim is there.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> ClaimSource:
        if sum(source is not None for source in (self.claim, self.value, self.cel)) != 1:
            message = "give exactly one of claim, value, cel"
            raise ValueError(message)
        return self


class MappingSettings(Section):
    """Claims → identity fields. What is left out comes from where the issuer's `profile` says."""

    kind: ClaimSource | None = Field(
        default=None,
        description="`user`, `service`, `workload`, `ci`, `agent` or `third_party`; anything else refuses the token. "
        "Usually the claim `kind`.",
    )
    tenant: ClaimSource | None = Field(default=None, description="Tenant. Usually the claim `tenant`.")
    roles: ClaimSource | None = Field(default=None, description="List of roles. Usually the claim `roles`.")
    groups: ClaimSource | None = Field(default=None, description="List of groups. Usually the claim `groups`.")
    session: ClaimSource | None = Field(
        default=None, description="Session id. Usually the claim `sid`; empty, it is the token's id."
    )
    workload: ClaimSource | None = Field(
        default=None,
        description="What stays the same from token to token, unique within the issuer. Usually the client, else the "
        "subject.",
    )
    environment: ClaimSource | None = Field(default=None, description="Where the caller runs (`production`).")
    device: ClaimSource | None = Field(default=None, description="Stable id of the caller's device.")

    @model_validator(mode="after")
    def _known_kind(self) -> MappingSettings:
        kinds = [kind.value for kind in Kind if kind is not Kind.ANONYMOUS]
        if self.kind is not None and self.kind.value is not None and self.kind.value not in kinds:
            message = f"kind.value must be one of {', '.join(kinds)}"
            raise ValueError(message)
        return self
