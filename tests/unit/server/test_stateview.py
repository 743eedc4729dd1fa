"""The view of the state: as new as the file at every use, closed when it cannot be read, epochs never used twice."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.ledger import Ledger
from extauthz.model.reason import Reason
from extauthz.model.restriction import Effect, Form, Mark
from extauthz.model.standing_facts import Posture, SessionUse
from extauthz.model.state import FRESH_STATE, StateName
from extauthz.server import nameepochs
from extauthz.server.epochs import Epochs
from extauthz.server.stateview import StateView
from extauthz.state.apikeys import note_uses
from extauthz.state.restrictions import apply_restrictions
from tests.simulators.apikeys import make_key
from tests.simulators.clock import ManualClock
from tests.simulators.statefile import StateFile, restriction, subject
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_, ONE = make_key(1)
_, TWO = make_key(2)
A, B = subject("a"), subject("b")
POSTURE = StateName("posture", "device d")


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still."""
    return ManualClock()


@pytest.fixture
def file(tmp_path: Path, clock: ManualClock) -> Iterator[StateFile]:
    """Yield a state file with a key in it."""
    file = StateFile(tmp_path / "state.db", clock)
    file.insert(ONE)
    yield file
    file.close()


@pytest.fixture
def view(file: StateFile) -> Iterator[StateView]:
    """Yield a view that has looked once."""
    view = file.view()
    yield view
    view.close()


def epochs_of(view: StateView, *names: StateName) -> tuple[int, ...]:
    """Return epochs as a decision reads them."""
    return Epochs(view.epochs, view.freshen).read_epochs(names)


def epoch(view: StateView, name: StateName) -> int:
    """Return one epoch."""
    return epochs_of(view, name)[0]


def key_name(key_id: str) -> StateName:
    """Return the name of an API key."""
    return StateName("api_key", key_id)


def is_revoked(view: StateView, key_id: str) -> bool:
    """Return whether the key is revoked, found as a decision finds it: the epoch first."""
    Ledger(Epochs(view.epochs, view.freshen)).note(key_name(key_id))
    key = view.find_api_key(key_id)
    assert key is not None
    return key.revoked


def is_restricted(view: StateView, mark: Mark) -> bool:
    """Return whether something is in force on a target, found as a decision finds it."""
    Ledger(Epochs(view.epochs, view.freshen)).note(mark.name)
    return bool(view.find_restrictions([mark], NOW))


def test_a_restriction_is_there_at_the_next_use_and_gone_when_it_is_lifted(file: StateFile, view: StateView) -> None:
    """Each time its epoch is another one, while the epochs of other targets stay."""
    epochs = [epochs_of(view, A.name, B.name)]
    assert not is_restricted(view, A)
    number = file.restrict(restriction(A))
    assert is_restricted(view, A)
    assert view.number == view.freshen() == number
    epochs.append(epochs_of(view, A.name, B.name))
    file.lift(restriction(A))
    assert not is_restricted(view, A)
    epochs.append(epochs_of(view, A.name, B.name))
    assert len({each for each, _ in epochs}) == 3
    assert len({each for _, each in epochs}) == 1


def test_a_fact_is_there_at_the_next_use_and_gone_when_it_is_taken_back(file: StateFile, view: StateView) -> None:
    """Each time its epoch is another one, while the epochs of other facts stay."""
    other = StateName("posture", "device other")
    epochs = [epochs_of(view, POSTURE, other)]
    assert view.find_state(POSTURE, NOW) is None
    file.put(POSTURE, {"compliant": True, "observed_at": NOW})
    epochs.append(epochs_of(view, POSTURE, other))
    assert view.find_state(POSTURE, NOW) == Posture(compliant=True, observed_at=NOW)
    file.remove(POSTURE)
    epochs.append(epochs_of(view, POSTURE, other))
    assert view.find_state(POSTURE, NOW) is None
    assert len({each for each, _ in epochs}) == 3
    assert len({each for _, each in epochs}) == 1


def test_a_session_is_there_and_its_use_ends_nothing(file: StateFile, view: StateView) -> None:
    """A decision ends by itself when the session would, as it was known then; more use only lengthens it."""
    name = StateName("session", f"{ISSUER} s-1")
    before = epoch(view, name)
    assert view.find_state(name, NOW) is None
    file.see("s-1")
    assert epoch(view, name) == before
    assert view.find_state(name, NOW) == SessionUse(started_at=NOW, seen_at=NOW, sources=frozenset({"192.0.2.1"}))


def test_an_api_key_is_revoked_at_the_next_use(file: StateFile, view: StateView) -> None:
    """And its epoch is another one, while the epochs of other keys stay."""
    file.insert(TWO)
    before = epochs_of(view, key_name(ONE.key_id), key_name(TWO.key_id))
    assert not is_revoked(view, ONE.key_id)
    file.revoke(ONE.key_id)
    assert is_revoked(view, ONE.key_id)
    after = epochs_of(view, key_name(ONE.key_id), key_name(TWO.key_id))
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert view.keys == 2


def test_a_key_that_was_unknown_gets_an_epoch_when_it_is_made(file: StateFile, view: StateView) -> None:
    """What was decided while it was unknown ends."""
    before = epoch(view, key_name(TWO.key_id))
    assert view.find_api_key(TWO.key_id) is None
    file.insert(TWO)
    assert epoch(view, key_name(TWO.key_id)) != before
    assert view.find_api_key(TWO.key_id) == TWO


def test_what_is_no_change_changes_no_epoch(file: StateFile, view: StateView, clock: ManualClock) -> None:
    """Uses, spends and beats are written all the time."""
    names = (key_name(ONE.key_id), A.name, POSTURE, FRESH_STATE)
    before = epochs_of(view, *names)
    with file.writer.transaction() as (connection, _, _):
        note_uses(connection, {ONE.key_id: NOW})
        connection.execute("INSERT INTO spends VALUES (x'00', 1, 1.0)")
    clock.advance(1)
    file.beat()
    assert epochs_of(view, *names) == before


def test_what_is_not_committed_is_not_there(file: StateFile, view: StateView) -> None:
    """Half a change is none."""
    before = epoch(view, A.name)
    with file.writer.transaction() as (connection, seal, _):
        apply_restrictions(connection, [restriction(A)], seal, own=True)
        assert not is_restricted(view, A)
        assert epoch(view, A.name) == before
    assert is_restricted(view, A)
    assert epoch(view, A.name) != before


def test_a_restored_backup_is_read_whole_under_new_epochs(file: StateFile, view: StateView) -> None:
    """Its numbers are those of the past, and may be used for other changes now."""
    backup = file.back_up()
    file.revoke(ONE.key_id)
    file.restrict(restriction(A))
    assert is_revoked(view, ONE.key_id)
    assert is_restricted(view, A)
    names = (key_name(ONE.key_id), key_name(TWO.key_id), A.name, B.name, POSTURE)
    epochs = set(epochs_of(view, *names))
    file.put_back(backup)
    assert not is_revoked(view, ONE.key_id)
    assert not is_restricted(view, A)
    assert epochs.isdisjoint(epochs_of(view, *names))
    epochs |= set(epochs_of(view, *names))
    file.restrict(restriction(B))
    assert epoch(view, B.name) not in epochs
    assert is_restricted(view, B)


def test_a_backup_written_into_the_very_file_is_a_new_beginning(file: StateFile, view: StateView) -> None:
    """By its numbers, or by its incarnation where the numbers happen to be the same."""
    backup = file.back_up()
    file.restrict(restriction(A))
    names = (key_name(ONE.key_id), A.name, B.name)
    epochs = set(epochs_of(view, *names))
    with closing(sqlite3.connect(backup)) as source, closing(sqlite3.connect(file.path)) as target:
        source.backup(target)
    assert epochs.isdisjoint(epochs_of(view, *names))
    assert not is_restricted(view, A)
    epochs |= set(epochs_of(view, *names))
    file.forge("UPDATE meta SET value = randomblob(16) WHERE name = 'incarnation'")
    assert epochs.isdisjoint(epochs_of(view, *names))


def test_without_the_file_nothing_is_known_and_no_epoch_holds(
    file: StateFile, view: StateView, clock: ManualClock
) -> None:
    """It is our fault, not the caller's; when the file is back, all is read anew."""
    before = epoch(view, A.name)
    away = file.path.rename(file.path.with_name("away.db"))
    epochs = [epoch(view, A.name) for _ in range(3)]
    assert len({before, *epochs}) == 4
    assert (view.failing, view.number) == (True, -1)
    look_ups: list[Callable[[], object]] = [
        lambda: view.find_api_key(ONE.key_id),
        lambda: view.find_restrictions([A], NOW),
        lambda: view.find_state(POSTURE, NOW),
    ]
    for look_up in look_ups:
        with pytest.raises(Refusal) as refusal:
            look_up()
        assert refusal.value.reason is Reason.EVIDENCE_UNAVAILABLE
    clock.advance(0.1)
    assert view.freshen() == -1
    away.rename(file.path)
    assert epoch(view, A.name) not in {before, *epochs}
    assert view.failing, "the file is not tried with every decision"
    clock.advance(0.1)
    assert epoch(view, A.name) not in {before, *epochs}
    assert (view.failing, view.keys) == (False, 1)


def test_a_look_up_that_fails_ends_kept_decisions(file: StateFile, view: StateView, clock: ManualClock) -> None:
    """A table that cannot be read now, although the look before went well."""
    before = epoch(view, A.name)
    file.forge("ALTER TABLE restrictions RENAME TO elsewhere")
    with pytest.raises(Refusal) as refusal:
        view.find_restrictions([A], NOW)
    assert refusal.value.reason is Reason.EVIDENCE_UNAVAILABLE
    assert view.failing
    clock.advance(0.1)
    file.forge("ALTER TABLE elsewhere RENAME TO restrictions")
    assert not is_restricted(view, A)
    assert epoch(view, A.name) != before


def test_what_nobody_foresaw_is_begun_anew(
    file: StateFile, view: StateView, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    """Half of a change must not count as seen."""
    file.restrict(restriction(A))
    file.put(POSTURE, {"compliant": True, "observed_at": NOW})
    with monkeypatch.context() as patch:
        patch.setattr("extauthz.server.stateview.read_changed_facts", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            view.freshen()
    assert (view.failing, view.number) == (True, -1)
    clock.advance(0.1)
    before = epoch(view, POSTURE)
    assert (view.failing, view.number) == (False, 1)
    assert epoch(view, POSTURE) == before


def test_more_changes_than_are_held_are_a_new_beginning(
    file: StateFile, view: StateView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory and the time of a look stay bounded; every name gets another epoch, which is right at any time."""
    other = epoch(view, B.name)
    monkeypatch.setattr(nameepochs, "MAX_NAMES", 3)
    file.restrict(*(restriction(subject(f"s-{number}")) for number in range(3)))
    assert epoch(view, B.name) == other
    file.restrict(restriction(A))
    after = epoch(view, B.name)
    assert after != other
    monkeypatch.setattr("extauthz.server.stateview.MAX_CHANGES", 1)
    file.restrict(restriction(A, event_at=Instant(NOW + 1)), restriction(subject("c")))
    file.put(POSTURE, {"compliant": True, "observed_at": NOW})
    file.put(StateName("posture", "device e"), {"compliant": True, "observed_at": NOW})
    facts = epoch(view, StateName("posture", "device f"))
    assert epoch(view, B.name) != after
    file.put(POSTURE, {"compliant": False, "observed_at": NOW})
    assert epoch(view, StateName("posture", "device f")) == facts


def test_a_clock_that_jumps_ends_everything_that_was_kept(file: StateFile, view: StateView, clock: ManualClock) -> None:
    """In one jump or little by little, forwards or back; the way of both clocks together is no jump."""
    before = epoch(view, FRESH_STATE)
    seen = {before}
    for step in (0.6, 0.6, -0.6, -0.6):
        clock.instant += step
        file.beat()
        seen.add(epoch(view, FRESH_STATE))
    assert len(seen) == 3
    clock.advance(2)
    file.beat()
    assert epoch(view, FRESH_STATE) in seen


def test_a_thousand_changes_are_seen_each_at_once(file: StateFile, view: StateView) -> None:
    """None is missed, however fast they come."""
    missed = 0
    for number in range(1000):
        mark = Mark(Form.TOKEN, ISSUER, f"t-{number}")
        file.restrict(restriction(mark, Effect.QUARANTINED))
        missed += not is_restricted(view, mark)
    assert missed == 0


def test_many_threads_see_each_change_once_it_is_acknowledged(file: StateFile, view: StateView) -> None:
    """Whoever looks first; nobody reads an epoch of before with a fact of after, and nobody fails."""
    acknowledged = [0]
    stop = threading.Event()

    def look() -> int:
        """Look until told to stop; return how often something acknowledged was not seen."""
        missed = 0
        while not stop.is_set():
            expected = acknowledged[0]
            missed += view.freshen() < expected
            missed += len(view.find_restrictions([A], NOW)) < min(expected, 1)
        return missed

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look) for _ in range(4)]
        for number in range(100):
            acknowledged[0] = file.restrict(restriction(A, event_at=Instant(NOW + number)))
        stop.set()
        assert [each.result() for each in looking] == [0] * 4


def test_without_looking_a_change_would_be_missed(
    file: StateFile, view: StateView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: of what is held, and of the epochs of what is looked up."""
    before = epoch(view, A.name)
    monkeypatch.setattr(StateView, "_look", lambda _: None)
    file.revoke(ONE.key_id)
    file.restrict(restriction(A))
    assert not is_revoked(view, ONE.key_id)
    assert epoch(view, A.name) == before


def test_a_look_costs_microseconds(view: StateView) -> None:
    """So every decision can afford one: a thousand take less than a second of the processor on any machine."""
    begun = time.thread_time()
    for _ in range(1000):
        view.freshen()
    assert time.thread_time() - begun < 1


def test_a_row_that_is_no_key_is_left_out(file: StateFile, view: StateView) -> None:
    """Also where it was one before."""
    file.forge("UPDATE api_keys SET kind = 'user', changed = 99")
    file.forge("UPDATE changes SET number = 99 WHERE kind = 'api_key'")
    view.freshen()
    assert view.find_api_key(ONE.key_id) is None
