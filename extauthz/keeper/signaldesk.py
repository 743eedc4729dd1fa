"""Takes events of streams as they came, and answers when it is certain what has become of them.

1. Whoever hands an event over is believed nothing but the name of the stream: everything else is in the signature.
2. A key that is not known is looked for once. While the transmitter's keys cannot be had the answer is `unavailable`,
   and the event comes again; it is never dropped because of us.
3. An event that is malformed, or not for us, is refused with its code and leaves no trace in the state.
4. An event that has no effect (nothing to take away, nobody we could compare, no authority) is written down with the
   reason, and accepted: sent again it would have none either. What is outside the stream's authority raises an alarm.
5. An effect is put in force by the keeper: once for each `jti`, held for a person where it would end too many sessions.
   `accepted` is said when it is durable and every worker of this machine decides by it.
6. A stream was heard when its transmitter last signed something: the age of the event counts, not when it arrived, so
   that one that was kept back does not make a silent stream seem alive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import structlog

from extauthz.errors import SignalError, StateError
from extauthz.model.receipt import Action
from extauthz.ports import Fetched, NeedsEvidence
from extauthz.signals.effects import READERS
from extauthz.signals.event_token import INVALID_KEY, INVALID_STATE, EventToken, verify_event_token
from extauthz.signals.events import Outcome, Reported, read_event
from extauthz.signals.stream_events import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from extauthz.clock import Clock, Instant
    from extauthz.model.receipt import Receipt
    from extauthz.model.restriction import Restriction
    from extauthz.ports import Need, VerificationKey
    from extauthz.server.verifications import Verifications
    from extauthz.signals.rules import StreamRules
    from extauthz.telemetry.statemetrics import StateMetrics

_log = structlog.get_logger(__name__)

KEY_SECONDS: Final = 3.0
"""How long an event waits for a newer look at the keys of its transmitter."""

ROUTINE_SECONDS: Final = 3600.0
"""How long events are kept that are heard all the time and take nothing away; a transmitter may tell of every use of a
session. Heard again later, they do no harm."""

_ROUTINE: Final = frozenset({Outcome.NOTED, Outcome.STREAM})
_LABELS: Final = frozenset({*KINDS.values(), *(kind for kind, _ in READERS.values())})
_ALARMING: Final = frozenset({Outcome.OUTSIDE_AUTHORITY, Outcome.DISCARDED, Outcome.NOT_APPLICABLE})


class StreamKeys(Protocol):
    """The public keys of transmitters."""

    def find_key(self, issuer: str, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return a key, from memory; see `ports.KeySource`."""
        ...

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Have a newer look at the keys of an issuer; see `ports.EvidenceSource`."""
        ...


class EffectKeeper(Protocol):
    """Who puts effects in force, and writes down what was heard: `keeper/keeper.py`."""

    def carry_out(
        self,
        action: Action,
        restrictions: Sequence[Restriction],
        *,
        hold_above: int | None = None,
        subject: str = "",
        detail: str = "",
    ) -> Receipt:
        """Put restrictions in force, or hold them; once for each action."""
        ...

    def note(
        self, action: Action, outcome: str, *, subject: str = "", detail: str = "", keep: float | None = None
    ) -> bool:
        """Write down what has no effect; return whether it is new."""
        ...

    def heard(self, stream: str, at: Instant) -> None:
        """Note that a stream was heard."""
        ...

    def set_stream_status(self, stream: str, status: str, at: Instant) -> None:
        """Note what its transmitter says of a stream."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What has become of an event.

    Attributes:
        status: `accepted`, `refused`, or `unavailable`: it should be sent again.
        err: the code of the error where it is refused (RFC 8935 section 2.4).
        description: a sentence of ours about it.
        receipt: where an effect is in force; None when there is none.
    """

    status: Literal["accepted", "refused", "unavailable"]
    err: str = ""
    description: str = ""
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that is listened to.

    Attributes:
        rules: how its events are verified and read.
        hold_above: an event that would end more live sessions waits for a person.
    """

    rules: StreamRules
    hold_above: int


class SignalDesk:
    """Hears events. Use it from any thread.

    Args:
        streams: that are listened to.
        keeper: puts effects in force.
        keys: of the streams' transmitters.
        clock: for instants.
        verifications: knows the states of the verification events that we asked for.
        metrics: counts.
    """

    def __init__(  # noqa: PLR0913 — the parts that it joins
        self,
        streams: Iterable[Stream],
        keeper: EffectKeeper,
        keys: StreamKeys,
        *,
        clock: Clock,
        verifications: Verifications,
        metrics: StateMetrics,
    ) -> None:
        self._streams = {stream.rules.name: stream for stream in streams}
        self._keeper = keeper
        self._keys = keys
        self._clock = clock
        self._verifications = verifications
        self._metrics = metrics
        self._heard: dict[str, Instant] = {}

    def learn(self, name: str, critical: Iterable[str]) -> None:
        """Take over the critical subject members that a transmitter's metadata name, besides those of the settings."""
        stream = self._streams[name]
        rules = replace(stream.rules, critical=stream.rules.critical.union(critical))
        self._streams[name] = replace(stream, rules=rules)

    def handle(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer one question of the receiver, as it comes through a socket."""
        match message:
            case {"op": "event", "stream": str(stream), "token": str(token)}:
                heard = self.hear(stream, token)
                return {"status": heard.status, "err": heard.err, "description": heard.description}
            case {"op": "streams"}:
                return {"streams": sorted(self._streams)}
            case _:
                return {"error": "ask with `op` event, `stream` and `token`, or with `op` streams"}

    def hear(self, stream: str, compact: str) -> Heard:
        """Take one event, and return what has become of it.

        Args:
            stream: the name of the stream that it came on.
            compact: a security event token, as it was received.
        """
        known = self._streams.get(stream)
        if known is None:
            return Heard(status="refused", err="access_denied", description="there is no such stream")
        try:
            token = self._verify(compact, known.rules)
            if token is None:
                return self._unavailable(stream, "the keys of the transmitter cannot be had")
            reported = read_event(token, known.rules, self._clock.now())
            heard = self._act(known, token, reported)
            self._note_heard(stream, min(token.issued_at, self._clock.now()))
        except SignalError as error:
            _log.warning("event refused", stream=stream, err=error.err, problem=error.description)
            self._count(stream, "", "refused")
            return Heard(status="refused", err=error.err, description=error.description)
        except StateError as error:
            return self._unavailable(stream, str(error))
        return heard

    def _note_heard(self, stream: str, at: Instant) -> None:
        """Note when a stream was heard; of many events of one second once."""
        if at > self._heard.get(stream, 0.0):
            self._keeper.heard(stream, at)
            self._heard[stream] = at

    def _verify(self, compact: str, rules: StreamRules) -> EventToken | None:
        """Return the event; None when its transmitter's keys cannot be had."""
        found = verify_event_token(compact, rules, self._keys, self._clock.now())
        if isinstance(found, EventToken):
            return found
        if self._keys.fetch(found.need, KEY_SECONDS) is not Fetched.DONE:
            return None
        found = verify_event_token(compact, rules, self._keys, self._clock.now())
        if isinstance(found, NeedsEvidence):
            raise SignalError(INVALID_KEY, "the transmitter publishes no such key")
        return found

    def _act(self, stream: Stream, token: EventToken, reported: Reported) -> Heard:
        rules = stream.rules
        action = Action(
            id=token.jti,
            source=rules.source,
            kind=reported.kind,
            received_at=self._clock.now(),
            by=reported.by,
            reason=reported.reason,
        )
        if reported.outcome is Outcome.APPLIED:
            return self._carry_out(stream, action, reported)
        if reported.outcome is Outcome.STREAM:
            self._take_news(rules, reported)
        keep = ROUTINE_SECONDS if reported.outcome in _ROUTINE else None
        new = self._keeper.note(action, reported.outcome, subject=reported.subject, detail=_detail(reported), keep=keep)
        outcome = str(reported.outcome) if new else "known"
        self._count(rules.name, reported.kind, outcome)
        if new and reported.outcome in _ALARMING:
            _log.warning(
                "event without effect",
                stream=rules.name,
                kind=reported.kind,
                outcome=outcome,
                problem=reported.note,
                jti=token.jti,
            )
        if new and reported.outcome is Outcome.OUTSIDE_AUTHORITY:
            self._metrics.alarm("outside_authority")
        return Heard(status="accepted")

    def _carry_out(self, stream: Stream, action: Action, reported: Reported) -> Heard:
        age = max(0.0, action.received_at - reported.event_at)  # Clocks differ a little.
        receipt = self._keeper.carry_out(
            action,
            (*reported.restrictions, *reported.lifts),
            hold_above=stream.hold_above,
            subject=reported.subject,
            detail=f"{age:.1f} s after it happened",
        )
        name = stream.rules.name
        if receipt.held:
            _log.warning("event held for a person", stream=name, held=receipt.held, sessions=receipt.sessions)
            self._count(name, reported.kind, "held")
            return Heard(status="accepted", receipt=receipt)
        if receipt.workers < receipt.of_workers:
            return self._unavailable(name, "not every worker has said that it decides by it", reported.kind)
        if receipt.changed:
            self._count(name, reported.kind, str(reported.outcome), self._clock.now() - reported.event_at)
        else:
            self._count(name, reported.kind, "known")
        return Heard(status="accepted", receipt=receipt)

    def _take_news(self, rules: StreamRules, reported: Reported) -> None:
        news = reported.news
        if not self._verifications.knows(rules.name, news.state):
            raise SignalError(INVALID_STATE, "`state` is none that we have sent")
        if news.status:
            self._keeper.set_stream_status(rules.name, news.status, reported.event_at)
            if news.status != "enabled":
                _log.error("the transmitter has stopped the stream", stream=rules.name, status=news.status)

    def _unavailable(self, stream: str, problem: str, kind: str = "") -> Heard:
        _log.error("event not taken; it is to come again", stream=stream, problem=problem)
        self._count(stream, kind, "unavailable")
        return Heard(status="unavailable", description="try again shortly")

    def _count(self, stream: str, kind: str, outcome: str, age: float | None = None) -> None:
        label = kind if kind in _LABELS or not kind else "unknown"
        self._metrics.signal_done(stream, label, outcome, age)


def _detail(reported: Reported) -> str:
    return reported.note or reported.news.status
