"""Polling: what is acknowledged, reported, asked again; transmitters that fail, lie, hang and repeat themselves."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import SystemClock
from extauthz.config.signals import PollSettings
from extauthz.errors import FetchError
from extauthz.receiver.poll import Poller
from extauthz.server.fetch import Ask, Egress, EgressRules, Fetch, Reply
from tests.integration.running import seconds_of_patience
from tests.simulators.clock import ManualClock
from tests.simulators.desk import BUSY, TAKEN, ScriptedDesk, refused
from tests.simulators.transmitter import ACCESS_TOKEN, Mood, Transmitter, jti_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INTERVAL = 5.0


class Polling:
    """A poller in front of a transmitter, with a desk behind it."""

    def __init__(self, folder: Path, transmitter: Transmitter) -> None:
        self.transmitter = transmitter
        self.desk = ScriptedDesk()
        self.clock = ManualClock()
        self.token = folder / "token"
        self.token.write_text(f"{ACCESS_TOKEN}\n")
        self.stopping = threading.Event()
        self.settings = PollSettings(
            url=f"{transmitter.url}/poll", interval=INTERVAL, max_events=2, timeout=30, token_file=self.token
        )
        self.fetch: Fetch = Egress(SystemClock(), EgressRules(hosts=frozenset({"127.0.0.1"}))).fetch
        self.poller = self.again()

    def again(self) -> Poller:
        """Return a poller that knows nothing of earlier ones."""
        return Poller(
            "idp",
            self.settings,
            fetch=self.fetch_now,
            desk=self.desk,
            clock=self.clock,
            chance=lambda: 1.0,
            stopping=self.stopping,
        )

    def fetch_now(self, ask: Ask) -> Reply:
        """Fetch as the test wants it at this moment."""
        return self.fetch(ask)

    def steps(self, count: int) -> list[float]:
        """Poll so often; return the pauses."""
        return [self.poller.step() for _ in range(count)]


@pytest.fixture
def polling(tmp_path: Path) -> Iterator[Polling]:
    """Return a poller and its transmitter."""
    with Transmitter() as transmitter:
        yield Polling(tmp_path, transmitter)


def test_events_are_acknowledged_after_the_desk_has_them(polling: Polling) -> None:
    """With the next poll, which goes out at once; then there is a pause."""
    first, second = polling.transmitter.event(), polling.transmitter.event()
    polling.transmitter.offer(first, second)
    assert polling.steps(3) == [0.0, INTERVAL, INTERVAL]
    assert polling.desk.heard == [("idp", first), ("idp", second)]
    assert [poll.get("ack") for poll in polling.transmitter.polls] == [None, [jti_of(first), jti_of(second)], None]
    assert polling.transmitter.pending == {}


def test_it_asks_as_the_settings_say(polling: Polling) -> None:
    """So many events at most, held open, with our access token, which may change at any time."""
    polling.steps(1)
    assert polling.transmitter.polls == [{"maxEvents": 2, "returnImmediately": False}]
    assert polling.transmitter.credentials == [f"Bearer {ACCESS_TOKEN}"]
    polling.token.write_text("another")
    assert polling.steps(2) == [1.0, 2.0]
    polling.token.write_text(ACCESS_TOKEN)
    assert polling.steps(1) == [INTERVAL]


def test_more_than_fits_is_fetched_at_once(polling: Polling) -> None:
    """Without a pause as long as something new comes."""
    events = [polling.transmitter.event() for _ in range(5)]
    polling.transmitter.offer(*events)
    assert polling.steps(4) == [0.0, 0.0, 0.0, INTERVAL]
    assert [event for _, event in polling.desk.heard] == events


def test_what_is_refused_is_reported_and_the_good_ones_are_acknowledged(polling: Polling) -> None:
    """`setErrs` and `ack` in one poll."""
    good, bad = polling.transmitter.event(), polling.transmitter.event(aud="others")
    polling.desk.says = lambda event: refused("invalid_audience", "Not for us.") if event == bad else TAKEN
    polling.transmitter.offer(good, bad)
    polling.steps(2)
    assert polling.transmitter.acked == [jti_of(good)]
    assert polling.transmitter.errors == {jti_of(bad): {"err": "invalid_audience", "description": "Not for us."}}
    assert polling.transmitter.pending == {}


def test_what_cannot_be_taken_now_is_neither_and_what_follows_waits(polling: Polling) -> None:
    """Events lift what earlier ones have taken away, so their order is kept."""
    first, second, third = events = [polling.transmitter.event() for _ in range(3)]
    polling.settings = polling.settings.model_copy(update={"max_events": 3})
    polling.poller = polling.again()
    polling.desk.says = lambda event: BUSY if event == second else TAKEN
    polling.transmitter.offer(*events)
    assert polling.steps(2) == [1.0, 2.0]
    assert polling.transmitter.acked == [jti_of(first)]
    assert third not in [event for _, event in polling.desk.heard]
    polling.desk.says = lambda _: TAKEN
    assert polling.steps(2) == [0.0, INTERVAL]
    assert polling.transmitter.acked == [jti_of(event) for event in events]


def test_a_restart_loses_nothing(polling: Polling) -> None:
    """What was not acknowledged comes again."""
    event = polling.transmitter.event()
    polling.transmitter.offer(event)
    polling.steps(1)
    polling.poller = polling.again()
    polling.steps(2)
    assert [heard for _, heard in polling.desk.heard] == [event, event]
    assert polling.transmitter.pending == {}


@pytest.mark.parametrize(
    "mood", [Mood.ERROR, Mood.REDIRECT, Mood.DEAD, Mood.GARBAGE, Mood.NO_SETS, Mood.HUGE, Mood.STRANGER]
)
def test_a_transmitter_that_fails_is_left_alone_longer_and_longer(polling: Polling, mood: Mood) -> None:
    """Up to a minute; when it is back, all is as before, and nothing is lost."""
    polling.transmitter.feel(mood)
    event = polling.transmitter.event()
    polling.transmitter.offer(event)
    assert polling.steps(8) == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert polling.desk.heard == []
    polling.transmitter.feel(Mood.HONEST)
    assert polling.steps(2) == [0.0, INTERVAL]
    assert polling.desk.heard == [("idp", event)]
    polling.transmitter.feel(mood)
    assert polling.steps(1) == [1.0]


def test_a_transmitter_says_how_long_it_wants_to_be_left_alone(polling: Polling) -> None:
    """`Retry-After` with 429."""
    polling.transmitter.feel(Mood.TOO_OFTEN)
    assert polling.steps(5) == [7.0, 7.0, 7.0, 8.0, 16.0]


def test_acknowledgements_outlive_a_poll_that_failed(polling: Polling) -> None:
    """They are sent again with the next."""
    event = polling.transmitter.event()
    polling.transmitter.offer(event)
    polling.steps(1)
    polling.transmitter.feel(Mood.DEAD)
    polling.steps(1)
    polling.transmitter.feel(Mood.HONEST)
    polling.steps(1)
    assert [poll.get("ack") for poll in polling.transmitter.polls[1:]] == [[jti_of(event)]] * 2


def test_what_a_transmitter_complains_of_is_not_sent_again(polling: Polling) -> None:
    """Otherwise an acknowledgement that it does not understand would stop the stream for good."""
    event = polling.transmitter.event()
    polling.transmitter.offer(event)
    polling.steps(1)
    polling.transmitter.feel(Mood.HUGE)
    polling.steps(1)
    polling.transmitter.feel(Mood.HONEST)
    polling.steps(1)
    assert "ack" not in polling.transmitter.polls[-1]


@pytest.mark.parametrize("mood", [Mood.ALWAYS_MORE, Mood.DROPS_ACKS])
def test_a_transmitter_that_repeats_itself_does_not_keep_us_busy(polling: Polling, mood: Mood) -> None:
    """Only what is new is followed at once, whatever is said about there being more."""
    polling.transmitter.feel(mood)
    polling.transmitter.offer(polling.transmitter.event())
    assert polling.steps(4) == [0.0, INTERVAL, INTERVAL, INTERVAL]


def test_what_is_no_text_is_reported_and_more_than_asked_for_is_left(polling: Polling) -> None:
    """The rest comes again."""
    polling.transmitter.feel(Mood.BAD_SETS)
    events = [polling.transmitter.event() for _ in range(3)]
    polling.transmitter.offer(*events)
    polling.steps(1)
    assert [heard for _, heard in polling.desk.heard] == events[:1]
    polling.transmitter.feel(Mood.HONEST)
    polling.steps(1)
    assert polling.transmitter.errors["broken"]["err"] == "invalid_request"


@pytest.mark.parametrize("name", ["", "x" * 257])
def test_an_event_without_a_usable_name_fails_the_answer(polling: Polling, name: str) -> None:
    """Nobody could acknowledge it."""
    polling.fetch = lambda ask: Reply(b'{"sets": {"%s": "a.b.c"}}' % name.encode())  # noqa: ARG005 — it is a Fetch
    assert polling.steps(1) == [1.0]
    assert polling.desk.heard == []


def test_a_poll_that_was_held_too_long_is_followed_by_one_that_is_not_held(polling: Polling) -> None:
    """A transmitter that answers that one is well; one that does not is failing."""
    asked: list[Any] = []
    held = True

    def fetch(ask: Ask) -> Reply:
        document = ask.document or {}
        asked.append(document["returnImmediately"])
        if held and not asked[-1]:
            polling.clock.advance(30)
            message = "no complete answer in time"
            raise FetchError(message)
        return Reply(b'{"sets": {}}')

    polling.fetch = fetch
    assert polling.steps(4) == [0.0, INTERVAL, 0.0, INTERVAL]
    assert asked == [False, True, False, True]

    def silent(ask: Ask) -> Reply:
        asked.append((ask.document or {})["returnImmediately"])
        polling.clock.advance(30)
        message = "no complete answer in time"
        raise FetchError(message)

    polling.fetch = silent
    asked.clear()
    assert polling.steps(4) == [0.0, 1.0, 2.0, 4.0]
    assert asked == [False, True, True, True]
    held = False


def test_a_transmitter_that_never_answers_is_asked_for_an_answer_and_then_left_alone(polling: Polling) -> None:
    """The time for one poll ends it, whatever the transmitter does."""
    polling.settings = polling.settings.model_copy(update={"timeout": 0.5})
    polling.clock.monotonic = SystemClock().monotonic  # type: ignore[method-assign]  # this one has to pass by itself
    polling.poller = polling.again()
    polling.transmitter.feel(Mood.NEVER)
    assert polling.steps(3) == [0.0, 1.0, 2.0]
    # Nobody waits for them to arrive; and which of them wanted an answer at once is what the first pause says.
    seconds_of_patience(lambda: len(polling.transmitter.polls) == 3)
    assert sorted(poll["returnImmediately"] for poll in polling.transmitter.polls) == [False, True, True]


def test_a_poll_that_was_held_open_is_followed_at_once(polling: Polling) -> None:
    """The interval counts from its beginning."""

    def fetch(ask: Ask) -> Reply:
        assert ask.document == {"maxEvents": 2, "returnImmediately": False}
        polling.clock.advance(20)
        return Reply(b'{"sets": {}}')

    polling.fetch = fetch
    assert polling.steps(2) == [0.0, 0.0]


def test_nothing_is_taken_after_being_told_to_stop(polling: Polling) -> None:
    """What a poll brings that was under way comes again."""
    polling.transmitter.offer(polling.transmitter.event())
    polling.stopping.set()
    polling.steps(1)
    assert polling.desk.heard == []


def test_a_poll_is_held_until_there_is_something(polling: Polling) -> None:
    """The event arrives without waiting for an interval."""
    polling.transmitter.hold = 20
    thread = threading.Thread(target=polling.poller.step)
    thread.start()
    with polling.transmitter.changed:
        assert polling.transmitter.changed.wait_for(lambda: polling.transmitter.polls, 20)
    event = polling.transmitter.event()
    polling.transmitter.offer(event)
    thread.join(20)
    assert polling.desk.heard == [("idp", event)]


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff", b"line\nbreak"])
def test_without_an_access_token_nothing_is_asked(polling: Polling, content: bytes | None) -> None:
    """A file that holds none is a failure that names the file, not a header that nobody meant."""
    polling.token.unlink()
    if content is not None:
        polling.token.write_bytes(content)
    assert polling.steps(1) == [1.0]
    assert polling.transmitter.polls == []


def test_a_transmitter_may_want_no_token(polling: Polling) -> None:
    """Then none is sent."""
    seen: list[Any] = []

    def fetch(ask: Ask) -> Reply:
        seen.append(dict(ask.headers))
        return Reply(b'{"sets": {}}')

    polling.settings = polling.settings.model_copy(update={"token_file": None})
    polling.fetch = fetch
    polling.poller = polling.again()
    polling.steps(1)
    assert seen == [{}]
