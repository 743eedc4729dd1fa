"""From a verified event to what it takes away, or gives back: `read_event`.

1. An event about the stream itself is for the stream.
2. An event that we do not know, or that takes nothing away, is written down and nothing else.
3. The subject becomes targets (`subjects.py`). Where a critical member is none that we can use, the event is discarded;
   where callers cannot be compared with it, it is not applicable. Both are said, neither is an error of the sender.
4. The stream has the authority for it (`authority.py`), or it has no effect.
5. It happened at `event_timestamp`, else when the event was issued. An instant in the future is refused: nothing later
   would ever count again.
6. Lifting reaches no further than narrowing did: only rows of this stream, on exactly the same target, and nothing
   where part of the subject was passed over and many are named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.limits import MAX_RECORDED_TEXT
from extauthz.model.restriction import Effect, Form, Restriction
from extauthz.signals.authority import OutsideError, bind_targets
from extauthz.signals.effects import READERS, Change
from extauthz.signals.event_token import instant_in, refuse, text_in
from extauthz.signals.stream_events import KINDS, NO_NEWS, StreamNews, read_stream_event
from extauthz.signals.subjects import Subject, Target, read_subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.signals.event_token import EventToken
    from extauthz.signals.rules import StreamRules

_INITIATORS: Final = frozenset({"admin", "user", "policy", "system"})
_CUT_OFFS: Final = frozenset({Effect.REVOKED, Effect.REAUTHENTICATE})
_ONE_USE: Final = frozenset({Form.TOKEN, Form.SESSION})
_SOFTWARE: Final = frozenset({Form.SUBJECT, Form.CLIENT})


class Outcome(StrEnum):
    """What becomes of an event that its transmitter has signed."""

    APPLIED = "applied"
    """It narrows, or lifts what it had narrowed."""
    NOTED = "noted"
    """It takes nothing away."""
    NOT_APPLICABLE = "not_applicable"
    """It was meant to, but says nothing that callers can be compared with."""
    DISCARDED = "discarded"
    """A critical member of its subject is none that we can use."""
    OUTSIDE_AUTHORITY = "outside_authority"
    """Its stream may not report this."""
    STREAM = "stream"
    """It is about the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What an event comes to.

    Attributes:
        kind: the last part of its URI; the whole URI where we do not know it.
        outcome: what becomes of it.
        event_at: when it happened, by its transmitter's word.
        restrictions: what it puts in force.
        lifts: what it lifts again.
        subject: whom it is about, for people; empty when nobody can tell.
        note: why it has no effect, for people.
        by: who is said to have caused it; empty when it does not say.
        reason: why, for administrators.
        news: what it says about the stream.
    """

    kind: str
    outcome: Outcome
    event_at: Instant
    restrictions: tuple[Restriction, ...] = ()
    lifts: tuple[Restriction, ...] = ()
    subject: str = ""
    note: str = ""
    by: str = ""
    reason: str = ""
    news: StreamNews = NO_NEWS


def read_event(token: EventToken, rules: StreamRules, at: Instant) -> Reported:
    """Return what an event comes to.

    Args:
        token: verified.
        rules: of its stream.
        at: now.

    Raises:
        SignalError: its payload or its subject is malformed, or it happened in the future.
    """
    event_at = _event_at(token, at + rules.leeway)
    # 1. About the stream.
    if token.event in KINDS:
        news = read_stream_event(token, rules)
        return Reported(kind=KINDS[token.event], outcome=Outcome.STREAM, event_at=event_at, news=news)
    # 2. Known, and of consequence.
    if token.event not in READERS:
        kind = _plain(token.event)
        return Reported(kind=kind, outcome=Outcome.NOT_APPLICABLE, event_at=event_at, note="no event that we know")
    kind, reader = READERS[token.event]
    change = reader(token.payload)
    subject = read_subject(token.subject, rules, change.principal)
    outcome, note, targets = _judge(kind, change, subject, rules)
    reported = Reported(
        kind=kind,
        outcome=outcome,
        event_at=event_at,
        subject=_plain(subject.text),
        note=note,
        by=_initiator(token.payload),
        reason=_reason(token.payload),
    )
    if not targets:
        return reported
    # 6. Lifting only what is named as a whole.
    certain = change if subject.whole else replace(change, lifts=())
    return _with_restrictions(reported, certain, targets, token.jti, rules, at)


def _judge(kind: str, change: Change, subject: Subject, rules: StreamRules) -> tuple[Outcome, str, tuple[Target, ...]]:
    """Return what becomes of an event, why, and the targets of what is applied."""
    if not (change.puts or change.lifts or change.problem):
        return Outcome.NOTED, "", ()
    # 3. About somebody whom we can tell.
    if subject.critical:
        return Outcome.DISCARDED, f"the critical subject member `{subject.critical}` cannot be used", ()
    # 4. With authority; also of what is not applicable, so that its alarm is raised.
    try:
        targets = bind_targets(kind, subject.targets, rules)
    except OutsideError as error:
        return Outcome.OUTSIDE_AUTHORITY, str(error), ()
    problem = change.problem or subject.problem
    if not problem and not change.puts and not subject.whole:
        problem = "it would lift more than the subject says"
    return (Outcome.NOT_APPLICABLE, problem, ()) if problem else (Outcome.APPLIED, "", targets)


def _event_at(token: EventToken, latest: float) -> Instant:
    # 5. When it happened.
    event_at = instant_in(token.payload, "event_timestamp")
    if event_at is None:
        return token.issued_at
    if event_at > latest:
        refuse("`event_timestamp` is in the future; it is in seconds")
    return event_at


def _with_restrictions(  # noqa: PLR0913, PLR0917 — what a restriction consists of
    reported: Reported, change: Change, targets: tuple[Target, ...], signal: str, rules: StreamRules, at: Instant
) -> Reported:
    """Return the report with what it puts in force and what it lifts, which is kept as long as anything revoked is."""
    forgotten = Instant(at + rules.keep)

    def restrict(effect: Effect, target: Target, until: Instant | None, *, in_force: bool) -> Restriction:
        return Restriction(
            mark=target.mark,
            also=target.also,
            effect=effect,
            source=rules.source,
            event_at=reported.event_at,
            until=until,
            in_force=in_force,
            signal=signal,
            by=reported.by,
            reason=reported.reason,
        )

    return replace(
        reported,
        restrictions=tuple(
            restrict(effect, target, forgotten if _ends_by_itself(effect, target) else None, in_force=True)
            for effect in change.puts
            for target in targets
        ),
        lifts=tuple(
            restrict(effect, target, forgotten, in_force=False) for effect in change.lifts for target in targets
        ),
    )


def _ends_by_itself(effect: Effect, target: Target) -> bool:
    """Return whether no credential is left, some day, that a restriction refuses.

    What has been issued before an instant expires. Software that is named itself is refused until somebody lifts that.
    """
    forms = {mark.form for mark in target.marks}
    return effect in _CUT_OFFS and bool(forms & _ONE_USE or not forms & _SOFTWARE)


def _initiator(payload: Mapping[str, Any]) -> str:
    who = text_in(payload, "initiating_entity")
    return who if who in _INITIATORS else ""


def _reason(payload: Mapping[str, Any]) -> str:
    """Return the reason for administrators, in English where there is one; it is for people and never an error."""
    said = payload.get("reason_admin")
    if isinstance(said, dict):
        texts = [text for text in (said.get("en"), *said.values()) if isinstance(text, str)]
        said = texts[0] if texts else ""
    return _plain(said) if isinstance(said, str) else ""


def _plain(text: str) -> str:
    """Return a text of theirs as it may be shown on a terminal, and not too long."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_RECORDED_TEXT])
