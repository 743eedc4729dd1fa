"""What runs in the background for each stream: verification, metadata, polls; and steps that fail."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.config.signals import StreamSettings
from extauthz.receiver.background import Background
from extauthz.receiver.feeds import Feeds
from extauthz.receiver.learn import Learner
from extauthz.receiver.verify import Verifier
from extauthz.server.fetch import Egress, EgressRules
from extauthz.server.verifications import Verifications
from tests.simulators.desk import ScriptedDesk
from tests.simulators.transmitter import ACCESS_TOKEN, STREAM_ID, Mood, Stream, Transmitter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.receiver.metadata import TransmitterMetadata

KEY = b"k" * 32
EGRESS = Egress(SystemClock(), EgressRules(hosts=frozenset({"127.0.0.1"})))
AUTHORITY = {"issuers": ["https://issuer.example"], "events": ["session-revoked"]}


@pytest.fixture
def transmitter() -> Iterator[Transmitter]:
    """Return a transmitter with a stream."""
    with Transmitter() as running:
        configuration = {"stream_id": STREAM_ID, "iss": running.url, "min_verification_interval": 2}
        running.streams[STREAM_ID] = Stream(configuration)
        yield running


def stream(transmitter: Transmitter, folder: Path, *, push: bool = False, **changes: Any) -> dict[str, Any]:
    """Return the settings of a stream."""
    (token := folder / "token").write_text(ACCESS_TOKEN)
    poll = {"url": f"{transmitter.url}/poll", "token_file": str(token), "interval": 0.05}
    pushed = {"authorization_file": str(token), "token_file": str(token)}
    return {
        "name": "idp",
        "issuer": transmitter.url,
        "keys": {"discovery": True},
        "audience": "us",
        "stream_id": STREAM_ID,
        "authority": AUTHORITY,
        "verify_every": "60s",
        **({"push": pushed} if push else {"poll": poll}),
        **changes,
    }


def verifier(transmitter: Transmitter, folder: Path, verifications: Verifications, **changes: Any) -> Verifier:
    """Return what asks for verification."""
    settings = StreamSettings.model_validate(stream(transmitter, folder, **changes))
    return Verifier(settings, fetch=EGRESS.fetch, clock=SystemClock(), verifications=verifications, chance=lambda: 1.0)


@pytest.mark.parametrize("push", [False, True])
def test_a_state_is_sent_that_is_known_when_it_comes_back(
    transmitter: Transmitter, tmp_path: Path, *, push: bool
) -> None:
    """Each time another one; and one that nobody sent is not known."""
    verifications = Verifications(KEY, SystemClock())
    asks = verifier(transmitter, tmp_path, verifications, push=push)
    assert [asks.step(), asks.step()] == [60.0, 60.0]
    first, second = transmitter.streams[STREAM_ID].states
    assert first != second
    for state in (first, second, first, None):
        assert verifications.knows("idp", state)
    for state in ("", "made up", first.upper()):
        assert not verifications.knows("idp", state)
    assert not verifications.knows("other", first)
    assert verifications.knows("other", None)


def test_verification_is_not_asked_for_more_often_than_the_transmitter_wants(
    transmitter: Transmitter, tmp_path: Path
) -> None:
    """By its configuration, and by its answer."""
    transmitter.streams[STREAM_ID].configuration["min_verification_interval"] = 90
    asks = verifier(transmitter, tmp_path, Verifications(KEY, SystemClock()))
    assert asks.step() == 90.0
    transmitter.too_soon = True
    assert [asks.step() for _ in range(2)] == [90.0, 90.0]
    patient = verifier(transmitter, tmp_path, Verifications(KEY, SystemClock()))
    transmitter.streams[STREAM_ID].configuration["min_verification_interval"] = 0
    assert [patient.step() for _ in range(4)] == [7.0, 7.0, 7.0, 8.0]
    transmitter.too_soon = False
    assert patient.step() == 60.0


def test_a_transmitter_that_cannot_be_reached_is_asked_again(transmitter: Transmitter, tmp_path: Path) -> None:
    """From the start, so that it is known by its metadata; a stream that is not enabled is asked all the same."""
    asks = verifier(transmitter, tmp_path, Verifications(KEY, SystemClock()))
    transmitter.metadata_mood = Mood.GARBAGE
    assert [asks.step(), asks.step()] == [1.0, 2.0]
    transmitter.metadata_mood = Mood.HONEST
    transmitter.streams[STREAM_ID].status = "paused"
    assert asks.step() == 60.0


@pytest.mark.parametrize("member", ["status_endpoint", "configuration_endpoint"])
def test_a_transmitter_with_fewer_endpoints_is_asked_all_the_same(
    transmitter: Transmitter, tmp_path: Path, member: str
) -> None:
    """What it does not show is not needed; without a place to ask at, nothing can be asked."""
    transmitter.metadata = {member: None}
    assert verifier(transmitter, tmp_path, Verifications(KEY, SystemClock())).step() == 60.0
    assert transmitter.streams[STREAM_ID].states
    transmitter.metadata = {"verification_endpoint": None}
    assert verifier(transmitter, tmp_path, Verifications(KEY, SystemClock())).step() == 2.0


def test_metadata_are_read_and_told(transmitter: Transmitter, tmp_path: Path) -> None:
    """Every hour; what could not be read is read soon again."""
    told: list[tuple[str, TransmitterMetadata]] = []
    settings = StreamSettings.model_validate(stream(transmitter, tmp_path))
    learner = Learner(
        settings,
        fetch=EGRESS.fetch,
        clock=SystemClock(),
        on_learnt=lambda name, found: told.append((name, found)),
        chance=lambda: 1.0,
    )
    transmitter.metadata_mood = Mood.GARBAGE
    assert [learner.step(), learner.step()] == [1.0, 2.0]
    transmitter.metadata_mood = Mood.HONEST
    assert learner.step() == 3600.0
    transmitter.metadata = {"critical_subject_members": ["device"], "spec_version": "1_0-ID3"}
    assert learner.step() == 3600.0
    assert learner.step() == 3600.0
    assert [(name, found.critical_subject_members) for name, found in told] == [
        ("idp", ("tenant",)),
        ("idp", ("device",)),
        ("idp", ("device",)),
    ]


def test_verification_needs_the_streams_id(transmitter: Transmitter, tmp_path: Path) -> None:
    """The transmitter is asked about it."""
    with pytest.raises(ValueError, match="needs `stream_id`"):
        StreamSettings.model_validate(stream(transmitter, tmp_path, stream_id=""))


def settings_of(*streams: dict[str, Any], folder: Path) -> Settings:
    """Return whole settings."""
    (folder / "keys.json").write_text('{"keys": []}')
    keys = {"file": str(folder / "keys.json")}
    return Settings.model_validate(
        {
            "policy": ["policy.yaml"],
            "issuers": [{"issuer": "https://issuer.example", "keys": keys}],
            "state": {"memory": True},
            "signals": {"streams": list(streams)},
        }
    )


def test_feeds_poll_verify_and_learn(transmitter: Transmitter, tmp_path: Path) -> None:
    """Until they are stopped; a poll that is held open does not hold up the stop."""
    transmitter.hold = 20
    pushed = stream(transmitter, tmp_path, push=True, name="pushed", verify_every=None)
    elsewhere = {"issuer": "https://plain.example", "keys": {"url": "https://plain.example/keys"}}
    plain = stream(transmitter, tmp_path, push=True, name="plain", verify_every=None, **elsewhere)
    settings = settings_of(stream(transmitter, tmp_path), pushed, plain, folder=tmp_path)
    learnt: dict[str, threading.Event] = {"idp": threading.Event(), "pushed": threading.Event()}
    desk, verifications = ScriptedDesk(), Verifications(KEY, SystemClock())
    feeds = Feeds(
        settings,
        fetch=EGRESS.fetch,
        desk=desk,
        verifications=verifications,
        clock=SystemClock(),
        on_learnt=lambda name, _: learnt[name].set(),
    )
    feeds.start()
    event = transmitter.event()
    transmitter.offer(event)
    with transmitter.changed:
        assert transmitter.changed.wait_for(lambda: transmitter.acked, 10)
        assert transmitter.changed.wait_for(lambda: transmitter.streams[STREAM_ID].states, 10)
    assert all(told.wait(10) for told in learnt.values())
    feeds.stop(wait=0.05)
    assert desk.heard == [("idp", event)]
    transmitter.offer(transmitter.event())
    assert verifications.knows("idp", transmitter.streams[STREAM_ID].states[0])


def test_a_pushed_stream_alone_needs_nothing_in_the_background(transmitter: Transmitter, tmp_path: Path) -> None:
    """Without anybody to tell, metadata are not read either; stopping before the start, or twice, is harmless."""
    feeds = Feeds(
        settings_of(stream(transmitter, tmp_path, push=True, verify_every=None), folder=tmp_path),
        fetch=EGRESS.fetch,
        desk=ScriptedDesk(),
        verifications=Verifications(KEY, SystemClock()),
        clock=SystemClock(),
    )
    feeds.stop()
    feeds.start()
    feeds.stop()


def test_a_step_that_fails_in_a_way_nobody_foresaw_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a feed would fall silent for good."""
    monkeypatch.setattr("extauthz.receiver.background._AFTER_A_FAULT", 0.0)
    stopping, done = threading.Event(), threading.Event()
    outcomes: list[str] = []

    def step() -> float:
        outcomes.append("again")
        if len(outcomes) == 1:
            message = "nobody foresaw this"
            raise ZeroDivisionError(message)
        done.set()
        return 60.0

    background = Background("test", step, stopping)
    background.join(0.0)
    background.start()
    assert done.wait(10)
    stopping.set()
    background.join(10)
    assert outcomes == ["again", "again"]
