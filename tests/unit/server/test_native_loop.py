"""The loop that answers calls in batches, on a front that a test scripts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.config.settings import ServerSettings, Settings
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.model.reason import Reason
from extauthz.response.to_envoy import UNANSWERABLE
from extauthz.server.evidence_pool import EvidencePool
from extauthz.server.native_loop import AnsweringLoop
from extauthz.server.proxies import ProxyRegistry
from tests.simulators.checker import Later, ScriptedChecker, answer
from tests.simulators.clock import ManualClock
from tests.simulators.grpc_client import TOKEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.request.bounds import Proxy
    from extauthz.server.native_loop import Event

SECONDS = 10.0
OURS = (("user-agent", "envoy"), ("x-extauthz-proxy-token", TOKEN))


def call(number: int, raw: bytes | None = b"q", details: Any = (OURS, "ipv4:127.0.0.1:4711", 5.0)) -> Event:
    """Return the event of a call."""
    return (0, number, 0, raw, None, details)


def cancelled(number: int) -> Event:
    """Return the event of a call that ended before it was answered."""
    return (1, number, 0, None, None, None)


@dataclass
class Front:
    """Gives batches, then waits to be closed; notes the answers."""

    batches: list[Sequence[Event] | BaseException] = field(default_factory=list)
    answers: dict[int, bytes] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    responded: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    failure: Exception | None = None

    def recv_batch_details(self, max_events: int, timeout_ms: int | None = None) -> Sequence[Event] | None:
        """Return the next batch; None once closed."""
        del max_events, timeout_ms
        if not self.batches:
            self.closed.wait(SECONDS)
            return None
        batch = self.batches.pop(0)
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def respond(self, call_id: int, payload: bytes) -> bool:
        """Note an answer."""
        if self.failure is not None:
            raise self.failure
        self.order.append(call_id)
        self.answers[call_id] = payload
        self.responded.release()
        return True

    def close(self) -> None:
        """Give no more."""
        self.closed.set()


class Picky(ScriptedChecker):
    """Only the question `slow` needs a fetch."""

    def try_check(
        self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None, asked: float | None = None
    ) -> bytes | Later:
        """Answer all others at once."""
        del asked
        return Later(self, raw, proxy, remaining) if raw == b"slow" else answer(7, raw.decode())


@dataclass
class Timed(Front):
    """Notes when answers leave, in milliseconds of a clock that began at 1,000 seconds."""

    clock: ManualClock = field(default_factory=ManualClock)
    left: list[tuple[int, float]] = field(default_factory=list)

    def respond(self, call_id: int, payload: bytes) -> bool:
        """Note an answer and the time."""
        self.left.append((call_id, round(self.clock.monotonic() * 1000 - 1_000_000, 3)))
        return super().respond(call_id, payload)


@dataclass
class Taking(ScriptedChecker):
    """Takes as many milliseconds as the question says; ends the loop for one that says `end`."""

    clock: ManualClock = field(default_factory=ManualClock)

    def check(self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None) -> bytes:
        """Let time pass, then answer."""
        if raw == b"end":
            raise SystemExit
        self.clock.advance(float(raw) / 1000)
        return super().check(raw, proxy, remaining=remaining)


@dataclass
class Bench:
    """A loop with everything round it within reach."""

    checker: ScriptedChecker = field(default_factory=ScriptedChecker)
    front: Front = field(default_factory=Front)
    clock: ManualClock = field(default_factory=ManualClock)
    threads: int = 2
    backlog: int = 8
    deaths: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        proxy = {"name": "edge", "token": TOKEN}
        self.pool = EvidencePool(self.threads, self.backlog)
        self.loop = AnsweringLoop(
            self.front,
            checker=self.checker,
            proxies=ProxyRegistry(Settings.model_validate({"policy": ["p"], "proxies": [proxy]})),
            pool=self.pool,
            server=ServerSettings(deadline=1.0, backlog=self.backlog),
            clock=self.clock,
            on_death=lambda: self.deaths.append(self.front.closed.is_set()),
        )

    def receive(self, *events: Event) -> None:
        """Let the loop have one batch."""
        self.loop._answer_batch(events)

    def finish(self) -> None:
        """Let what waits end."""
        self.checker.gate.set()
        self.pool.drain(SECONDS)
        self.pool.shutdown()

    def said(self, number: int) -> str:
        """Return the message of an answer."""
        message: str = CheckResponse.FromString(self.front.answers[number]).status.message
        return message


def test_what_needs_no_fetch_is_answered_at_once_in_order() -> None:
    """With the proxy that the metadata prove, and the bytes as they came."""
    bench = Bench()
    bench.receive(call(3, b"a"), call(1, b"\xff\x00"), call(2, None))
    assert bench.front.order == [3, 1, 2]
    assert [(asked.raw, asked.proxy) for asked in bench.checker.asked] == [
        (b"a", "edge"),
        (b"\xff\x00", "edge"),
        (b"", "edge"),
    ]
    bench.finish()


@pytest.mark.parametrize(
    "metadata",
    [(), (("x-extauthz-proxy-token", "wrong-wrong-wrong-wrong"),), OURS + OURS, (("x-extauthz-proxy-token", b"x"),)],
)
def test_nobody_known_is_told_nothing(metadata: Any) -> None:
    """Without the token, with another, with two, or with bytes: the question is not looked at."""
    bench = Bench()
    bench.receive(call(1, b"secret", (metadata, "ipv4:127.0.0.1:4711", 5.0)))
    assert [(asked.raw, asked.proxy) for asked in bench.checker.asked] == [(b"", None)]
    bench.finish()


@pytest.mark.parametrize(("left", "remaining"), [(0.4, 0.4), (5.0, 1.0), (None, 1.0), (0.0, 0.0)])
def test_the_lesser_of_deadline_and_patience_is_told(left: float | None, remaining: float) -> None:
    """As of the receipt of the batch."""
    bench = Bench()
    bench.receive(call(1, b"", (OURS, "unix:1", left)))
    assert bench.checker.asked[0].remaining == pytest.approx(remaining)
    bench.finish()


def test_time_behind_others_of_the_batch_is_time_used_up() -> None:
    """Each question that takes a while makes those behind it later."""
    checker = Taking()
    bench = Bench(checker, clock=checker.clock)
    bench.receive(*(call(number, b"250") for number in range(6)))
    told = [asked.remaining for asked in bench.checker.asked]
    assert told == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, -0.25])
    bench.finish()


def taking(*events: Event) -> list[tuple[int, float]]:
    """Return which call is answered when, in milliseconds, where decisions take time."""
    checker = Taking()
    front = Timed(clock=checker.clock)
    bench = Bench(checker, front, checker.clock)
    bench.receive(*events)
    bench.finish()
    return front.left


def test_an_answer_waits_for_no_other() -> None:
    """However long those behind it take; a caller that goes away meanwhile is nobody's loss."""
    answered = taking(call(1, b"0.5"), call(2, b"50"), call(3, b"50"), cancelled(1), call(4, b"50"))
    assert answered == [(1, 0.5), (2, 50.5), (3, 100.5), (4, 150.5)]


def test_what_was_decided_is_told_when_the_loop_dies() -> None:
    """Those answers leave before the listener is closed."""
    bench = Bench(Taking())
    bench.front.batches.append([call(1, b"0"), call(2, b"0"), call(3, b"end"), call(4, b"0")])
    bench.loop.start()
    bench.loop._thread.join(SECONDS)
    assert bench.front.order == [1, 2]
    assert bench.deaths == [True]
    bench.finish()


def test_a_question_that_needs_a_fetch_holds_up_nobody() -> None:
    """It is finished elsewhere and answered when it has its evidence."""
    bench = Bench(Picky())
    bench.checker.gate.clear()
    bench.receive(call(1, b"slow"), call(2, b"quick"))
    assert bench.front.order == [2]
    bench.finish()
    assert bench.front.order == [2, 1]
    assert bench.said(1) == "4"


def test_a_full_pool_refuses_what_needs_a_fetch_and_nothing_else() -> None:
    """One is under way, one waits, the third is refused at once; a question without a fetch is answered."""
    bench = Bench(Picky(), threads=1, backlog=1)
    bench.checker.gate.clear()
    for number in (1, 2, 3):
        bench.receive(call(number, b"slow"))
    bench.receive(call(4, b"quick"))
    assert bench.front.order == [3, 4]
    assert bench.said(3) == "overloaded"
    assert bench.said(4) == "quick"
    bench.finish()
    assert sorted(bench.front.order) == [1, 2, 3, 4]


def test_a_crowd_beyond_the_backlog_is_refused() -> None:
    """The one whose turn it is and the backlog behind it are decided; the others are refused unread."""
    bench = Bench(backlog=2)
    bench.receive(*(call(number) for number in range(6)))
    assert [bench.said(number) for number in range(6)] == ["1", "1", "1", "overloaded", "overloaded", "overloaded"]
    assert len(bench.checker.asked) == 3
    assert bench.checker.refused == [Reason.OVERLOADED] * 3
    bench.finish()


def test_a_caller_that_went_away_is_not_fetched_for() -> None:
    """While it waited for a thread; the one under way ends as it would have."""
    bench = Bench(Picky(), threads=1)
    bench.checker.gate.clear()
    bench.receive(call(1, b"slow"))
    assert bench.checker.entered.acquire(timeout=SECONDS)
    bench.receive(call(2, b"slow"), cancelled(2), cancelled(99))
    bench.finish()
    assert len(bench.checker.asked) == 1
    assert bench.front.order == [1]


def test_a_failure_is_a_denial_of_that_call_alone() -> None:
    """By the prepared bytes, also for a call that cannot be understood, and in the pool."""
    bench = Bench(ScriptedChecker(failure=RuntimeError("boom")))
    bench.receive(call(1), call(2, b"q", None), call(3))
    assert bench.front.answers == {1: UNANSWERABLE, 2: UNANSWERABLE, 3: UNANSWERABLE}
    bench.checker.gate.clear()
    bench.receive(call(4))
    bench.finish()
    assert bench.front.answers[4] is UNANSWERABLE
    assert bench.deaths == []


def test_while_stopping_only_what_needs_a_fetch_is_refused() -> None:
    """So that the stop has an end, and nobody else notices it."""
    bench = Bench(Picky())
    bench.loop.stop_waiting()
    bench.receive(call(1, b"slow"), call(2, b"quick"))
    assert (bench.said(1), bench.said(2)) == ("overloaded", "quick")
    bench.finish()


def test_what_waits_too_long_for_the_stop_is_denied() -> None:
    """Nobody is left without an answer, and what is found later is for nobody."""
    bench = Bench(Picky(), threads=1)
    bench.checker.gate.clear()
    bench.receive(call(1, b"slow"), call(2, b"slow"))
    assert bench.checker.entered.acquire(timeout=SECONDS)
    bench.loop.answer_the_rest()
    assert bench.front.answers == {1: UNANSWERABLE, 2: UNANSWERABLE}
    bench.finish()
    assert len(bench.checker.asked) == 1


def test_the_loop_ends_when_it_is_closed() -> None:
    """That is no death."""
    bench = Bench()
    bench.front.batches.append([call(1)])
    bench.loop.start()
    assert bench.front.responded.acquire(timeout=SECONDS)
    bench.loop.close()
    assert not bench.loop._thread.is_alive()
    assert bench.deaths == []
    bench.finish()


@pytest.mark.parametrize("failure", [RuntimeError("boom"), KeyboardInterrupt(), MemoryError()])
def test_the_death_of_the_loop_is_told_after_the_listener_is_closed(failure: BaseException) -> None:
    """Whatever killed it: callers must not wait for answers that never come."""
    bench = Bench()
    bench.front.batches.append(failure)
    bench.loop.start()
    bench.loop._thread.join(SECONDS)
    assert bench.deaths == [True]
    bench.finish()


def test_a_listener_that_closes_by_itself_is_the_end() -> None:
    """Nobody told it to."""
    bench = Bench()
    bench.front.close()
    bench.loop.start()
    bench.loop._thread.join(SECONDS)
    assert bench.deaths == [True]
    bench.finish()


@pytest.mark.parametrize("raw", [b"quick", b"slow"])
def test_answers_that_cannot_be_given_are_the_end(raw: bytes) -> None:
    """From the loop and from the pool: the calls would end in silence."""
    bench = Bench(Picky(), Front(failure=RuntimeError("boom")))
    bench.front.batches.append([call(1, raw)])
    bench.loop.start()
    assert bench.front.closed.wait(SECONDS)
    bench.loop._closing = True
    bench.loop._thread.join(SECONDS)
    bench.finish()
    assert bench.deaths[0] is True


class Quiet(Front):
    """Nothing arrives, and so the loop comes round."""

    def recv_batch_details(self, max_events: int, timeout_ms: int | None = None) -> Sequence[Event] | None:
        """Return the next batch, or nothing after a while; None once closed."""
        assert timeout_ms is not None
        if self.batches:
            return super().recv_batch_details(max_events, timeout_ms)
        return None if self.closed.wait(timeout_ms / 100_000) else []


def test_a_loop_that_comes_round_is_told_from_one_that_hangs() -> None:
    """With nothing to do, and however long a decision hangs."""
    quiet = Bench(front=Quiet())
    quiet.loop.start()
    assert quiet.loop.has_turned(SECONDS)
    assert quiet.loop.has_turned(SECONDS)
    quiet.loop.close()

    hanging = threading.Event()

    class Hanging(Picky):
        """Never comes back."""

        def try_check(self, *_: Any, **__: Any) -> Any:
            """Hang."""
            hanging.set()
            self.gate.wait(SECONDS)
            return answer(7, "late")

    stuck = Bench(checker=Hanging(), front=Quiet(batches=[[call(1)]]))
    stuck.checker.gate.clear()
    stuck.loop.start()
    assert hanging.wait(SECONDS)
    assert not stuck.loop.has_turned(0.05)
    stuck.checker.gate.set()
    assert stuck.loop.has_turned(SECONDS)
    stuck.loop.close()
