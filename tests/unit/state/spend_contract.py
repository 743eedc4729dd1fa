"""What every place for spends must do; run once for each by `test_spends.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.model.reason import Reason
from extauthz.model.spend import Spend
from extauthz.ports import SpendOutcome, Spent
from extauthz.state.spends import Order
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from extauthz.state.spends import SpendTables

DONE = Spent(SpendOutcome.DONE)
UNKNOWN = Spent(SpendOutcome.UNKNOWN)
MINUTE = 60.0


def spend(key: str = "a", **changes: Any) -> Spend:
    """Return something to spend within a minute, once; `changes` replace fields."""
    fields: dict[str, Any] = {
        "kind": "proof",
        "key": key.encode(),
        "until": Instant(NOW + MINUTE),
        "refused": Reason.PROOF_REPLAYED,
        **changes,
    }
    return Spend(**fields)


def take(tables: SpendTables, question: str, *spends: Spend, at: float = NOW) -> Spent:
    """Return what becomes of one question."""
    (spent,) = tables.take([Order(spends, question.encode())], Instant(at))
    return spent


class SpendContract:
    """Inherit it, and have a fixture `tables` with room for twenty rows."""

    def test_what_is_spent_is_refused_to_the_next(self, tables: SpendTables) -> None:
        """The answer names what was used up."""
        assert take(tables, "q1", spend()) == DONE
        assert take(tables, "q2", spend()) == Spent(SpendOutcome.REFUSED, spend())
        assert take(tables, "q2", spend("b")) == DONE

    def test_the_same_question_spends_once(self, tables: SpendTables) -> None:
        """A retry gets the answer that it had, until the last of its spends can be forgotten."""
        long = spend("b", until=Instant(NOW + 3 * MINUTE))
        assert [take(tables, "q1", spend(), long, at=NOW + at) for at in (0, 1, 2)] == [DONE] * 3
        assert take(tables, "q2", spend()).outcome is SpendOutcome.REFUSED
        assert take(tables, "q2", spend(until=Instant(NOW + 9 * MINUTE)), at=NOW + MINUTE) == DONE

    def test_the_same_question_with_other_spends_is_another(self, tables: SpendTables) -> None:
        """What it spent stands for nothing else."""
        assert take(tables, "q1", spend()) == DONE
        assert take(tables, "q2", spend("b")) == DONE
        assert take(tables, "q1", spend(), spend("b")) == Spent(SpendOutcome.REFUSED, spend())

    def test_all_or_nothing(self, tables: SpendTables) -> None:
        """What stands beside something used up stays unused."""
        assert take(tables, "q1", spend("b")) == DONE
        assert take(tables, "q2", spend("a"), spend("b")) == Spent(SpendOutcome.REFUSED, spend("b"))
        assert take(tables, "q3", spend("a")) == DONE

    def test_a_limit_counts_uses(self, tables: SpendTables) -> None:
        """Also within one question."""
        twice = spend(limit=2)
        assert [take(tables, q, twice).outcome.value for q in "abc"] == ["done", "done", "refused"]
        triple = spend("b", limit=2)
        assert take(tables, "d", triple, triple, triple).outcome is SpendOutcome.REFUSED
        assert take(tables, "e", triple, triple) == DONE
        assert take(tables, "f", triple).outcome is SpendOutcome.REFUSED
        assert take(tables, "g", spend("c", limit=0)).outcome is SpendOutcome.REFUSED

    def test_kinds_do_not_share_keys(self, tables: SpendTables) -> None:
        """However kind and key are cut."""
        assert take(tables, "q1", spend("ab", kind="x")) == DONE
        assert take(tables, "q2", spend("b", kind="xa")) == DONE
        assert take(tables, "q3", spend("ab", kind="y")) == DONE

    def test_what_can_be_forgotten_is(self, tables: SpendTables) -> None:
        """From the first instant on, not before."""
        later = Instant(NOW + 9 * MINUTE)
        assert take(tables, "q1", spend()) == DONE
        assert take(tables, "q2", spend(until=later), at=NOW + MINUTE - 0.01).outcome is SpendOutcome.REFUSED
        assert take(tables, "q3", spend(until=later), at=NOW + MINUTE) == DONE
        assert take(tables, "q4", spend(until=later), at=NOW + MINUTE).outcome is SpendOutcome.REFUSED

    def test_what_is_over_already_is_not_spent(self, tables: SpendTables) -> None:
        """Nobody would remember it, so it could be spent again and again."""
        assert take(tables, "q1", spend(until=NOW)) == UNKNOWN
        assert take(tables, "q1", spend(), spend("b", until=NOW)) == UNKNOWN
        assert take(tables, "q2", spend()) == DONE

    def test_nothing_to_spend_is_nothing_spent(self, tables: SpendTables) -> None:
        """Success is never what comes out of nothing."""
        assert take(tables, "q1") == UNKNOWN

    def test_orders_taken_together_see_one_another(self, tables: SpendTables) -> None:
        """The earlier first."""
        orders = [Order((spend(),), question) for question in (b"q1", b"q2", b"q1")]
        assert [spent.outcome.value for spent in tables.take(orders, NOW)] == ["done", "refused", "done"]

    def test_a_full_table_takes_nothing(self, tables: SpendTables) -> None:
        """Until there is something to forget; what was taken stays taken."""
        outcomes = [take(tables, f"q{n}", spend(f"k{n}")) for n in range(12)]
        assert outcomes == [DONE] * 10 + [UNKNOWN] * 2
        assert tables.rows == 20
        assert take(tables, "again", spend("k3")).outcome is SpendOutcome.REFUSED
        assert take(tables, "q3", spend("k3")) == DONE
        assert take(tables, "late", spend("z", until=Instant(NOW + 2 * MINUTE)), at=NOW + MINUTE) == DONE
        assert tables.rows == 2

    def test_members_are_counted_not_uses(self, tables: SpendTables) -> None:
        """One that is there takes nothing more; of new ones there are as many as the limit says."""
        assert [take(tables, f"q{n}", member(m)) for n, m in enumerate("aabba")] == [DONE] * 5
        assert take(tables, "q8", member("c")) == Spent(SpendOutcome.REFUSED, member("c"))
        assert take(tables, "q9", member("a")) == DONE
        assert tables.rows == 2

    def test_members_of_one_order_count_together(self, tables: SpendTables) -> None:
        """The same one twice is one."""
        assert take(tables, "q1", member("a"), member("a"), member("b")) == DONE
        assert take(tables, "q2", member("a", key="x"), member("b", key="x"), member("c", key="x")) == Spent(
            SpendOutcome.REFUSED, member("c", key="x")
        )
        assert take(tables, "q3", member("d", key="x"), member("e", key="x")) == DONE

    def test_a_member_is_forgotten_at_its_last_until(self, tables: SpendTables) -> None:
        """A use extends its own stay only, and never shortens it."""
        late = Instant(NOW + 2 * MINUTE)
        assert take(tables, "q1", member("a"), member("b")) == DONE
        assert take(tables, "q2", member("a", until=late), at=NOW + 1) == DONE
        assert take(tables, "q3", member("a"), at=NOW + 2) == DONE
        assert take(tables, "q4", member("c", until=late), at=NOW + MINUTE) == DONE
        assert take(tables, "q5", member("d", until=late), at=NOW + MINUTE).outcome is SpendOutcome.REFUSED

    def test_members_and_uses_go_together(self, tables: SpendTables) -> None:
        """All or none, and a retry of the question spends once."""
        assert take(tables, "q1", spend("a"), member("a")) == DONE
        assert take(tables, "q1", spend("a"), member("a")) == DONE
        assert take(tables, "q1", spend("a"), member("b")) == Spent(SpendOutcome.REFUSED, spend("a"))
        assert take(tables, "q2", member("b"), spend("a")) == Spent(SpendOutcome.REFUSED, spend("a"))
        assert take(tables, "q3", member("b")) == DONE
        assert take(tables, "q4", member("c"), spend("b")) == Spent(SpendOutcome.REFUSED, member("c"))
        assert take(tables, "q5", spend("b")) == DONE

    def test_members_of_different_things_do_not_meet(self, tables: SpendTables) -> None:
        """Neither do uses and members of the same name."""
        one: dict[str, Any] = {"limit": 1}
        assert take(tables, "q1", member("a", **one)) == DONE
        assert take(tables, "q2", member("b", key="other", **one)) == DONE
        assert take(tables, "q3", member("b", kind="other", **one)) == DONE
        assert take(tables, "q4", spend("m", kind="source")) == DONE
        assert take(tables, "q5", member("b", **one)).outcome is SpendOutcome.REFUSED

    def test_a_full_table_takes_no_new_member(self, tables: SpendTables) -> None:
        """Those who are there go on."""
        many: dict[str, Any] = {"limit": 100}
        outcomes = [take(tables, f"q{n}", member(f"m{n}", **many)) for n in range(21)]
        assert outcomes == [DONE] * 20 + [UNKNOWN]
        assert take(tables, "again", member("m3", until=Instant(NOW + 2 * MINUTE), **many)) == DONE
        assert take(tables, "late", member("z", until=Instant(NOW + 3 * MINUTE), **many), at=NOW + MINUTE) == DONE
        assert tables.rows == 2


def member(name: str, *, key: str = "m", **changes: Any) -> Spend:
    """Return a spend in which different members are counted, two at most."""
    return spend(key, **{"kind": "source", "member": name.encode(), "limit": 2, **changes})
