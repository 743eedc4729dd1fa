"""Settings of client certificates: whose are accepted, and where they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, model_validator

from extauthz.config.section import Section
from extauthz.durations import Duration
from extauthz.limits import DEFAULT_LEEWAY_SECONDS

_ISSUER: Final = r"^[^\s|]+$"
"""As of other issuers: a name with a space could not be told from what follows it, and nothing be revoked by it."""


class AcceptedCertificateSettings(Section):
    """Certificates that are accepted by one name. Exactly one of trust_domain, uri, dns, subject."""

    trust_domain: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9._-]{1,255}$",
        description="X.509-SVIDs of this SPIFFE trust domain; the caller's issuer is `spiffe://` and the trust domain.",
    )
    uri: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z][A-Za-z0-9+.-]*:(?:[^*\s]+|[^*\s]*[^*\s/:][/:]\*)$",
        description="Certificates with this URI name, or with one that begins like this: `https://ci.example/*`.",
    )
    dns: str | None = Field(
        default=None,
        pattern=r"^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$",
        description="Certificates with this DNS name, or with one label more: `*.ci.example`.",
    )
    subject: str | None = Field(
        default=None, min_length=1, description="Certificates with this distinguished name, as RFC 4514 writes it."
    )
    issuer: str | None = Field(
        default=None,
        pattern=_ISSUER,
        description="What policy calls whoever vouches for them, without spaces and `|`; not with `trust_domain`.",
    )
    kind: Literal["user", "service", "workload", "ci", "agent", "third_party"] = Field(
        default="workload", description="What sort of callers they are."
    )
    tenant: str = Field(default="", description="Their tenant.")
    environment: str = Field(default="", description="Where they run.")
    authorities: Path | None = Field(
        default=None,
        description="PEM file: the authorities, intermediate ones included, that must have signed them; read again "
        "when it changes. Without it Envoy must have verified them (`trusted_ca`).",
    )

    @model_validator(mode="after")
    def _one_name(self) -> AcceptedCertificateSettings:
        if sum(name is not None for name in (self.trust_domain, self.uri, self.dns, self.subject)) != 1:
            message = "give exactly one of trust_domain, uri, dns, subject"
            raise ValueError(message)
        if (self.issuer is None) == (self.trust_domain is None):
            message = "give `issuer` with uri, dns and subject; with trust_domain it is the trust domain"
            raise ValueError(message)
        if any(text is not None and text.lower().startswith("spiffe:") for text in (self.uri, self.issuer)):
            message = "SPIFFE IDs are accepted by `trust_domain`"
            raise ValueError(message)
        return self


class CertificateSettings(Section):
    """How client certificates are read, and whose are accepted as a credential."""

    accept: tuple[AcceptedCertificateSettings, ...] = Field(
        default=(), description="In order; the first that fits counts. Needed for `credential: certificate`."
    )
    x_forwarded_client_cert: Literal["ignored", "only", "last"] = Field(
        default="ignored",
        description="What this header is worth: `only` where Envoy replaces it (`SANITIZE_SET`), `last` where it "
        "appends to that of a trusted proxy (`APPEND_FORWARD`). Anywhere else a client can send it.",
    )
    leeway: Duration = Field(default=float(DEFAULT_LEEWAY_SECONDS), le=300, description="Clock difference tolerated.")
