"""What the operator asks, and is told, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from extauthz.link.frames import MAX_FRAME
from extauthz.model.receipt import to_document
from extauthz.model.restriction import Effect, Mark
from extauthz.model.restriction_document import from_mark_document
from extauthz.model.restriction_document import to_document as to_restriction_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extauthz.model.receipt import Receipt
    from extauthz.model.restriction import Restriction
    from extauthz.state.sessions import LiveSession
    from extauthz.state.signals import Happening, Held, StreamHeard

MAX_MARKS: Final = 1000
"""Targets of one action."""

MAX_ROWS: Final = 1000
"""Rows of one answer."""

MAX_ANSWER: Final = MAX_FRAME - (1 << 16)
"""Bytes of the rows of one answer. What streams wrote into them must not keep a person from seeing any."""

_HELD_SHOWN: Final = 10
"""Restrictions of a held event that an answer lists, so that one event fits."""

MAX_TEXT: Final = 4096
"""Characters of who did something, and why."""


class FormError(ValueError):
    """A question that cannot be understood; the message says how to ask."""


def text_of(message: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a text of a question.

    Raises:
        FormError: it is not there and has no default, is no text, or is too long.
    """
    text = message.get(name, default)
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        problem = f"`{name}` is not a text of at most {MAX_TEXT} characters"
        raise FormError(problem)
    return text


def number_of(message: Mapping[str, Any], name: str, default: float, most: float) -> float:
    """Return a number of a question, from 0 to `most`.

    Raises:
        FormError: it is none.
    """
    number = message.get(name, default)
    if isinstance(number, bool) or not isinstance(number, int | float) or number < 0:
        problem = f"`{name}` is not a number"
        raise FormError(problem)
    return min(number, most)


def rows_of(message: Mapping[str, Any]) -> int:
    """Return how many rows are asked for.

    Raises:
        FormError: `limit` is no number.
    """
    return int(number_of(message, "limit", 100, MAX_ROWS))


def marks_of(message: Mapping[str, Any]) -> tuple[Mark, ...]:
    """Return the targets of a question, each once.

    Raises:
        FormError: there are none, too many, or one is no target.
    """
    marks = message.get("marks")
    if not isinstance(marks, list) or not 1 <= len(marks) <= MAX_MARKS:
        problem = f"`marks` is not a list of 1 to {MAX_MARKS} targets"
        raise FormError(problem)
    try:
        return tuple(dict.fromkeys(from_mark_document(mark) for mark in marks))
    except ValueError as error:
        problem = f"a target of `marks` cannot be understood: {error}"
        raise FormError(problem) from error


def effect_of(name: object) -> Effect:
    """Return an effect by its name.

    Raises:
        FormError: there is none of that name.
    """
    for effect in Effect:
        if effect.value == name:
            return effect
    problem = f"no such effect; one of {', '.join(Effect)}"
    raise FormError(problem)


def effects_of(message: Mapping[str, Any]) -> frozenset[Effect] | None:
    """Return the effects of a question; None for all.

    Raises:
        FormError: one is none.
    """
    names = message.get("effects")
    if names is None:
        return None
    if not isinstance(names, list):
        problem = "`effects` is not a list"
        raise FormError(problem)
    return frozenset(effect_of(name) for name in names)


def receipt_answer(receipt: Receipt) -> dict[str, Any]:
    """Return the answer to an action."""
    return {"receipt": to_document(receipt)}


def held_answer(held: Iterable[Held]) -> dict[str, Any]:
    """Return what waits for a person, and how much more does than fits."""
    rows = [
        {
            **asdict(each.action),
            "event": each.action.id,
            "id": each.id,
            "subject": each.subject,
            "sessions": each.sessions,
            "restrictions": [to_restriction_document(one) for one in each.restrictions[:_HELD_SHOWN]],
        }
        for each in held
    ]
    fitting = _fitting(rows)
    more = len(rows) - len(fitting)
    return {"held": fitting, "more": more} if more else {"held": fitting}


def tail_answer(happenings: Iterable[Happening], last: int, *, newest: bool) -> dict[str, Any]:
    """Return what was heard and done, and where it ends; of what does not fit the oldest, or else the `newest`."""
    events = [
        {
            "number": each.position,
            **asdict(each.action),
            "outcome": each.outcome,
            "detail": each.detail,
            "subject": each.subject,
        }
        for each in happenings
    ]
    events = _fitting(events[::-1])[::-1] if newest else _fitting(events)
    return {"events": events, "last": events[-1]["number"] if events else last}


def restrictions_answer(restrictions: Iterable[Restriction]) -> dict[str, Any]:
    """Return what holds against whom."""
    return {"restrictions": _fitting(to_restriction_document(each) for each in restrictions)}


def sessions_answer(sessions: Iterable[LiveSession], total: int | None) -> dict[str, Any]:
    """Return live sessions, and how many there are where that is known."""
    rows = _fitting({**asdict(each), "sources": [source for source, _ in each.sources]} for each in sessions)
    return {"sessions": rows} if total is None else {"sessions": rows, "total": total}


def streams_answer(streams: Iterable[StreamHeard]) -> list[dict[str, Any]]:
    """Return how streams fare."""
    return [asdict(each) for each in streams]


def _fitting(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first rows, as many as one answer holds however they are escaped."""
    fitting: list[dict[str, Any]] = []
    left = MAX_ANSWER
    for row in rows:
        left -= len(json.dumps(row)) + 1
        if left < 0:
            break
        fitting.append(row)
    return fitting
