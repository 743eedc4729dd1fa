"""What the keeper shows at a scrape: streams, the beat, what waits, what is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.config.state import StateSettings
from extauthz.keeper.gauges import COUNT_EVERY, follow_keeper
from extauthz.keeper.keeper import Keeper
from extauthz.model.receipt import Action
from extauthz.model.restriction import Effect, Form, Mark, Restriction
from extauthz.state.beat import write_beat
from extauthz.state.sessions import SessionSeen
from extauthz.state.store import open_store
from extauthz.telemetry.metrics import Metrics
from tests.simulators.clock import ManualClock
from tests.unit.telemetry.test_metrics import samples_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ISSUER = "https://issuer.example"


class Shown:
    """A keeper that does not run by itself, and its metrics."""

    def __init__(self, folder: Path) -> None:
        self.path = path = folder / "state.db"
        self.clock = ManualClock()
        self.keeper = Keeper(path, open_store(path), StateSettings(path=path), self.clock, confirmers={})
        self.metrics = Metrics()
        follow_keeper(self.metrics.state, self.keeper, self.clock, ["okta", "mdm"])

    def restrict(self, name: str, effect: Effect = Effect.QUARANTINED, *, hold_above: int | None = None) -> None:
        """Put something in force."""
        action = Action(id=name, source="stream okta", kind="account-disabled", received_at=self.clock.now())
        mark = Mark(Form.CLIENT, ISSUER, name)
        restriction = Restriction(mark=mark, effect=effect, source="stream okta", event_at=action.received_at)
        self.keeper.carry_out(action, [restriction], hold_above=hold_above)

    def sample(self, name: str) -> float | None:
        """Return a sample as a scraper reads it."""
        return samples_of(self.metrics).get(name)


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    """Return a keeper with its metrics."""
    made = Shown(tmp_path)
    yield made
    made.keeper.stop()


def test_each_configured_stream_is_shown(shown: Shown) -> None:
    """One that was never heard has no silence; what its transmitter said of it counts."""
    shown.keeper.heard("okta", Instant(shown.clock.now() - 7))
    shown.keeper.set_stream_status("okta", "paused", shown.clock.now())
    assert shown.sample("extauthz_stream_silent_seconds{stream=okta}") == pytest.approx(7)
    assert shown.sample("extauthz_stream_status{status=paused,stream=okta}") == 1
    assert shown.sample("extauthz_stream_silent_seconds{stream=mdm}") is None
    assert shown.sample("extauthz_stream_status{status=enabled,stream=mdm}") == 1


def test_the_beat_grows_older(shown: Shown) -> None:
    """Until there is one there is no sample, so that nobody takes it for young."""
    assert shown.sample("extauthz_state_beat_age_seconds{}") is None
    with shown.keeper.writing() as writing:
        write_beat(writing.connection, shown.clock.now(), shown.clock.boot())
    shown.clock.advance(3)
    assert shown.sample("extauthz_state_beat_age_seconds{}") == pytest.approx(3)


def test_what_is_in_force_is_counted_now_and_then(shown: Shown) -> None:
    """A count reads the whole table, so a scrape may show the one before."""
    shown.restrict("billing")
    shown.clock.advance(COUNT_EVERY)
    assert shown.sample("extauthz_restrictions{effect=quarantined,form=client}") == 1
    shown.restrict("shipping")
    shown.restrict("shipping", Effect.DISABLED)
    assert shown.sample("extauthz_restrictions{effect=quarantined,form=client}") == 1
    shown.clock.advance(COUNT_EVERY)
    assert shown.sample("extauthz_restrictions{effect=quarantined,form=client}") == 2


def test_what_waits_is_counted(shown: Shown) -> None:
    """An event that nobody has decided about yet."""
    assert shown.sample("extauthz_held_events{}") == 0
    shown.keeper.note_sessions([SessionSeen(issuer=ISSUER, session="s-1", client="billing", at=shown.clock.now())])
    shown.restrict("billing", hold_above=0)
    assert shown.sample("extauthz_held_events{}") == 1


def test_a_state_that_cannot_be_read_shows_nothing(shown: Shown) -> None:
    """A scrape does not fail, and tells no old values as new ones."""
    shown.keeper.stop()
    (shown.path).write_bytes(b"no database")
    assert shown.sample("extauthz_state_beat_age_seconds{}") is None
    assert shown.sample("extauthz_stream_status{status=enabled,stream=mdm}") is None
    shown.clock.advance(COUNT_EVERY)
    assert shown.sample("extauthz_restrictions{effect=quarantined,form=client}") is None
    assert shown.sample("extauthz_held_events{}") is None
