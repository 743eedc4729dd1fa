"""Settings of token status lists: lists of revoked tokens that an issuer publishes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from extauthz.config.section import Section
from extauthz.durations import Duration


def _prefix(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in {"https", "http"} or "/" not in rest or rest.startswith("/"):
        message = "write a URL with host and path, for example https://issuer.example/status/"
        raise ValueError(message)
    return value


class StatusListSettings(Section):
    """How the status of an issuer's tokens is looked up."""

    uris: tuple[Annotated[str, AfterValidator(_prefix)], ...] = Field(
        default=(), description="Where its lists are: exact URLs, or what they begin with when it ends with `/`."
    )
    required: bool = Field(default=False, description="Refuse tokens that name no status list.")
    ignored: bool = Field(default=False, description="WEAKENS: accept tokens without looking at the list they name.")
    issuer: str | None = Field(
        default=None, description="Whose keys sign the lists: another configured issuer; the same one if not said."
    )
    shortest: Duration = Field(default=1.0, ge=1, description="A list is kept at least this long, whatever it says.")
    longest: Duration = Field(
        default=300.0, ge=1, description="A list is kept at most this long: the longest a revoked token goes on."
    )
    max_bytes: int = Field(
        default=1024 * 1024, ge=1, le=16 * 1024 * 1024, description="Longest list accepted, inflated; 8 tokens a byte."
    )
    timeout: Duration = Field(default=2.0, le=30, description="Time for fetching one list.")
    insecure_http: bool = Field(default=False, description="WEAKENS: allow `http` URLs other than loopback.")

    @model_validator(mode="after")
    def _consistent(self) -> StatusListSettings:
        if self.ignored and (self.required or self.uris):
            message = "`ignored` leaves nothing to configure"
            raise ValueError(message)
        if not self.ignored and not self.uris:
            message = "say in `uris` where the lists are"
            raise ValueError(message)
        if self.shortest > self.longest:
            message = "`shortest` is longer than `longest`"
            raise ValueError(message)
        return self
