"""A toy OAuth issuer on loopback: discovery, keys, a token endpoint, key rotation, and bad moods on request.

It exists for the demo and the tests. Its clients and their secret are public, it signs whatever they ask for, and
nothing in production may accept its tokens.
"""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qs

from extauthz.clock import SystemClock
from extauthz.demo.clients import CLIENT_SECRET, CLIENTS
from extauthz.demo.loopback import Handler, LoopbackServer, first_values
from extauthz.demo.tokens import ACCESS_TOKEN, DEFAULT_LIFETIME, SigningKey, Wish, to_claims

if TYPE_CHECKING:
    from extauthz.clock import Clock

_DISCOVERY: Final = frozenset({"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"})
_PUBLISHED_KEYS: Final = 2
"""Keys in the set: the one that signs and its predecessor, whose tokens are still about."""

_SLOWEST_SECONDS: Final = 30.0


class Mood(StrEnum):
    """How the issuer answers questions about itself and its keys."""

    HONEST = "honest"
    DEAD = "dead"
    """Hangs up without an answer."""
    SLOW = "slow"
    """Answers after half a minute, or when the mood changes."""
    LYING = "lying"
    """Claims to be another issuer, and publishes a shared secret under the names of its keys."""
    GARBAGE = "garbage"
    """Answers 200 with a page for people."""


class TokenRefused(Exception):  # noqa: N818 — an OAuth error answer, RFC 6749 section 5.2
    """A token request that the issuer turns down; the argument is the OAuth error code."""


class Issuer(LoopbackServer):
    """The issuer.

    Args:
        host: address to listen on.
        port: 0 for any free one.
        url: its name in tokens, where others reach it under another address than it listens on; None for that address.
        clock: where instants come from.

    Attributes:
        issuer: its name: `iss` of its tokens.
        asked: how often the key set was asked for.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, url: str | None = None, clock: Clock | None = None
    ) -> None:
        super().__init__(_IssuerHandler, host, port)
        self.issuer = url or self.url
        self._clock = clock or SystemClock()
        self._keys: tuple[SigningKey, ...] = (SigningKey("demo-1"),)
        self._born = 1
        self._mood = Mood.HONEST
        self._mood_changed = threading.Event()
        self._lock = threading.Lock()
        self.asked = 0

    @property
    def mood(self) -> Mood:
        """Return how the issuer answers now."""
        return self._mood

    def feel(self, mood: Mood) -> None:
        """Answer like this from now on; whoever waits for a slow answer gets it now."""
        changed, self._mood_changed = self._mood_changed, threading.Event()
        self._mood = mood
        changed.set()

    def rotate(self) -> str:
        """Sign with a new key from now on, keep publishing the previous one, and return the new key's name."""
        with self._lock:
            self._born += 1
            key = SigningKey(f"demo-{self._born}")
            self._keys = (key, *self._keys)[:_PUBLISHED_KEYS]
        return key.kid

    def mint(self, client_id: str, wish: Wish | None = None, **changes: Any) -> str:
        """Return a token for a declared client.

        Args:
            client_id: one of `CLIENTS`.
            wish: what to ask for.
            changes: claims to replace; None leaves a claim out.

        Raises:
            KeyError: the client is not declared.
        """
        claims = to_claims(self.issuer, CLIENTS[client_id], wish or Wish(), self._clock.now()) | changes
        return self._keys[0].sign({name: value for name, value in claims.items() if value is not None})

    def sign(self, claims: dict[str, Any], kind: str = ACCESS_TOKEN) -> str:
        """Return a token with claims that somebody else has put together; `kind` is its `typ`."""
        return self._keys[0].sign(claims, kind)

    def forge(self, client_id: str, *, kid: str | None = None) -> str:
        """Return a token that is right in everything but its signature: an impostor's key signed it.

        Args:
            client_id: one of `CLIENTS`.
            kid: name that the impostor gives the key; None for that of the issuer's own key.
        """
        impostor = SigningKey(kid or self._keys[0].kid)
        return impostor.sign(to_claims(self.issuer, CLIENTS[client_id], Wish(), self._clock.now()))

    def to_discovery(self) -> dict[str, Any]:
        """Return the discovery document (RFC 8414 section 2)."""
        issuer = self.issuer if self._mood is not Mood.LYING else "https://somebody-else.example"
        return {
            "issuer": issuer,
            "jwks_uri": f"{self.issuer}/jwks",
            "token_endpoint": f"{self.issuer}/token",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
        }

    def to_jwks(self) -> dict[str, Any]:
        """Return the key set (RFC 7517 section 5)."""
        if self._mood is Mood.LYING:
            return {"keys": [{"kty": "oct", "kid": key.kid, "k": "c2VjcmV0"} for key in self._keys]}
        return {"keys": [key.to_jwk() for key in self._keys]}

    def grant(self, form: dict[str, str]) -> dict[str, Any]:
        """Answer a token request (RFC 6749 section 4.4, RFC 8707 `resource`, RFC 9470 `acr_values`).

        Raises:
            TokenRefused: it is not one that we grant.
        """
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused("unsupported_grant_type")  # noqa: EM101 — the code is the message
        client = CLIENTS.get(form.get("client_id", ""))
        if client is None or form.get("client_secret") != CLIENT_SECRET:
            raise TokenRefused("invalid_client")  # noqa: EM101 — the code is the message
        scope = form.get("scope")
        if scope is not None and not set(scope.split()) <= set(client.scopes):
            raise TokenRefused("invalid_scope")  # noqa: EM101 — the code is the message
        try:
            lifetime = int(form.get("lifetime", DEFAULT_LIFETIME))
        except ValueError:
            raise TokenRefused("invalid_request") from None  # noqa: EM101 — the code is the message
        wish = Wish(scope=scope, acr=form.get("acr_values", "").split(" ")[0], lifetime=lifetime)
        if "resource" in form:
            wish = Wish(scope=scope, acr=wish.acr, lifetime=lifetime, audience=form["resource"])
        token = self.mint(client.client_id, wish)
        return {"access_token": token, "token_type": "Bearer", "expires_in": lifetime}

    def wait_in_mood(self) -> Mood:
        """Return the mood to answer in; a slow issuer takes its time first."""
        if self._mood is Mood.SLOW:
            self._mood_changed.wait(_SLOWEST_SECONDS)
        return self._mood

    def stop(self) -> None:
        """Stop; nobody is left waiting for a slow answer."""
        self.feel(Mood.HONEST)
        super().stop()


class _IssuerHandler(Handler):
    owner: ClassVar[Issuer]

    def do_GET(self) -> None:  # noqa: N802 — http.server's name
        """Answer discovery and keys, in the issuer's mood."""
        if self.path == "/healthz":
            self.answer_json(200, {"ok": True})
            return
        if self.path == "/jwks":
            self.owner.asked += 1
        mood = self.owner.wait_in_mood()
        if mood is Mood.DEAD:
            self.close_connection = True
        elif mood is Mood.GARBAGE:
            self.answer(200, "text/html", b"<!doctype html><title>Sign in</title>")
        elif self.path in _DISCOVERY:
            self.answer_json(200, self.owner.to_discovery())
        elif self.path == "/jwks":
            self.answer_json(200, self.owner.to_jwks())
        else:
            self.answer_json(404, {"error": "not_found"})

    def do_POST(self) -> None:  # noqa: N802 — http.server's name
        """Grant tokens and rotate keys."""
        try:
            form = first_values(parse_qs(self.read_body().decode("ascii", "replace"), keep_blank_values=True))
        except ValueError:
            self.close_connection = True
            self.answer_json(413, {"error": "invalid_request"})
            return
        if self.path == "/rotate":
            self.answer_json(200, {"kid": self.owner.rotate()})
        elif self.path == "/token":
            try:
                self.answer_json(200, self.owner.grant(form))
            except TokenRefused as refused:
                self.answer_json(400, {"error": str(refused)})
        else:
            self.answer_json(404, {"error": "not_found"})
