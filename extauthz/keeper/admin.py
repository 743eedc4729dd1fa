"""What the operator asks the keeper, over `admin.sock`: to take something away, to give it back, and to tell.

Who can connect is our own user, or root, so nobody asks who they are; `by` is for the record. A question that cannot be
understood, or carried out, is answered with `{"error": …}`, a sentence that says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.errors import StateError
from extauthz.identity.apikey import ISSUER as API_KEY_ISSUER
from extauthz.ids import new_random_bytes
from extauthz.keeper import admin_forms as forms
from extauthz.keeper.admin_forms import FormError, marks_of, number_of, rows_of, text_of
from extauthz.model.receipt import Action
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.state import signals
from extauthz.state.beat import read_beat
from extauthz.state.changes import RESTRICTION, read_numbers
from extauthz.state.restrictions import count_restrictions, list_restrictions
from extauthz.state.sessions import count_sessions, list_sessions, total_sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.clock import Clock
    from extauthz.config.state import StateSettings
    from extauthz.keeper.keeper import Keeper

    Answer = Mapping[str, Any]

MAX_WAIT: Final = 30.0
"""Longest that a question for news waits."""

_ID_BYTES: Final = 16
_ASK_SECONDS: Final = 1.0
_UNTIL_LIFTED: Final = frozenset({Form.SUBJECT, Form.CLIENT, Form.WORKLOAD, Form.CERTIFICATE})
"""Machines named by these stay out until somebody lets them in; nobody here knows how long a certificate lives."""
_SCANNED: Final = 100_000
"""Restrictions that are looked through for those of a form or an issuer."""

_SINGLE: Final = frozenset({Form.TOKEN, Form.SESSION})


class AdminDesk:
    """Answers the operator. Use it from any thread.

    Args:
        keeper: carries it out.
        settings: of the state.
        clock: of the machine.
    """

    def __init__(self, keeper: Keeper, settings: StateSettings, clock: Clock) -> None:
        self._keeper = keeper
        self._settings = settings
        self._clock = clock
        self._ops: dict[str, Callable[[Mapping[str, Any]], Answer]] = {
            "admit": self._admit,
            "count": self._count,
            "dismiss": self._dismiss,
            "held": self._held,
            "lift": self._lift,
            "restrict": self._restrict,
            "restrictions": self._restrictions,
            "sessions": self._sessions,
            "status": self._status,
            "tail": self._tail,
        }

    def handle(self, message: Mapping[str, Any]) -> Answer:
        """Return the answer to one question."""
        op = self._ops.get(str(message.get("op")))
        if op is None:
            return {"error": f"ask with `op`, one of {', '.join(self._ops)}"}
        try:
            return op(message)
        except (FormError, StateError) as error:
            return {"error": str(error)}

    def _restrict(self, message: Mapping[str, Any]) -> Answer:
        marks, effect = marks_of(message), forms.effect_of(message.get("effect"))
        action = self._action(message, text_of(message, "kind", "revoke"))
        restrictions = [
            Restriction(
                mark=mark,
                effect=effect,
                source=OPERATOR,
                event_at=action.received_at,
                until=self._until(mark, effect, action.received_at),
                signal=action.id,
                by=action.by,
                reason=action.reason,
            )
            for mark in marks
        ]
        return forms.receipt_answer(self._keeper.carry_out(action, restrictions, subject=_names(marks)))

    def _lift(self, message: Mapping[str, Any]) -> Answer:
        marks, action = marks_of(message), self._action(message, "release")
        effects = forms.effects_of(message)
        return forms.receipt_answer(self._keeper.lift(action, marks, effects, subject=_names(marks)))

    def _admit(self, message: Mapping[str, Any]) -> Answer:
        held = text_of(message, "id")
        receipt = self._keeper.admit(held, text_of(message, "by", ""))
        return _NOT_HELD if receipt is None else forms.receipt_answer(receipt)

    def _dismiss(self, message: Mapping[str, Any]) -> Answer:
        held = text_of(message, "id")
        return {"id": held} if self._keeper.dismiss(held, text_of(message, "by", "")) else _NOT_HELD

    def _count(self, message: Mapping[str, Any]) -> Answer:
        marks = marks_of(message)
        with self._keeper.reading() as query:
            return {"sessions": count_sessions(query, marks, (), self._clock.now())}

    def _held(self, _: Mapping[str, Any]) -> Answer:
        with self._keeper.reading() as query:
            return forms.held_answer(signals.held(query))

    def _tail(self, message: Mapping[str, Any]) -> Answer:
        limit, wait = rows_of(message), number_of(message, "wait", 0.0, MAX_WAIT)
        after = None if message.get("after") is None else int(number_of(message, "after", 0, 2**62))
        happenings = self._keeper.news.tail(after, limit, wait)
        if after is None and not happenings:
            after = max((each.position for each in self._keeper.news.tail(None, 1, 0.0)), default=0)
        return forms.tail_answer(happenings, after or 0, newest=message.get("after") is None)

    def _restrictions(self, message: Mapping[str, Any]) -> Answer:
        form, limit, everything = message.get("form"), rows_of(message), message.get("all") is True
        value, issuer, source = (message.get(name) for name in ("value", "issuer", "source"))
        mark = marks_of({"marks": [message]})[0] if form is not None and value is not None else None
        now = self._clock.now()
        with self._keeper.reading() as query:
            found = list_restrictions(
                query,
                self._keeper.seal(query),
                mark=mark,
                source=source if isinstance(source, str) else None,
                at=None if everything else now,
                limit=limit if form is None and issuer is None else _SCANNED,
                in_force_only=not everything,
            )
        shown = [
            each
            for each in found
            if (form is None or each.mark.form == form) and (issuer is None or each.mark.issuer == issuer)
        ]
        return forms.restrictions_answer(shown[:limit])

    def _sessions(self, message: Mapping[str, Any]) -> Answer:
        names = {name: text_of(message, name, "") for name in ("issuer", "subject", "tenant")}
        with self._keeper.reading() as query:
            found = list_sessions(query, **names, limit=rows_of(message))
            total = None if any(names.values()) else total_sessions(query)
        return forms.sessions_answer(found, total)

    def _status(self, _: Mapping[str, Any]) -> Answer:
        with self._keeper.reading() as query:
            beat, streams = read_beat(query), signals.read_streams(query)
            held, restrictions = len(signals.held(query)), count_restrictions(query)
            number = read_numbers(query).get(RESTRICTION, 0)
        self._keeper.confirm(number, _ASK_SECONDS)
        answers = self._keeper.answers
        return {
            "number": number,
            "beat_age": None if beat is None else self._clock.boot() - beat.boot,
            "workers": [
                {"name": name, "number": seen, "answers": seen is not None} for name, seen in sorted(answers.items())
            ],
            "replicas": self._keeper.replicas(number),
            "streams": forms.streams_answer(streams.values()),
            "held": held,
            "restrictions": restrictions,
        }

    def _action(self, message: Mapping[str, Any], kind: str) -> Action:
        return Action(
            id=text_of(message, "id", "") or new_random_bytes(_ID_BYTES).hex(),
            source=OPERATOR,
            kind=kind,
            received_at=self._clock.now(),
            by=text_of(message, "by", ""),
            reason=text_of(message, "reason"),
        )

    def _until(self, mark: Mark, effect: Effect, at: Instant) -> Instant | None:
        """Return when it can be forgotten; None when it holds until it is lifted."""
        if effect is not Effect.REVOKED or mark.form in _UNTIL_LIFTED:
            return None
        keep = self._settings.keep_revocations
        if mark.form not in _SINGLE or mark.issuer == API_KEY_ISSUER:
            keep = max(keep, self._settings.max_key_lifetime)
        return Instant(at + keep)


_NOT_HELD: Final = {"error": "nothing of that id waits; `extauthz signals held` lists what does"}


def _names(marks: tuple[Mark, ...]) -> str:
    names = ", ".join(mark.name.of.replace("  ", " ").strip() for mark in marks[:_NAMED])
    return names if len(marks) <= _NAMED else f"{names}, and {len(marks) - _NAMED} more"


_NAMED: Final = 3
