"""What is told to whoever took something away: since when, and where, it is in force."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant

_NUMBER: Final = (int, float)
_KINDS: Final[dict[str, type | tuple[type, ...]]] = {
    "id": str,
    "held": str,
    "at": _NUMBER,
    "seconds": _NUMBER,
    "streams": list,
}
"""Types of the members of a receipt in JSON; all others are whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The outcome of an action or a signal.

    Attributes:
        id: names the action; the `signal` of its restrictions.
        at: when it was durable.
        number: the change of the state that contains it; whoever has seen that change decides by it.
        changed: how many restrictions are another than before; 0 when all of it was known already.
        workers: how many workers of this machine have said that they decide by it.
        of_workers: how many there are.
        replicas: how many other machines have said so.
        of_replicas: how many there are.
        seconds: from receiving the action to the last of these answers.
        sessions: live sessions that it is about.
        streams: requests let through to long-lived streams before, which may still be open: the resources' names.
        held: names it where it waits for a person and nothing is in force yet; empty when it is done.
    """

    id: str
    at: Instant
    number: int
    changed: int
    workers: int = 0
    of_workers: int = 0
    replicas: int = 0
    of_replicas: int = 0
    seconds: float = 0.0
    sessions: int = 0
    streams: tuple[str, ...] = ()
    held: str = ""

    @property
    def is_everywhere(self) -> bool:
        """Return whether everybody who decides has said so; where nobody was asked, nobody has."""
        return not self.held and 0 < self.of_workers <= self.workers and self.of_replicas <= self.replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What somebody, or a stream, has done.

    Attributes:
        id: names it; repeated, it changes nothing (the `jti` of an event, or one of ours).
        source: `OPERATOR`, or `stream NAME`.
        kind: `revoke`, `quarantine`, `release`, or the kind of the event.
        received_at: when we learnt of it.
        by: who did it; for streams who is said to have initiated it.
        reason: why.
    """

    id: str
    source: str
    kind: str
    received_at: Instant
    by: str = ""
    reason: str = ""


def to_document(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as JSON: its attributes by name."""
    return {**asdict(receipt), "streams": list(receipt.streams)}


def from_document(document: Mapping[str, Any]) -> Receipt:
    """Return the receipt in JSON that `to_document` made, members that are not known left out.

    Raises:
        ValueError: a member is not there, or is no such value.
    """
    found = {field.name: document[field.name] for field in fields(Receipt) if field.name in document}
    try:
        wrong = [name for name, value in found.items() if not isinstance(value, _KINDS.get(name, int))]
        if not wrong:
            return Receipt(**{**found, "streams": tuple(str(each) for each in found.get("streams", ()))})
    except TypeError as error:
        message = "a receipt lacks a member"
        raise ValueError(message) from error
    message = f"a receipt with a wrong {wrong[0]}"
    raise ValueError(message)
