"""An issuer that is asked about tokens and publishes status lists: honest, or dead, slow, lying on request."""

from __future__ import annotations

import base64
import threading
import zlib
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qs

from extauthz.demo.loopback import Handler, LoopbackServer, first_values
from tests.simulators.tokens import NOW, TokenMaker, to_base64url

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIENT_ID: Final = "extauthz"
CLIENT_SECRET: Final = "a secret: with colon"

VALID_16: Final = bytes.fromhex("b9a3")
"""The array of the draft's vector with one bit for each of 16 tokens."""


class Mood(StrEnum):
    """How the issuer answers."""

    HONEST = "honest"
    DEAD = "dead"
    """Hangs up without an answer."""
    SLOW = "slow"
    """Answers when the mood changes, half a minute later at the latest."""
    ERROR = "error"
    """500."""
    STRANGER = "stranger"
    """401: it does not know us any more."""
    GARBAGE = "garbage"
    """A page for people, with status 200."""
    TEXT = "text"
    """`active` is the text `true`."""


class TokenHost(LoopbackServer):
    """Answers `POST /introspect` and `GET /lists/NAME`, and discovery.

    Attributes:
        tokens: what it says about each token; not listed is not active.
        lists: name → what is served.
        asked: every token that it was asked about, in order.
        fetched: every path that was fetched, in order.
        credentials: `Authorization` of the last question.
        mood: how it answers; change it by `feel`.
    """

    def __init__(self) -> None:
        super().__init__(_TokenHandler)
        self.tokens: dict[str, dict[str, Any]] = {}
        self.lists: dict[str, str] = {}
        self.asked: list[str] = []
        self.fetched: list[str] = []
        self.credentials = ""
        self.mood = Mood.HONEST
        self._changed = threading.Event()

    def feel(self, mood: Mood) -> None:
        """Answer like this from now on; whoever waits for a slow answer gets one."""
        changed, self._changed = self._changed, threading.Event()
        self.mood = mood
        changed.set()

    def wait_in_mood(self) -> Mood:
        """Return the mood to answer in, after a while when it is slow."""
        if self.mood is Mood.SLOW:
            self._changed.wait(30)
        return self.mood

    def stop(self) -> None:
        """Stop; nobody is left waiting."""
        self.feel(Mood.HONEST)
        super().stop()


def good_basic() -> str:
    """Return the `Authorization` that the issuer expects of us."""
    return "Basic " + base64.b64encode(b"extauthz:a+secret%3A+with+colon").decode()


def answer_about(issuer: str, *, now: float = NOW, **changes: Any) -> dict[str, Any]:
    """Return what an honest issuer says about a token; `changes` replace, None removes."""
    claims = {"active": True, "kind": "ci", "tenant": "acme", **TokenMaker(issuer=issuer).claims(now=now), **changes}
    return {name: value for name, value in claims.items() if value is not None}


def pack(statuses: Sequence[int], bits: int = 1) -> dict[str, Any]:
    """Return `status_list` with these statuses."""
    raw = bytearray((len(statuses) * bits + 7) // 8)
    for index, status in enumerate(statuses):
        position = index * bits
        raw[position // 8] |= status << (position % 8)
    return {"bits": bits, "lst": to_base64url(zlib.compress(bytes(raw)))}


def mint_list(maker: TokenMaker, uri: str, body: Any, *, typ: str = "statuslist+jwt", **changes: Any) -> str:
    """Return the token of a status list; `changes` replace claims, None removes one."""
    others = dict.fromkeys(("iss", "aud", "client_id", "jti", "scope", "kind", "tenant"))
    now = changes.pop("now", NOW)
    return maker.mint(now=now, typ=typ, **{**others, "sub": uri, "status_list": body, **changes})


class _TokenHandler(Handler):
    owner: ClassVar[TokenHost]

    def do_GET(self) -> None:  # noqa: N802 — http.server's name
        """Serve lists and discovery, in the issuer's mood."""
        self.owner.fetched.append(self.path)
        if self._answer_in_mood(self.owner.wait_in_mood()):
            return
        name = self.path.removeprefix("/lists/")
        if self.path == "/.well-known/oauth-authorization-server":
            url = self.owner.url
            self.answer_json(200, {"issuer": url, "introspection_endpoint": f"{url}/introspect"})
        elif name in self.owner.lists:
            self.answer(200, "application/statuslist+jwt", self.owner.lists[name].encode())
        else:
            self.answer_json(404, {})

    def do_POST(self) -> None:  # noqa: N802 — http.server's name
        """Say whether a token is active, in the issuer's mood."""
        form = first_values(parse_qs(self.read_body().decode(), keep_blank_values=True))
        token = form.get("token", "")
        self.owner.asked.append(token)
        self.owner.credentials = self.headers.get("authorization", "")
        if self._answer_in_mood(self.owner.wait_in_mood()):
            return
        if self.owner.credentials != good_basic() and form.get("client_secret") != CLIENT_SECRET:
            self.answer_json(401, {"error": "invalid_client"})
            return
        self.answer_json(200, self.owner.tokens.get(token, {"active": False}))

    def _answer_in_mood(self, mood: Mood) -> bool:
        """Answer as the mood is; return False when that is honestly."""
        match mood:
            case Mood.DEAD:
                self.close_connection = True
            case Mood.ERROR:
                self.answer_json(500, {"active": True})
            case Mood.STRANGER:
                self.answer_json(401, {"error": "invalid_client"})
            case Mood.GARBAGE:
                self.answer(200, "text/html", b"<!doctype html><title>Sign in</title>")
            case Mood.TEXT:
                self.answer_json(200, {"active": "true"})
            case _:
                return False
        return True
