"""Settings of DPoP (RFC 9449): what proofs a verification profile accepts, and what nonces are made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from extauthz.config.section import Section
from extauthz.durations import Duration

if TYPE_CHECKING:
    from extauthz.config.settings import Settings

PublicOrigin = Annotated[
    str,
    StringConstraints(pattern=r"^https?://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[1-9][0-9]{0,4})?$"),
]
"""Scheme, host and port in lower case, and no path."""


class ProofSettings(Section):
    """DPoP proofs that a verification profile accepts; what they use up is kept in `state`."""

    origin: PublicOrigin = Field(
        description="Where clients reach the resources, as they see it (`https://api.example.com`); `htu` must name it."
    )
    algorithms: tuple[
        Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "Ed25519"],
        ...,
    ] = Field(
        default=("ES256", "EdDSA", "Ed25519"), min_length=1, description="Accepted signature algorithms of proofs."
    )
    max_age: Duration = Field(default=60.0, gt=0, le=600, description="How long after its `iat` a proof is accepted.")
    skew: Duration = Field(default=5.0, le=60, description="Tolerated clock difference between clients and us.")
    nonce: Literal["off", "required"] = Field(
        default="off",
        description="`required`: proofs must hold a nonce that we gave out lately, so none can be made beforehand.",
    )


class NonceSettings(Section):
    """Nonces for DPoP proofs, for every profile that requires them."""

    nonce_secret_file: Path | None = Field(
        default=None,
        description="File with the secret that nonces are made from, 32 bytes or more; servers that share it accept "
        "each other's nonces. Without it each server makes up its own.",
    )
    nonce_lifetime: Duration = Field(
        default=120.0, ge=1, le=3600, description="How long a nonce is given out; it is accepted once as long again."
    )


def require_proofs_can_be_spent(settings: Settings) -> None:
    """Refuse settings that accept proofs and have nowhere to remember them.

    Raises:
        ValueError: they do; the message says where.
    """
    for name, profile in settings.profiles.items():
        if profile.dpop is not None and settings.state is None:
            message = f"profiles.{name}.dpop: used proofs are remembered in the state; set `state: {{path: FILE}}`"
            raise ValueError(message)
