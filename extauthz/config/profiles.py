"""Settings of verification profiles: which credentials of which issuers a resource accepts."""

from __future__ import annotations

from pydantic import Field

from extauthz.config.section import Section
from extauthz.durations import Duration


class ProfileSettings(Section):
    """A verification profile, chosen by resources with `verify: NAME`."""

    issuers: tuple[str, ...] = Field(min_length=1, description="Accepted issuers; each must be configured.")
    audience: str = Field(min_length=1, description="The resource identifier that `aud` must contain, exactly.")
    realm: str = Field(default="", description="`realm` in challenges.")
    max_token_age: Duration | None = Field(default=None, description="Oldest `iat` accepted; unset means no limit.")
