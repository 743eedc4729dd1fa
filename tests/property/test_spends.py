"""Spends against the obvious model: whatever is asked in whatever order, nobody gets more than there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.ports import SpendOutcome
from extauthz.state.spends import Order, SpendTables
from tests.simulators.barestate import memory_state

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Model:
    """The same in lists and dicts, without forgetting anything before it must.

    Attributes:
        uses: of each key: how often since it was last forgotten, and until when that counts.
        members: of each key, and until when each is one.
        answered: questions and all they spend, and until when they are remembered.
    """

    uses: dict[tuple[str, bytes], tuple[int, float]] = field(default_factory=dict)
    members: dict[tuple[str, bytes], dict[bytes, float]] = field(default_factory=dict)
    answered: dict[object, float] = field(default_factory=dict)

    def take(self, order: Order, at: float) -> SpendOutcome:
        """Return what must become of an order."""
        if not order.spends or min(spend.until for spend in order.spends) <= at:
            return SpendOutcome.UNKNOWN
        question = (order.question, tuple((spend.kind, spend.key, spend.member) for spend in order.spends))
        if self.answered.get(question, at) > at:
            return SpendOutcome.DONE
        after = {name: use for name, use in self.uses.items() if use[1] > at}
        members = {
            name: {member: until for member, until in each.items() if until > at} for name, each in self.members.items()
        }
        for spend in order.spends:
            if spend.member:
                there = members.setdefault((spend.kind, spend.key), {})
                if spend.member not in there and len(there) >= spend.limit:
                    return SpendOutcome.REFUSED
                there[spend.member] = max(there.get(spend.member, 0.0), spend.until)
                continue
            used, until = after.get((spend.kind, spend.key), (0, 0.0))
            if used >= spend.limit:
                return SpendOutcome.REFUSED
            after[spend.kind, spend.key] = (used + 1, max(until, spend.until))
        self.uses, self.members = after, members
        counted = [spend.until for spend in order.spends if not spend.member]
        if counted:
            self.answered[question] = max(counted)
        return SpendOutcome.DONE


SPENDS = st.builds(
    Spend,
    kind=st.sampled_from(["proof", "use"]),
    key=st.sampled_from([b"a", b"b"]),
    member=st.sampled_from([b"", b"", b"x", b"y", b"z"]),
    limit=st.integers(0, 3),
    until=st.integers(1, 12).map(float).map(Instant),
    refused=st.just(Reason.PROOF_REPLAYED),
)
ORDERS = st.builds(
    Order, spends=st.lists(SPENDS, max_size=3).map(tuple), question=st.sampled_from([b"q1", b"q2", b"q3", b"q4"])
)
BATCHES = st.lists(st.tuples(st.lists(ORDERS, min_size=1, max_size=4), st.integers(0, 3)), max_size=12)


def differences(batches: Sequence[tuple[list[Order], int]], model: Model) -> list[tuple[SpendOutcome, SpendOutcome]]:
    """Return where tables and model disagree over batches, each some seconds after the one before."""
    at, found = 0.0, []
    with memory_state() as connection:
        tables = SpendTables(connection, 100_000)
        for orders, pause in batches:
            at += pause
            got = [spent.outcome for spent in tables.take(orders, Instant(at))]
            found += list(zip(got, [model.take(order, at) for order in orders], strict=True))
    return [(got, wanted) for got, wanted in found if got is not wanted]


@given(BATCHES)
@settings(max_examples=300, deadline=None)
def test_the_tables_do_what_the_model_does(batches: list[tuple[list[Order], int]]) -> None:
    """Order by order."""
    assert differences(batches, Model()) == []


def test_a_model_that_forgets_retries_is_told_apart() -> None:
    """The negative control."""

    class Forgetful(Model):
        def take(self, order: Order, at: float) -> SpendOutcome:
            self.answered.clear()
            return super().take(order, at)

    spend = Spend(kind="use", key=b"a", until=Instant(9.0), refused=Reason.PROOF_REPLAYED)
    again = [([Order((spend,), b"q1")], 0)] * 2
    assert differences(again, Model()) == []
    assert differences(again, Forgetful()) == [(SpendOutcome.DONE, SpendOutcome.REFUSED)]
