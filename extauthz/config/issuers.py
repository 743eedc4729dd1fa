"""Settings of issuers: who may vouch for callers, where their keys are, and what their claims mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from extauthz.config.introspection import IntrospectionSettings
from extauthz.config.mapping import MappingSettings
from extauthz.config.section import Section
from extauthz.config.statuslists import StatusListSettings
from extauthz.durations import Duration
from extauthz.limits import DEFAULT_LEEWAY_SECONDS

_TRUST_DOMAIN: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}")
"""The ID of a trust domain (SPIFFE-ID, section 2.1)."""

_NAME: Final = r"^[^\s|]+$"
"""No issuer has a space or a bar in its name: they end it in texts such as `ISSUER SUBJECT` and `ISSUER|WORKLOAD`."""

_SVID_ALGORITHMS: Final = frozenset(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512))
"""JWT-SVID, section 2.1."""


class KeySettings(Section):
    """Where an issuer's public keys come from. Exactly one place."""

    discovery: bool = Field(default=False, description="Read `jwks_uri` from the issuer's discovery document.")
    url: str | None = Field(default=None, description="URL of the JWK set.")
    file: Path | None = Field(default=None, description="File with a JWK set; read again when it changes.")
    refresh: Duration = Field(
        default=300.0,
        description="How often the set is fetched in the background, unless it says that it is good for less.",
    )
    refresh_min: Duration = Field(
        default=30.0, description="Shortest time between two background fetches, whatever the set says."
    )
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


class IssuerSettings(Section):
    """An issuer whose tokens can be accepted."""

    issuer: str = Field(pattern=_NAME, description="The exact `iss`.")
    tokens: Literal["jwt", "opaque"] = Field(
        default="jwt", description="`opaque`: whatever its tokens look like, it is asked about each (`introspection`)."
    )
    keys: KeySettings | None = Field(default=None, description="Needed for `tokens: jwt`, and for signed status lists.")
    introspection: IntrospectionSettings | None = Field(
        default=None, description="Needed for `tokens: opaque`, and for the requirement `revalidate`."
    )
    status_list: StatusListSettings | None = Field(
        default=None, description="Without it a token that names a status list is refused."
    )
    algorithms: tuple[
        Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519"],
        ...,
    ] = Field(default=("ES256", "RS256"), min_length=1, description="Accepted signature algorithms.")
    profile: Literal["rfc9068", "oidc", "github_actions", "gitlab_ci", "kubernetes", "spiffe"] = Field(
        default="rfc9068",
        description="What its tokens look like: access tokens by RFC 9068; those of OpenID providers that do not follow"
        " it; tokens of CI jobs; of Kubernetes service accounts; JWT-SVIDs (`issuer` is then `spiffe://TRUST-DOMAIN`).",
    )
    required_claims: tuple[str, ...] = Field(
        default=(), description="Claims that must be there besides those that `profile` asks for."
    )
    accept_id_tokens: bool = Field(
        default=False, description="WEAKENS: with `profile: oidc`, take ID tokens (with `nonce` or `at_hash`) as well."
    )
    max_lifetime: Duration = Field(default=3600.0 * 12, description="Longest `exp` - `iat` accepted.")
    leeway: Duration = Field(default=float(DEFAULT_LEEWAY_SECONDS), le=300, description="Clock difference tolerated.")
    actors_of: tuple[Annotated[str, Field(pattern=_NAME)], ...] = Field(
        default=(),
        description="Other issuers whose callers its tokens may name as actors (`act.iss`); else they are refused.",
    )
    map: MappingSettings = MappingSettings()

    @model_validator(mode="after")
    def _provable(self) -> IssuerSettings:
        if self.tokens == "jwt" and self.keys is None:
            message = "give `keys`, or `tokens: opaque` with `introspection`"
            raise ValueError(message)
        if self.tokens == "opaque" and self.introspection is None:
            message = "`tokens: opaque` needs `introspection`"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _fits_profile(self) -> IssuerSettings:
        if self.accept_id_tokens and self.profile != "oidc":
            message = "`accept_id_tokens` needs `profile: oidc`"
            raise ValueError(message)
        if self.profile != "spiffe":
            return self
        if _TRUST_DOMAIN.fullmatch(self.issuer) is None:
            message = "with `profile: spiffe` the issuer is the trust domain, for example spiffe://example.org"
            raise ValueError(message)
        if self.keys is None or self.keys.discovery or self.tokens != "jwt":
            message = "`profile: spiffe` needs `keys.url` or `keys.file`: where the bundle of the trust domain is"
            raise ValueError(message)
        if not _SVID_ALGORITHMS.issuperset(self.algorithms):
            message = "`profile: spiffe` takes RS, PS and ES algorithms only"
            raise ValueError(message)
        return self
