"""Settings of verification profiles: which credentials of which issuers a resource accepts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from extauthz.config.certificates import CertificateSettings
from extauthz.config.dpop import ProofSettings
from extauthz.config.metadata import MetadataSettings, to_metadata_url
from extauthz.config.registry import Unknown
from extauthz.config.section import Section
from extauthz.config.state import ApiKeyProfileSettings
from extauthz.config.transactions import TransactionSettings
from extauthz.durations import Duration


class ProfileSettings(Section):
    """A verification profile, chosen by resources with `verify: NAME`."""

    issuers: tuple[str, ...] = Field(
        default=(), description="Accepted issuers; each must be configured. Without any, no token is accepted."
    )
    api_keys: ApiKeyProfileSettings | None = Field(default=None, description="Without it API keys are not accepted.")
    audience: str = Field(
        default="", description="The resource identifier that `aud` must contain, exactly; needed with `issuers`."
    )
    realm: str = Field(default="", description="`realm` in challenges.")
    max_token_age: Duration | None = Field(default=None, description="Oldest `iat` accepted; unset means no limit.")
    transaction_tokens: TransactionSettings | None = Field(
        default=None, description="Without it a `Txn-Token` header is neither read nor passed on."
    )
    unknown_identities: Unknown | None = Field(
        default=None,
        description="Callers that the registry does not declare: `allow` or `refuse`; unset means `registry.unknown`.",
    )
    certificates: CertificateSettings = Field(
        default=CertificateSettings(), description="How client certificates are read, and whose are accepted."
    )
    binding: Literal["none", "any", "required", "mtls", "dpop"] = Field(
        default="any",
        description="How tokens must be bound to their sender: not at all, as they like (what is there must hold), in "
        "one way or the other, to the client certificate (RFC 8705), or to a DPoP key (RFC 9449).",
    )
    dpop: ProofSettings | None = Field(
        default=None, description="Which DPoP proofs are accepted, for resources with `credential: dpop`."
    )
    metadata: MetadataSettings | None = Field(
        default=None,
        description="Publishes what tokens the resource named by `audience` takes (RFC 9728); challenges say where.",
    )

    @property
    def metadata_url(self) -> str:
        """Return where the metadata of the resource is published; empty when it is not."""
        return to_metadata_url(self.audience) if self.metadata is not None else ""

    @model_validator(mode="after")
    def _accepts_something(self) -> ProfileSettings:
        if not self.issuers and self.api_keys is None and not self.certificates.accept:
            message = "give `issuers`, `api_keys` or `certificates.accept`; this profile accepts nobody"
            raise ValueError(message)
        if self.issuers and not self.audience:
            message = "give `audience`: tokens that were made for somebody else are not accepted"
            raise ValueError(message)
        if self.metadata is not None:
            if not self.issuers:
                message = "give `issuers`: `metadata` is for resources that take tokens"
                raise ValueError(message)
            to_metadata_url(self.audience)
        return self
