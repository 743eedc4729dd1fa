"""An API as a client meets it: answers from a script, honest or hostile, and remembers what it was sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from extauthz.client import Patience, Response, Session, Token, TokenRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

API: Final = "https://api.example.com"
OK: Final = Response(status=200, body=b"done")
CLOSED: Final = {
    "reason": "outside_change_window",
    "remedies": [{"kind": "window", "opens_at": "2027-01-15T08:10:00Z"}],
}


def refuse(status: int, challenge: str = "", *, body: Mapping[str, Any] | None = None, **headers: str) -> Response:
    """Return a refusal; `body` is a problem, header names are written with underscores."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if challenge:
        fields["www-authenticate"] = challenge
    if body is not None:
        fields["content-type"] = "application/problem+json"
    return Response(status=status, headers=fields, body=b"" if body is None else json.dumps(body).encode())


@dataclass(frozen=True)
class Sent:
    """A request that reached the API."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Api:
    """A transport whose other end is a function of what was sent.

    Attributes:
        answer: what comes back; a tuple of answers is given in turn, the last one again and again.
        sent: every request so far.
    """

    answer: Callable[[Sent], Response] | tuple[Response, ...]
    sent: list[Sent] = field(default_factory=list)

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Remember the request and answer it."""
        sent = Sent(method, url, dict(headers), body)
        self.sent.append(sent)
        if isinstance(self.answer, tuple):
            return self.answer[min(len(self.sent), len(self.answer)) - 1]
        return self.answer(sent)

    @property
    def credentials(self) -> list[str]:
        """Return what each request had in `authorization`."""
        return [sent.headers.get("authorization", "") for sent in self.sent]


@dataclass
class Issuer:
    """A token source that gives a new token each time, and says what it was asked.

    Attributes:
        sign: signs proofs; None for bearer tokens.
        stingy: after so many tokens there are no more.
        asked: every request so far.
    """

    sign: Callable[[Mapping[str, Any]], str] | None = None
    stingy: int = 1_000
    asked: list[TokenRequest] = field(default_factory=list)

    def __call__(self, request: TokenRequest) -> Token | None:
        """Return a token whose value counts the requests."""
        self.asked.append(request)
        return Token(f"t{len(self.asked)}", self.sign) if len(self.asked) <= self.stingy else None


@dataclass
class Watch:
    """A machine on which time passes only when somebody waits.

    Attributes:
        instant: what time it is.
        waited: each pause in seconds.
    """

    instant: float = 1_800_000_000.0
    waited: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Return the time."""
        return self.instant

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.waited.append(seconds)
        self.instant += seconds

    def unique(self) -> str:
        """Return a text that counts the pauses."""
        return f"jti-{len(self.waited)}"


def session(api: Api, issuer: Issuer | None = None, watch: Watch | None = None, **patience: Any) -> Session:
    """Return a session with the API."""
    return Session(API, issuer or Issuer(), patience=Patience(**patience), transport=api, machine=watch or Watch())


def bearer(error: str, rest: str = "") -> str:
    """Return a challenge."""
    return f'Bearer realm="api", error="{error}"{rest}'


def dpop_issuer(signed: list[Mapping[str, Any]]) -> Issuer:
    """Return a source with a DPoP key; its proofs are numbered."""

    def sign(claims: Mapping[str, Any]) -> str:
        signed.append(claims)
        return f"proof-{len(signed)}"

    return Issuer(sign)
