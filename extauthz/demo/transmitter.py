"""The demo issuer as a transmitter: it signs security events and pushes them to extauthz (RFC 8417, RFC 8935)."""

from __future__ import annotations

import http.client
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import SystemClock
from extauthz.signals.effects import READERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extauthz.demo.issuer import Issuer

STREAM: Final = "demo"
"""Name of the stream in the settings."""

AUDIENCE: Final = "https://extauthz.example"
"""Us, as events name us."""

EVENT_TOKEN: Final = "secevent+jwt"  # noqa: S105 — a media type
_URIS: Final = {kind: uri for uri, (kind, _) in READERS.items()}
_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Pushed:
    """What the receiver said.

    Attributes:
        status: 202 when the event is in force, or has no effect; else it is refused.
        body: why; empty with 202.
        seconds: until then.
    """

    status: int
    body: str
    seconds: float


class Transmitter:
    """Sends events of one stream.

    Args:
        issuer: who signs.
        folder: where the file with the secret for the receiver goes.
        port: where the receiver listens on loopback.
    """

    def __init__(self, issuer: Issuer, folder: Path, port: int) -> None:
        self._issuer = issuer
        self._port = port
        self._secret = f"Bearer {secrets.token_urlsafe(24)}"
        self._file = folder / "transmitter.secret"
        self._file.touch(mode=0o600)
        self._file.write_text(self._secret)
        self._clock = SystemClock()

    def to_settings(self) -> dict[str, Any]:
        """Return `signals` of extauthz's settings, for this one stream."""
        stream = {
            "name": STREAM,
            "issuer": self._issuer.issuer,
            "keys": {"url": f"{self._issuer.issuer}/jwks"},
            "algorithms": ["ES256"],
            "audience": AUDIENCE,
            "push": {"authorization_file": str(self._file)},
            "authority": {"issuers": [self._issuer.issuer], "events": sorted(_URIS)},
            "assumed_risk": "low",
        }
        return {"receiver": {"address": f"127.0.0.1:{self._port}"}, "streams": [stream]}

    def push(self, kind: str, subject: Mapping[str, Any], claims: Mapping[str, Any]) -> Pushed:
        """Sign an event that has happened just now, send it, and return the answer.

        Args:
            kind: last part of its URI.
            subject: `sub_id`.
            claims: what the event says beyond that.

        Raises:
            KeyError: nobody knows such an event.
            OSError: no receiver answers.
        """
        now = self._clock.now()
        event = self._issuer.sign(
            {
                "iss": self._issuer.issuer,
                "aud": AUDIENCE,
                "iat": int(now),
                "jti": secrets.token_hex(12),
                "sub_id": dict(subject),
                "events": {_URIS[kind]: {"event_timestamp": round(now, 3), **claims}},
            },
            EVENT_TOKEN,
        )
        headers = {"content-type": f"application/{EVENT_TOKEN}", "accept": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_SECONDS)
        try:
            started = self._clock.monotonic()
            path = f"/events/{STREAM}"
            connection.request("POST", path, event.encode(), {**headers, "authorization": self._secret})
            answer = connection.getresponse()
            body = answer.read().decode("utf-8", "replace")
            return Pushed(answer.status, body, self._clock.monotonic() - started)
        finally:
            connection.close()
