"""After the commit: who decides by it, how long that took, and telling everybody who wants to know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from extauthz.audit.actions import to_action_record
from extauthz.model.receipt import Receipt
from extauthz.model.restriction import OPERATOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.audit.actions import ActionLog
    from extauthz.clock import Clock
    from extauthz.keeper.confirmations import Confirmations
    from extauthz.keeper.news import News
    from extauthz.keeper.outcomes import Done
    from extauthz.keeper.replicator import Replicator
    from extauthz.model.receipt import Action
    from extauthz.telemetry.statemetrics import StateMetrics

CONFIRM_SECONDS: Final = 2.0
"""How long workers are waited for."""

REPLICA_SECONDS: Final = 2.0
"""How long other machines are waited for, after that."""


def no_streams() -> tuple[str, ...]:
    """Return that no resource holds connections open."""
    return ()


class Receipts:
    """Asks everybody, and says what they said. Use it from any thread.

    Args:
        confirmations: asks the workers of this machine.
        clock: both of its clocks are read.
        news: told of whatever happens.
        replicator: carries changes to other machines; None where there are none.
        streams: names the resources that hold connections open beyond their decision.
        metrics: counts; None for none.
        actions: the record of what people and signals did; None for none.
    """

    def __init__(  # noqa: PLR0913 — everybody who is asked or told
        self,
        confirmations: Confirmations,
        clock: Clock,
        news: News,
        *,
        replicator: Replicator | None,
        streams: Callable[[], tuple[str, ...]],
        metrics: StateMetrics | None,
        actions: ActionLog | None,
    ) -> None:
        self._confirmations = confirmations
        self._clock = clock
        self._news = news
        self._replicator = replicator
        self._streams = streams
        self._metrics = metrics
        self._actions = actions

    def finish(self, action: Action, done: Done, started: float, *, subject: str = "", detail: str = "") -> Receipt:
        """Return where something that is durable is in force, when everybody has answered or their time is up.

        Args:
            action: what was done.
            done: what the transaction has made of it.
            started: when it was received, by the monotonic clock.
            subject: whom it is about, for people.
            detail: what else is to be said, for people.
        """
        receipt = Receipt(
            id=action.id,
            at=self._clock.now(),
            number=done.number,
            changed=len(done.changed),
            sessions=done.sessions,
            held=done.held,
        )
        if not done.held:
            receipt = self._confirm(receipt, done, started)
        unconfirmed = receipt.workers < receipt.of_workers
        outcome = "unconfirmed" if unconfirmed else done.outcome
        self.tell(action, outcome, subject=subject, detail=detail, done=done, receipt=receipt)
        return receipt

    def tell(  # noqa: PLR0913 — what a record of it holds
        self,
        action: Action,
        outcome: str,
        *,
        subject: str = "",
        detail: str = "",
        done: Done | None = None,
        receipt: Receipt | None = None,
    ) -> None:
        """Tell those who wait for news, count, and record; what is known already is recorded already."""
        self._news.tell()
        if self._metrics is not None and action.source == OPERATOR:
            self._metrics.action_done(action.kind, outcome)
        if self._actions is None or outcome == "known":
            return
        changed = done.changed if done is not None else ()
        self._actions.write(
            to_action_record(action, outcome, subject=subject, detail=detail, restrictions=changed, receipt=receipt)
        )

    def _confirm(self, receipt: Receipt, done: Done, started: float) -> Receipt:
        if self._replicator is not None:
            self._replicator.publish(done.number)
        workers = self._confirmations.confirm(done.number, CONFIRM_SECONDS)
        in_force, of = 0, 0
        if self._replicator is not None:
            in_force, of = self._replicator.wait_for_replicas(done.number, REPLICA_SECONDS)
        return replace(
            receipt,
            workers=workers.by,
            of_workers=workers.of,
            replicas=in_force,
            of_replicas=of,
            seconds=self._clock.monotonic() - started,
            streams=self._streams() if any(each.in_force for each in done.changed) else (),
        )
