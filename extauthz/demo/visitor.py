"""A caller of the tour that uses `extauthz.client`: it comes with a token and gets what refusals ask for by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from extauthz.client import Response, Session, Token
from extauthz.demo.ask import Ask
from extauthz.demo.clients import AUDIENCE, CLIENT_SECRET, CLIENTS
from extauthz.demo.issuer import TokenRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.client import TokenRequest
    from extauthz.demo.ask import Answer, Edge
    from extauthz.demo.issuer import Issuer


@dataclass(slots=True)
class EdgeTransport:
    """Carries a session's requests to the demo's Envoy, which answers for the API's public address.

    Attributes:
        answers: everything that came back, in order.
    """

    edge: Edge
    answers: list[Answer] = field(default_factory=list)

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Send the request and return the answer."""
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        answer = self.edge.send(Ask(method=method, path=path, headers=tuple(headers.items()), body=body))
        self.answers.append(answer)
        return Response(status=answer.status, headers=answer.headers, body=answer.body)


@dataclass(frozen=True, slots=True)
class TokenDesk:
    """Fetches tokens for one client of the demo issuer.

    Attributes:
        client: its name.
        scope: what it asks for before a refusal names anything.
    """

    issuer: Issuer
    client: str
    scope: str

    def __call__(self, request: TokenRequest) -> Token | None:
        """Return the token, None when the issuer refuses it, or when a machine is asked to sign in."""
        signs_in = bool(request.acr_values) or request.max_age is not None
        if signs_in and CLIENTS[self.client].kind != "user":
            return None
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client,
            "client_secret": CLIENT_SECRET,
            "resource": request.resource,
            "scope": " ".join(sorted({*self.scope.split(), *request.scopes})),
            "acr_values": " ".join(request.acr_values),
        }
        try:
            return Token(self.issuer.grant(form)["access_token"])
        except TokenRefused:
            return None


def visit(edge: Edge, issuer: Issuer, ask: Ask, client: str, scope: str) -> list[Answer]:
    """Send `ask` by way of a new session and return every answer that it got; the last one is what its caller sees."""
    transport = EdgeTransport(edge)
    session = Session(AUDIENCE, TokenDesk(issuer, client, scope), transport=transport)
    session.request(ask.method, ask.path, headers=dict(ask.headers), body=ask.body)
    return transport.answers
