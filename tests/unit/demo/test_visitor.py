"""The tour's caller that uses the client: whom it can get tokens for, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import pytest

from extauthz.client import TokenRequest
from extauthz.demo.ask import Edge
from extauthz.demo.clients import AUDIENCE
from extauthz.demo.issuer import Issuer
from extauthz.demo.visitor import EdgeTransport, TokenDesk
from tests.simulators.webserver import response, serving_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Return an issuer that need not listen."""
    made = Issuer()
    yield made
    made.stop()


def test_a_token_has_what_was_asked_for_and_what_there_was(issuer: Issuer) -> None:
    """Scopes are united; a person signs in as asked."""
    wish = TokenRequest(resource=AUDIENCE, scopes=("payments:approve",), acr_values=("phishing-resistant",))
    token = TokenDesk(issuer, "alice-laptop", "reports:read")(wish)
    assert token is not None
    claims = jwt.decode(token.value, options={"verify_signature": False})
    assert (claims["scope"], claims["acr"]) == ("payments:approve reports:read", "phishing-resistant")
    assert claims["aud"] == AUDIENCE


def test_what_the_issuer_does_not_grant_is_no_token(issuer: Issuer) -> None:
    """A scope that the client may not have, and a sign-in where there is nobody to sign in."""
    desk = TokenDesk(issuer, "reporting", "")
    assert desk(TokenRequest(resource=AUDIENCE, scopes=("deploy:production",))) is None
    assert desk(TokenRequest(resource=AUDIENCE, max_age=60)) is None
    assert desk(TokenRequest(resource=AUDIENCE)) is not None


def test_requests_reach_envoy_under_the_public_name() -> None:
    """Path and query as the session has them; every answer is kept."""
    with serving_bytes(response(b"x", status="403 Forbidden")) as server:
        transport = EdgeTransport(Edge(int(server.url.rsplit(":", 1)[1])))
        answer = transport("GET", f"{AUDIENCE}/v1/a?b=c", {"x-a": "d"}, b"")
        bare = transport("GET", f"{AUDIENCE}/v1/a", {}, b"")
    assert (answer.status, bare.status, len(transport.answers)) == (403, 403, 2)
    assert server.requests[0].startswith("GET /v1/a?b=c HTTP/1.1\r\nhost: api.example.com\r\n")
    assert server.requests[1].startswith("GET /v1/a HTTP/1.1\r\n")
