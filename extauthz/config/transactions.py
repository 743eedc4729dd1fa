"""Settings of transaction tokens: the context of a request that spans several services."""

from __future__ import annotations

from pydantic import Field

from extauthz.config.section import Section


class TransactionSettings(Section):
    """Which transaction tokens are read from the header `Txn-Token`. They are context and prove no caller."""

    issuer: str = Field(description="The service that issues them; it must be configured under `issuers`.")
    audience: str = Field(min_length=1, description="The trust domain that `aud` must contain, exactly.")
