"""A great many restrictions: looking one up, starting with them and forgetting them costs what it costs with a few.

Steps of SQLite's own machine are counted rather than time, so that a busy machine proves nothing either way.
"""

from __future__ import annotations

import time
import tracemalloc
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.model.restriction import Form, Mark
from extauthz.server.freshness import Freshness
from extauthz.server.stateview import StateView
from extauthz.state import restriction_rows, restrictions
from extauthz.state.restrictions import (
    FORGET_AFTER,
    apply_restrictions,
    collect,
    count_restrictions,
    find_restrictions,
    read_changed_marks,
)
from extauthz.state.store import connect
from extauthz.state.transaction import to_query
from tests.simulators.barestate import HOUR, BareState, restriction
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from extauthz.state.seal import Seal

FEW, SOME, MANY = 10, 4_000, 1_000_000
BITE = 200
OTHERS = tuple(Mark(form, ISSUER, "of nobody") for form in Form if form is not Form.SUBJECT)[:7]


def target(number: int) -> Mark:
    """Return one of many targets."""
    return Mark(Form.SUBJECT, ISSUER, f"subject-{number:09d}")


def filled(folder: Path, rows: int) -> BareState:
    """Return a state with so many restrictions in force."""
    state = BareState(folder / f"{rows}.db")
    for first in range(0, rows, 20_000):
        with state.writing() as (connection, seal):
            wanted = [restriction(target(number)) for number in range(first, min(first + 20_000, rows))]
            apply_restrictions(connection, wanted, seal, own=True)
    return state


def steps_of(state: BareState, do: Callable[[Any], object]) -> int:
    """Return how many steps SQLite takes for what `do` does with a connection."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    with closing(connect(state.path, wait=1)) as connection:
        connection.execute("SELECT * FROM restrictions LIMIT 1").fetchall()
        connection.set_progress_handler(count, 1)
        do(connection)
    return taken


def look_up(state: BareState, number: int, seal: Seal | None = None) -> Callable[[sqlite3.Connection], None]:
    """Return what looks eight marks up of which one is restricted."""
    known = seal or state.seal

    def do(connection: sqlite3.Connection) -> None:
        marks = (target(number), *OTHERS)
        found = find_restrictions(to_query(connection), marks, known, Instant(NOW), on_alarm=state.alarms.append)
        assert [row.mark for row in found] == [target(number)]

    return do


def bite(connection: sqlite3.Connection) -> None:
    """Remove what has expired, a little of it, and undo that."""
    connection.execute("BEGIN")
    assert collect(connection, Instant(NOW + HOUR + FORGET_AFTER + 1), FEW) == FEW
    connection.execute("ROLLBACK")


def measured(folder: Path, rows: int) -> dict[str, int]:
    """Return the steps of everything that must not grow with the table."""
    state = filled(folder, rows)
    newest = rows - 5
    found = {
        "look up": steps_of(state, look_up(state, rows // 2)),
        "follow": steps_of(state, lambda connection: read_changed_marks(to_query(connection), newest, 100)),
        "forget": steps_of(state, bite),
        "apply": steps_of(state, lambda connection: _apply(state, connection)),
    }
    state.writer.close()
    return found


def _apply(state: BareState, connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN")
    apply_restrictions(connection, [restriction(target(3), event_at=NOW + 1)], state.seal, own=True)
    connection.execute("ROLLBACK")


def test_steps_do_not_grow_with_the_table(tmp_path: Path) -> None:
    """Looking up, following changes, forgetting a few, adding one: the same for ten rows and for thousands."""
    assert measured(tmp_path, FEW) == measured(tmp_path, SOME)


def test_without_its_index_looking_up_would_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(restrictions, "SELECT", restriction_rows.SELECT + " NOT INDEXED")
    steps = {}
    for rows in (FEW, 100):
        state = filled(tmp_path, rows)
        steps[rows] = steps_of(state, look_up(state, 5))
        state.writer.close()
    assert steps[100] > 3 * steps[FEW]


def test_decisions_look_rows_up_by_an_index(tmp_path: Path) -> None:
    """Whatever they ask for, no table is scanned and nothing is sorted."""
    state = BareState(tmp_path / "state.db")
    plans: list[str] = []

    def explain(statement: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
        plans.extend(str(row[-1]) for row in state.query("EXPLAIN QUERY PLAN " + statement, parameters))
        return []

    find_restrictions(explain, [target(1), target(2)], state.seal, Instant(NOW), on_alarm=state.alarms.append)
    assert plans == ["SEARCH restrictions USING INDEX restrictions_identity (name=?)"]
    state.writer.close()


def test_a_start_takes_no_memory_for_restrictions(tmp_path: Path) -> None:
    """They stay in the file."""
    kilobytes = {}
    for rows in (FEW, SOME):
        state = filled(tmp_path, rows)
        kilobytes[rows] = min(start(state)[0] for _ in range(3))  # Other threads of this process take some as well.
        state.writer.close()
    assert kilobytes[SOME] < kilobytes[FEW] + 20


def start(state: BareState) -> tuple[float, float]:
    """Return the kilobytes that a worker has after its first lookup, and how many milliseconds that took."""
    tracemalloc.start()
    began = time.perf_counter()
    view = StateView(state.path, state.key, SystemClock(), Freshness(SystemClock(), 60.0))
    try:
        view.freshen()
        assert len(view.find_restrictions([target(1)], Instant(NOW))) == 1
        return tracemalloc.get_traced_memory()[0] / 1000, (time.perf_counter() - began) * 1000
    finally:
        tracemalloc.stop()
        view.close()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_million_restrictions(tmp_path: Path) -> None:
    """The same steps and memory as for ten; all of them can be forgotten, a bite at a time."""
    few, many = filled(tmp_path, FEW), filled(tmp_path, MANY)
    steps = {rows: steps_of(state, look_up(state, rows // 2)) for rows, state in ((FEW, few), (MANY, many))}
    took: dict[int, list[float]] = {FEW: [], MANY: []}
    seals = {FEW: few.seal, MANY: many.seal}
    with closing(connect(few.path, wait=1)) as one, closing(connect(many.path, wait=1)) as other:
        for number in range(5_000):
            for rows, connection, state in ((FEW, one, few), (MANY, other, many)):
                do = look_up(state, number * 7919 % rows, seals[rows])
                began = time.perf_counter()
                do(connection)
                took[rows].append(time.perf_counter() - began)
    ratio = median(took[MANY]) / median(took[FEW])
    print(f"{MANY:,} restrictions: {median(took[MANY]) * 1e6:.1f} us for eight marks, {ratio:.2f} times that of {FEW}")  # noqa: T201 — shown by `pytest -s`
    assert steps[MANY] == steps[FEW]
    (little, _), (much, took_to_start) = start(few), start(many)
    print(f"a start: {much:.0f} kB (with {FEW}: {little:.0f} kB), {took_to_start:.1f} ms until the first lookup")  # noqa: T201 — as above
    assert much < little + 20
    bites = 0
    with many.writing() as (connection, _):
        while collect(connection, Instant(NOW + HOUR + FORGET_AFTER + 1), 10_000):
            bites += 1
    assert bites == MANY / 10_000
    assert count_restrictions(many.query) == 0
    few.writer.close()
    many.writer.close()
