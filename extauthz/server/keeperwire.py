"""What workers tell the keeper, as it goes over its socket: spends, and uses of sessions."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.ports import SpendOutcome, Spent
from extauthz.state.sessions import SessionSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MAX_TOGETHER: Final = 500
"""Uses of sessions in one message."""

MAX_CHARACTERS: Final = 80_000
"""Characters of texts in one message, so that it fits into a frame however they are escaped, which is as twelve bytes
at most; one use may have more. What does not fit would be tried again and again, and nothing else be told."""

_TEXTS: Final = ("issuer", "session", "subject", "client", "tenant", "workload", "device", "source")


def spend_question(spends: tuple[Spend, ...], question: bytes, timeout: float) -> dict[str, Any]:
    """Return the question that spends."""
    return {
        "op": "spend",
        "question": question.hex(),
        "timeout": timeout,
        "spends": [[each.kind, each.key.hex(), each.member.hex(), each.limit, each.until] for each in spends],
    }


def read_spend_question(message: Mapping[str, Any]) -> tuple[tuple[Spend, ...], bytes, float]:
    """Return what to spend, the name of the question, and the seconds that it has.

    What a refusal would say is the asker's to know: the reason here stands for nothing.

    Raises:
        KeyError: a member is not there.
        TypeError: a member is of another type.
        ValueError: a member has another form.
    """
    spends = tuple(
        Spend(
            kind=str(kind),
            key=bytes.fromhex(key),
            member=bytes.fromhex(member),
            limit=int(limit),
            until=Instant(float(until)),
            refused=Reason.EVIDENCE_UNAVAILABLE,
        )
        for kind, key, member, limit, until in message["spends"]
    )
    return spends, bytes.fromhex(message["question"]), float(message["timeout"])


def spend_answer(spent: Spent, spends: tuple[Spend, ...]) -> dict[str, Any]:
    """Return the answer to it; what is refused is named by its place."""
    refused = spends.index(spent.refused) if spent.refused is not None else None
    return {"outcome": spent.outcome.value, "refused": refused}


def read_spend_answer(answer: Mapping[str, Any], spends: tuple[Spend, ...]) -> Spent:
    """Return what became of `spends`; whatever is not understood is unknown."""
    match answer:
        case {"outcome": SpendOutcome.DONE.value}:
            return Spent(SpendOutcome.DONE)
        case {"outcome": SpendOutcome.REFUSED.value, "refused": int(place)} if 0 <= place < len(spends):
            return Spent(SpendOutcome.REFUSED, spends[place])
        case _:
            return Spent(SpendOutcome.UNKNOWN)


def seen_messages(seen: Iterable[SessionSeen]) -> Iterator[dict[str, Any]]:
    """Yield the messages that tell uses of sessions, each of a size that fits."""
    rows: list[list[str | float | int]] = []
    characters = 0
    for use in seen:
        texts = [getattr(use, name) for name in _TEXTS]
        size = sum(map(len, texts))
        if rows and (len(rows) >= MAX_TOGETHER or characters + size > MAX_CHARACTERS):
            yield {"op": "seen", "sessions": rows}
            rows, characters = [], 0
        rows.append([*texts, use.at, use.decisions])
        characters += size
    if rows:
        yield {"op": "seen", "sessions": rows}


def read_seen(message: Mapping[str, Any]) -> list[SessionSeen]:
    """Return the uses of sessions in a message.

    Raises:
        KeyError: a member is not there.
        TypeError: a member is of another type.
        ValueError: a member has another form.
    """
    return [_read_use(row) for row in islice(message["sessions"], MAX_TOGETHER)]


def _read_use(row: list[Any]) -> SessionSeen:
    *texts, at, decisions = row
    named = {name: str(text) for name, text in zip(_TEXTS, texts, strict=True)}
    return SessionSeen(**named, at=Instant(float(at)), decisions=int(decisions))
