"""A maker of security events for tests: well-formed by default, hostile on request.

`EventMaker().mint()` is a `session-revoked` about the user alice of `ISSUER`, as the stream of `stream_rules()` accepts
it at `NOW`; each argument changes one thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.signals.effects import CAEP, READERS
from extauthz.signals.event_token import EventToken
from extauthz.signals.rules import StreamRules
from extauthz.signals.stream_events import KINDS
from tests.simulators.tokens import ISSUER, NOW, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Mapping

TRANSMITTER: Final = "https://transmitter.example"
OTHER_ISSUER: Final = "https://other-issuer.example"
RECEIVER: Final = "https://receiver.example/events"
STREAM_ID: Final = "stream-1"
ALICE: Final = {"format": "iss_sub", "iss": ISSUER, "sub": "alice"}

URIS: Final = {kind: uri for uri, (kind, _) in READERS.items()} | {kind: uri for uri, kind in KINDS.items()}
"""Kind of an event → its URI."""

REVOKED: Final = f"{CAEP}session-revoked"

PAYLOADS: Final[Mapping[str, Mapping[str, Any]]] = {
    "token-claims-change": {"claims": {"role": "reader"}},
    "credential-change": {"credential_type": "password", "change_type": "update"},
    "credential-compromise": {"credential_type": "password"},
    "assurance-level-change": {"namespace": "NIST-AAL", "current_level": "nist-aal1", "change_direction": "decrease"},
    "device-compliance-change": {"previous_status": "compliant", "current_status": "not-compliant"},
    "risk-level-change": {"principal": "USER", "current_level": "HIGH", "risk_reason": "seen elsewhere"},
    "stream-updated": {"status": "enabled"},
}
"""A valid payload of each kind that needs one."""


def stream_rules(**changes: Any) -> StreamRules:
    """Return the rules of a stream that may report everything about the callers of `ISSUER`."""
    values: dict[str, Any] = {
        "name": "idp",
        "issuer": TRANSMITTER,
        "algorithms": ("RS256", "ES256"),
        "audience": RECEIVER,
        "stream_id": STREAM_ID,
        "leeway": 5.0,
        "issuers": (ISSUER,),
        "events": frozenset(kind for kind, _ in READERS.values()),
        "keep": 86400.0,
        **changes,
    }
    return StreamRules(**values)


def event_token(kind: str = "session-revoked", subject: Mapping[str, Any] = ALICE, /, **payload: Any) -> EventToken:
    """Return a verified event of a kind, its required members filled in; `payload` replaces, None removes."""
    members = {**PAYLOADS.get(kind, {}), **payload}
    return EventToken(
        jti="e-1",
        issued_at=NOW,
        subject=subject,
        event=URIS.get(kind, kind),
        payload={name: value for name, value in members.items() if value is not None},
    )


@dataclass(frozen=True)
class EventMaker(TokenMaker):
    """One signing key of one transmitter."""

    issuer: str = TRANSMITTER
    audience: str = RECEIVER

    def claims(self, *, now: float = NOW, lifetime: float = 300, **changes: Any) -> dict[str, Any]:  # noqa: ARG002 — events live for ever
        """Return the claims of a valid event; `changes` replace, None removes."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "iat": int(now),
            "jti": "e-1",
            "sub_id": ALICE,
            "events": {REVOKED: {"event_timestamp": int(now)}},
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def mint(
        self,
        *,
        now: float = NOW,
        lifetime: float = 300,
        typ: str | None = "secevent+jwt",
        headers: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Return a signed event; see `TokenMaker.mint`."""
        return super().mint(now=now, lifetime=lifetime, typ=typ, headers=headers, **changes)

    def event(
        self, kind: str, subject: Mapping[str, Any] = ALICE, /, *, jti: str = "e-1", now: float = NOW, **payload: Any
    ) -> str:
        """Return a signed event of a kind, its required members filled in."""
        members = {**PAYLOADS.get(kind, {}), **payload}
        events = {URIS.get(kind, kind): {name: value for name, value in members.items() if value is not None}}
        return self.mint(now=now, jti=jti, sub_id=dict(subject), events=events)

    def unsigned(self, algorithm: str = "none", signature: str = "") -> str:
        """Return an event that nobody has signed."""
        signed = self.mint(headers={"alg": algorithm}).rsplit(".", 1)[0]
        return f"{signed}.{signature}"
