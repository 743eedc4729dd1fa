"""What a receipt says, in words and as an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from extauthz.model.receipt import from_document, to_document
from extauthz.policytools.sentences import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.model.receipt import Receipt

EXIT_UNCONFIRMED: Final = 3
"""Exit code when it is durable, but not everybody who decides has said that they decide by it."""

EXIT_HELD: Final = 4
"""Exit code when nothing is in force: it waits for a person."""

_MILLI: Final = 1000
_MINUTE: Final = 60.0


def read_receipt(answer: Mapping[str, Any]) -> Receipt:
    """Return the receipt in a keeper's answer.

    Raises:
        ValueError: there is none; the keeper is of another version.
    """
    document = answer.get("receipt")
    return from_document(document if isinstance(document, dict) else {})


def exit_code_of(receipt: Receipt) -> int:
    """Return 0 when it is in force everywhere."""
    if receipt.held:
        return EXIT_HELD
    return 0 if receipt.is_everywhere else EXIT_UNCONFIRMED


def lines_of(receipt: Receipt) -> Iterator[str]:
    """Yield a receipt in words: what holds now, and then what somebody has to do about it."""
    if receipt.held:
        yield (
            f"held: it would end {counted(receipt.sessions, 'live session')}, so nothing is in force until somebody "
            f"says so: `extauthz signals admit {receipt.held}`, or `dismiss`"
        )
        return
    yield "; ".join(_facts_of(receipt))
    if receipt.is_everywhere:
        return
    if receipt.of_workers == 0:
        yield "NOT confirmed: no worker runs. It is durable, and in force as soon as one does."
    else:
        yield (
            "NOT confirmed everywhere. It is durable. A worker or machine that does not answer decides by it at its "
            "next look at the state, or, once `state.max_staleness` has passed, refuses everything (`state_stale`)."
        )


def _facts_of(receipt: Receipt) -> Iterator[str]:
    replicas = f", {receipt.replicas}/{receipt.of_replicas} replicas" if receipt.of_replicas else ""
    yield f"in force on {receipt.workers}/{receipt.of_workers} workers{replicas} after {_took(receipt.seconds)}"
    yield counted(receipt.sessions, "live session")
    if receipt.streams:
        yield f"long-lived streams that may still be open: {', '.join(receipt.streams)}"


def to_answer(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as JSON for programs."""
    return {**to_document(receipt), "in_force_everywhere": receipt.is_everywhere}


def _took(seconds: float) -> str:
    if seconds >= _MINUTE:
        return f"{seconds / _MINUTE:.1f} min"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * _MILLI:.1f} ms"
