"""The demo issuer, over HTTP."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jwt
import pytest
from jwt.algorithms import ECAlgorithm

from extauthz.demo.issuer import Issuer, Mood
from extauthz.demo.tokens import Wish

if TYPE_CHECKING:
    from collections.abc import Iterator

GRANT = {"grant_type": "client_credentials", "client_id": "reporting", "client_secret": "demo"}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Run an issuer."""
    with Issuer() as running:
        yield running


def call(issuer: Issuer, path: str, form: dict[str, str] | None = None, timeout: float = 30) -> tuple[int, bytes]:
    """Return status and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", issuer.port, timeout=timeout)
    try:
        if form is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, urlencode(form), {"content-type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def read(issuer: Issuer, path: str) -> Any:
    """Return the JSON document at `path`."""
    status, body = call(issuer, path)
    assert status == 200
    return json.loads(body)


def published(issuer: Issuer) -> list[str]:
    """Return the names of the published keys."""
    return [key["kid"] for key in read(issuer, "/jwks")["keys"]]


@pytest.mark.parametrize("name", ["openid-configuration", "oauth-authorization-server"])
def test_discovery_names_the_issuer_and_its_keys(issuer: Issuer, name: str) -> None:
    """Both well-known documents name exactly this issuer, and the key set is where they say."""
    document = read(issuer, f"/.well-known/{name}")
    assert document["issuer"] == issuer.url
    assert document["jwks_uri"] == f"{issuer.url}/jwks"
    assert published(issuer) == ["demo-1"]


def test_issuer_behind_another_address_keeps_its_name() -> None:
    """Where the issuer is reached under another URL, its tokens and documents bear that URL."""
    with Issuer(url="http://127.0.0.1:9") as issuer:
        assert read(issuer, "/.well-known/openid-configuration")["issuer"] == "http://127.0.0.1:9"
        claims = jwt.decode(issuer.mint("reporting"), options={"verify_signature": False})
        assert claims["iss"] == "http://127.0.0.1:9"


def test_token_endpoint_grants_what_was_asked(issuer: Issuer) -> None:
    """Scope, audience, lifetime and authentication context of the request are in the token."""
    asked = GRANT | {
        "client_id": "alice-laptop",
        "scope": "reports:read",
        "resource": "https://other.example",
        "acr_values": "a b",
        "lifetime": "60",
    }
    status, body = call(issuer, "/token", asked)
    assert status == 200
    answer = json.loads(body)
    assert answer["token_type"] == "Bearer"
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["scope"] == "reports:read"
    assert claims["aud"] == "https://other.example"
    assert claims["acr"] == "a"
    assert claims["exp"] - claims["iat"] <= 900
    assert answer["expires_in"] == 60


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_secret": "guess"}, "invalid_client"),
        ({"scope": "reports:read admin"}, "invalid_scope"),
        ({"lifetime": "soon"}, "invalid_request"),
    ],
)
def test_token_endpoint_refuses(issuer: Issuer, changes: dict[str, str], error: str) -> None:
    """What the issuer cannot grant is an OAuth error (RFC 6749 section 5.2)."""
    status, body = call(issuer, "/token", GRANT | changes)
    assert (status, json.loads(body)) == (400, {"error": error})


def test_rotation_publishes_the_new_key_beside_the_previous(issuer: Issuer) -> None:
    """After a rotation new tokens bear a new key's name, the previous key stays for a while, older ones go."""
    before = issuer.mint("reporting")
    assert call(issuer, "/rotate", {})[0] == 200
    after = issuer.mint("reporting")
    assert published(issuer) == ["demo-2", "demo-1"]
    assert jwt.get_unverified_header(before)["kid"] == "demo-1"
    assert jwt.get_unverified_header(after)["kid"] == "demo-2"
    issuer.rotate()
    assert published(issuer) == ["demo-3", "demo-2"]


def test_forged_token_does_not_verify(issuer: Issuer) -> None:
    """A forgery bears the name of the issuer's key and fails against it."""
    jwk = read(issuer, "/jwks")["keys"][0]
    forged = issuer.forge("reporting")
    assert jwt.get_unverified_header(forged)["kid"] == jwk["kid"]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(forged, ECAlgorithm.from_jwk(jwk), algorithms=["ES256"], audience="https://api.example.com")  # type: ignore[arg-type] # a public key


def test_mint_can_change_and_drop_claims(issuer: Issuer) -> None:
    """Tests can ask for tokens that an honest issuer would not write."""
    token = issuer.mint("reporting", Wish(), kind="robot", jti=None)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["kind"] == "robot"
    assert "jti" not in claims


def test_dead_issuer_hangs_up(issuer: Issuer) -> None:
    """A dead issuer answers nothing at all."""
    issuer.feel(Mood.DEAD)
    with pytest.raises(http.client.HTTPException):
        call(issuer, "/jwks")


def test_slow_issuer_keeps_the_caller_waiting(issuer: Issuer) -> None:
    """A slow issuer does not answer within the caller's patience."""
    issuer.feel(Mood.SLOW)
    with pytest.raises(TimeoutError):
        call(issuer, "/jwks", timeout=0.1)


def test_lying_issuer_names_another_and_publishes_no_public_key(issuer: Issuer) -> None:
    """A lying issuer's documents are well-formed and wrong, under the right key names."""
    issuer.feel(Mood.LYING)
    assert read(issuer, "/.well-known/openid-configuration")["issuer"] != issuer.url
    assert published(issuer) == ["demo-1"]
    assert read(issuer, "/jwks")["keys"][0]["kty"] == "oct"


def test_garbage_is_no_json(issuer: Issuer) -> None:
    """An issuer behind a login page answers 200 with HTML."""
    issuer.feel(Mood.GARBAGE)
    status, body = call(issuer, "/jwks")
    assert status == 200
    assert body.startswith(b"<!doctype html>")


def test_unknown_paths_and_health(issuer: Issuer) -> None:
    """Health answers in every mood; nothing answers elsewhere."""
    issuer.feel(Mood.GARBAGE)
    assert call(issuer, "/healthz")[0] == 200
    issuer.feel(Mood.HONEST)
    assert call(issuer, "/admin")[0] == 404
    assert call(issuer, "/admin", {})[0] == 404
