"""Settings of introspection: asking an issuer about a token (RFC 7662)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from extauthz.config.section import Section
from extauthz.durations import Duration


class ClientSettings(Section):
    """How we prove ourselves to the issuer: introspection without that would be a way to guess tokens."""

    id: str = Field(min_length=1, description="Our client id at the issuer.")
    secret_file: Path = Field(description="File with our secret; read anew for every question, so it can be rotated.")
    method: Literal["basic", "post"] = Field(
        default="basic", description="Where the secret travels: `client_secret_basic` or `client_secret_post`."
    )


class IntrospectionSettings(Section):
    """How an issuer is asked about tokens. Exactly one place."""

    endpoint: str | None = Field(default=None, description="URL of the introspection endpoint.")
    discovery: bool = Field(
        default=False, description="Read `introspection_endpoint` from the issuer's discovery document."
    )
    client: ClientSettings
    cache: Duration = Field(
        default=30.0, ge=1, le=3600, description="How long `active` is believed: the longest a revoked token goes on."
    )
    cache_inactive: Duration = Field(
        default=10.0, ge=1, le=3600, description="How long a token that is not active is refused without asking again."
    )
    cached_tokens: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Tokens whose answer is kept; as many again that are not active.",
    )
    timeout: Duration = Field(
        default=1.0, le=30, description="Time for one question. Who waits for it leaves earlier, at `server.deadline`."
    )
    slots: int = Field(
        default=8, ge=1, description="Questions under way, and decisions that wait, at a time; below `server.threads`."
    )
    rate: int = Field(
        default=100,
        ge=1,
        description="Questions a second about tokens that were never active; a flood of made-up tokens stops here.",
    )
    prefix: str = Field(
        default="", description="How each opaque token of the issuer begins; others are refused without a question."
    )
    insecure_http: bool = Field(
        default=False, description="WEAKENS: allow `http` URLs other than loopback; tokens and our secret are readable."
    )

    @model_validator(mode="after")
    def _one_place(self) -> IntrospectionSettings:
        if (self.endpoint is not None) == self.discovery:
            message = "give exactly one of endpoint, discovery"
            raise ValueError(message)
        if self.endpoint is not None and not self.endpoint.startswith(("https://", "http://")):
            message = "endpoint must be a URL, for example https://issuer.example/introspect"
            raise ValueError(message)
        return self
