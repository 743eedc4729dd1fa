"""Who can ask the demo issuer for tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CLIENT_SECRET: Final = "demo"  # noqa: S105 — known to everybody; the issuer is a toy on loopback
"""Secret of every demo client."""

AUDIENCE: Final = "https://api.example.com"
"""The API behind the demo Envoy, as tokens name it."""

PASSWORD: Final = "password"  # noqa: S105 — names a way of signing in
"""How people are signed in unless they asked for more (`acr`)."""

PHISHING_RESISTANT: Final = "phishing-resistant"
"""What a step-up leads to (`acr`)."""

SIGNED_IN_SECONDS_AGO: Final = 3600
"""Age of a person's sign-in in a token for which no step-up was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoClient:
    """A client of the demo issuer and whom its tokens speak for.

    Attributes:
        client_id: OAuth client.
        subject: `sub` of its tokens.
        kind: `kind` of the subject.
        tenant: `tenant` claim.
        roles: `roles` claim, also of the actor.
        scopes: what it may ask for, and what it gets when it does not ask.
        agent: name of the agent that acts for the subject (`act`, RFC 8693); empty when the subject acts itself.
    """

    client_id: str
    subject: str
    kind: str
    tenant: str = "acme"
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    agent: str = ""


CLIENTS: Final = {
    client.client_id: client
    for client in (
        DemoClient(client_id="reporting", subject="reporting", kind="service", scopes=("reports:read",)),
        DemoClient(
            client_id="pipeline",
            subject="pipeline",
            kind="ci",
            roles=("deployer",),
            scopes=("reports:read", "deploy:production"),
        ),
        DemoClient(
            client_id="alice-laptop",
            subject="alice",
            kind="user",
            roles=("deployer",),
            scopes=("reports:read", "payments:approve"),
        ),
        DemoClient(
            client_id="assistant",
            subject="alice",
            kind="user",
            roles=("deployer",),
            scopes=("reports:read", "deploy:production"),
            agent="assistant",
        ),
    )
}
"""The declared clients by `client_id`."""
