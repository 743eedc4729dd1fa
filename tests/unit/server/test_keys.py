"""Keys stay fresh, a bad issuer costs only its own callers' time, and a good set is never lost to a bad one."""

from __future__ import annotations

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from extauthz.clock import SystemClock
from extauthz.config.issuers import IssuerSettings
from extauthz.errors import FetchError
from extauthz.ports import Fetched, KeysOf
from extauthz.server.fetch import Ask, Egress, EgressRules, Reply
from extauthz.server.keys import IssuerKeys
from tests.integration.running import seconds_of_patience
from tests.simulators.clock import ManualClock
from tests.simulators.documents import Documents
from tests.simulators.tokens import ISSUER, TokenMaker
from tests.simulators.webserver import response, serving_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "https://issuer.example/jwks"
OLD = TokenMaker(kid="old")
NEW = TokenMaker(kid="new")
NEED = KeysOf(ISSUER)
PATIENCE = 10.0
COOL_DOWN = 60.0


class Stage:
    """One issuer with keys at a URL, a clock to move, and the outcomes that were counted."""

    def __init__(self, slots: int = 4, **keys: Any) -> None:
        self.clock = ManualClock()
        self.documents = Documents()
        self.documents.pages[URL] = OLD.jwks()
        self.outcomes: list[Fetched] = []
        place = {} if "file" in keys else {"url": URL}
        settings = IssuerSettings.model_validate(
            {"issuer": ISSUER, "keys": {**place, "cool_down": COOL_DOWN, "refresh": 3600, "max_age": 7200, **keys}}
        )
        self.keys = IssuerKeys(
            [settings],
            fetch=self.documents.fetch,
            clock=self.clock,
            fetch_slots=slots,
            on_fetch=lambda _, outcome: self.outcomes.append(outcome),
        )

    def knows(self, maker: TokenMaker) -> bool:
        """Return whether the maker's key is found."""
        return self.keys.find_key(ISSUER, maker.kid, maker.alg) == maker.verification_key()

    def fetch(self, timeout: float = PATIENCE) -> Fetched:
        """Ask for a newer look."""
        return self.keys.fetch(NEED, timeout)

    def serve(self, page: Any) -> None:
        """Change what the issuer serves."""
        self.documents.pages[URL] = page


@contextlib.contextmanager
def started(**arguments: Any) -> Iterator[Stage]:
    """Run a stage whose first fetch is over."""
    stage = Stage(**arguments)
    stage.keys.start(wait=PATIENCE)
    try:
        yield stage
    finally:
        stage.documents.gate.set()
        stage.keys.stop(wait=PATIENCE)


def test_keys_are_there_after_the_first_fetch_and_not_before() -> None:
    """An issuer that was never asked is unavailable, not empty."""
    stage = Stage()
    assert not stage.knows(OLD)
    assert stage.keys.unavailable_issuers() == (ISSUER,)
    stage.keys.start(wait=PATIENCE)
    assert stage.knows(OLD)
    assert stage.keys.unavailable_issuers() == ()
    assert stage.keys.find_key(ISSUER, None, "ES256") is not None
    assert stage.keys.find_key(ISSUER, "old", "RS256") is None
    assert stage.keys.find_key("https://other.example", "old", "ES256") is None
    stage.keys.stop()


def test_nothing_is_fetched_before_start_and_after_stop_and_keys_stay_usable() -> None:
    """A need in such a moment is refused at once instead of waiting for nobody."""
    stage = Stage()
    assert stage.fetch() is Fetched.UNAVAILABLE
    stage.keys.stop()
    stage.keys.start(wait=PATIENCE)
    assert stage.documents.fetched == []
    with started() as running:
        running.keys.stop(wait=PATIENCE)
        assert running.knows(OLD)
        assert running.fetch() is Fetched.UNAVAILABLE
        assert len(running.documents.fetched) == 1


def test_a_need_of_an_unknown_issuer_fetches_nothing() -> None:
    """Only configured issuers are ever asked."""
    with started() as stage:
        assert stage.keys.fetch(KeysOf("https://evil.example"), PATIENCE) is Fetched.UNAVAILABLE
        assert len(stage.documents.fetched) == 1


def test_a_rotated_key_is_fetched_on_demand_and_the_withdrawn_one_forgotten() -> None:
    """The first demand is answered at once, however recent the background fetch was."""
    with started() as stage:
        stage.serve(NEW.jwks())
        assert stage.fetch() is Fetched.DONE
        assert stage.knows(NEW)
        assert not stage.knows(OLD)


def test_a_thousand_demands_in_one_window_cause_one_fetch() -> None:
    """Random key names are free to make; fetches are not."""
    with started() as stage:
        with ThreadPoolExecutor(8) as callers:
            answers = list(callers.map(lambda _: stage.fetch(), range(1000)))
        assert len(stage.documents.fetched) == 2
        assert Fetched.DONE in answers
        assert len(answers) == 1000


def test_after_the_window_the_next_demand_fetches_again() -> None:
    """The negative control of the cool-down."""
    with started() as stage:
        for _ in range(3):
            assert stage.fetch() is Fetched.DONE
            assert stage.fetch() is Fetched.DONE
            stage.clock.advance(COOL_DOWN)
        assert len(stage.documents.fetched) == 4


def test_within_the_window_a_failure_stays_a_failure() -> None:
    """So that clients are told 503, not that their token is bad; nobody asks a dead issuer again and again."""
    with started() as stage:
        stage.serve(FetchError("down"))
        assert stage.fetch() is Fetched.UNAVAILABLE
        stage.serve(NEW.jwks())
        assert stage.fetch() is Fetched.UNAVAILABLE
        assert len(stage.documents.fetched) == 2
        stage.clock.advance(COOL_DOWN)
        assert stage.fetch() is Fetched.DONE
        assert stage.knows(NEW)


@pytest.mark.parametrize(
    "garbage",
    [
        FetchError("answered with status 500"),
        RuntimeError("a fault of ours"),
        b"",
        b"<html>Welcome</html>",
        {"keys": []},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "old"}]},
        {"keys": [OLD.jwk(d="AAAA")]},
        {"keys": [OLD.jwk(), OLD.jwk()]},
        b'{"keys":' + b"[" * 100 + b"]" * 100 + b"}",
        b" " * 1_000_000,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_bad_answer_never_replaces_a_good_set(garbage: Any) -> None:
    """Whatever it is, it is counted, and the thread lives to fetch the next good one."""
    with started() as stage:
        stage.serve(garbage)
        assert stage.fetch() is Fetched.UNAVAILABLE
        assert stage.knows(OLD)
        stage.serve(NEW.jwks())
        stage.clock.advance(COOL_DOWN)
        assert stage.fetch() is Fetched.DONE
        assert stage.knows(NEW)
        assert stage.outcomes == [Fetched.DONE, Fetched.UNAVAILABLE, Fetched.DONE]


def test_a_set_older_than_the_hard_maximum_is_not_believed() -> None:
    """Keys that may have been withdrawn long ago verify nothing; the issuer is unavailable, not its callers bad."""
    with started() as stage:
        stage.serve(FetchError("down"))
        stage.clock.advance(7200)
        assert stage.knows(OLD)
        stage.clock.advance(1)
        assert not stage.knows(OLD)
        assert stage.keys.unavailable_issuers() == (ISSUER,)
        assert stage.fetch() is Fetched.UNAVAILABLE


def test_a_success_within_the_window_does_not_hide_that_the_set_has_become_too_old() -> None:
    """DONE would mean that the key does not exist, and we do not know that any more."""
    with started(max_age=30) as stage:
        assert stage.fetch() is Fetched.DONE
        stage.clock.advance(31)
        assert stage.fetch() is Fetched.UNAVAILABLE
        assert len(stage.documents.fetched) == 2


def test_the_age_counts_from_the_start_of_the_fetch() -> None:
    """What a slow fetch brings was true when it was asked for, not when it came."""
    stage = Stage(max_age=100)
    stage.documents.gate.clear()
    stage.keys.start()
    assert stage.documents.begun.wait(PATIENCE)
    stage.clock.advance(99)
    stage.documents.gate.set()
    assert stage.fetch() is Fetched.DONE
    assert stage.knows(OLD)
    stage.clock.advance(2)
    assert not stage.knows(OLD)
    stage.keys.stop(wait=PATIENCE)


def test_a_slow_issuer_costs_a_caller_its_own_timeout_and_no_more() -> None:
    """The fetch goes on behind; who comes later joins it and has the new key."""
    with started() as stage:
        stage.documents.gate.clear()
        stage.serve(NEW.jwks())
        assert stage.fetch(timeout=0.01) is Fetched.UNAVAILABLE
        assert stage.knows(OLD)
        stage.documents.gate.set()
        assert stage.fetch() is Fetched.DONE
        assert stage.knows(NEW)
        assert len(stage.documents.fetched) == 2


def test_more_callers_than_slots_do_not_wait() -> None:
    """The one above the bound is told at once, with a timeout that would let it wait long."""
    with started(slots=2) as stage, ThreadPoolExecutor(2) as callers:
        stage.documents.gate.clear()
        stage.documents.begun.clear()
        waiting = [callers.submit(stage.fetch) for _ in range(2)]
        assert stage.documents.begun.wait(PATIENCE)
        wait_until_slots_are_taken(stage)
        assert stage.fetch(timeout=3600) is Fetched.UNAVAILABLE
        stage.documents.gate.set()
        assert [future.result(PATIENCE) for future in waiting] == [Fetched.DONE, Fetched.DONE]
        assert len(stage.documents.fetched) == 2


def wait_until_slots_are_taken(stage: Stage) -> None:
    """Return when every waiting slot of the issuer is in use."""
    slots = stage.keys._issuers[ISSUER]._slots
    seconds_of_patience(lambda: slots._value == 0)  # Whoever tried to take one would take it from somebody.


def test_a_slow_issuer_delays_no_other() -> None:
    """Each has a thread and slots of its own."""
    documents = Documents()
    hanging = threading.Event()
    release = threading.Event()

    def fetch(ask: Ask) -> Reply:
        if "slow" in ask.url:
            hanging.set()
            release.wait(PATIENCE)
        return documents.fetch(ask)

    fast = TokenMaker(issuer="https://fast.example")
    documents.pages["https://fast.example/jwks"] = fast.jwks()
    keys = IssuerKeys(
        [
            IssuerSettings.model_validate({"issuer": issuer, "keys": {"url": f"{issuer}/jwks"}})
            for issuer in ("https://slow.example", "https://fast.example")
        ],
        fetch=fetch,
        clock=SystemClock(),
        fetch_slots=1,
    )
    keys.start()
    assert hanging.wait(PATIENCE)
    assert keys.fetch(KeysOf("https://fast.example"), PATIENCE) is Fetched.DONE
    assert keys.find_key("https://fast.example", "k1", "ES256") is not None
    assert keys.unavailable_issuers() == ("https://slow.example",)
    release.set()
    keys.stop(wait=PATIENCE)


def test_stopping_does_not_wait_for_a_hanging_fetch() -> None:
    """Its thread is left behind as a daemon; a caller that joined it ends by its own timeout."""
    stage = Stage()
    stage.documents.gate.clear()
    stage.keys.start()
    assert stage.documents.begun.wait(PATIENCE)
    stage.keys.stop(wait=0.01)
    assert stage.fetch(timeout=0.01) is Fetched.UNAVAILABLE
    stage.documents.gate.set()
    stage.keys.stop(wait=PATIENCE)


def test_the_background_refreshes_without_being_asked(tmp_path: Path) -> None:
    """A changed key file is in force without any token with an unknown key."""
    path = tmp_path / "keys.json"
    path.write_text('{"keys": []}')
    fetched = threading.Semaphore(0)
    settings = IssuerSettings.model_validate({"issuer": ISSUER, "keys": {"file": path, "refresh": "10ms"}})
    keys = IssuerKeys(
        [settings],
        fetch=Documents().fetch,
        clock=SystemClock(),
        fetch_slots=1,
        on_fetch=lambda *_: fetched.release(),
    )
    path.write_text(json.dumps(OLD.jwks()))
    keys.start(wait=PATIENCE)
    assert keys.find_key(ISSUER, "old", "ES256") is not None
    path.with_suffix(".next").write_text(json.dumps(NEW.jwks()))
    path.with_suffix(".next").rename(path)
    while fetched.acquire(blocking=False):
        continue  # Those were before.
    for _ in range(3):
        assert fetched.acquire(timeout=PATIENCE)
    assert keys.find_key(ISSUER, "new", "ES256") is not None
    keys.stop(wait=PATIENCE)


def test_the_pause_grows_with_failures_and_is_short_again_after_a_success() -> None:
    """From the cool-down, doubling, to the usual interval; also years of failures give a number."""
    stage = Stage(cool_down=10, refresh=60)
    issuer = stage.keys._issuers[ISSUER]
    pauses = [issuer._pause(Fetched.UNAVAILABLE) for _ in range(5)]
    assert pauses == [10, 20, 40, 60, 60]
    assert issuer._pause(Fetched.DONE) == 60
    assert issuer._pause(Fetched.UNAVAILABLE) == 10
    issuer._failures = 10**6
    assert issuer._pause(Fetched.UNAVAILABLE) == 60
    eager = Stage(cool_down=0, refresh=0.01).keys._issuers[ISSUER]
    assert eager._pause(Fetched.UNAVAILABLE) == 1.0


def test_the_log_says_what_changed_and_what_failed() -> None:
    """Names of keys and reasons of ours; once for a change, not for every fetch."""
    with structlog.testing.capture_logs() as lines, started() as stage:
        stage.fetch()
        stage.clock.advance(COOL_DOWN)
        stage.serve({"keys": [NEW.jwk(), OLD.jwk(use="enc")]})
        stage.fetch()
        stage.clock.advance(COOL_DOWN)
        stage.serve(b"<html>")
        stage.fetch()
    assert [(line["event"], line.get("kids")) for line in lines] == [
        ("keys changed", ("old",)),
        ("keys changed", ("new",)),
        ("keys not refreshed", None),
    ]
    assert lines[1]["left_out"] == {"not for verifying": 1}
    assert lines[2]["problem"] == "the key set is not a strict JSON object"
    assert lines[2]["kept"] is True


def test_the_real_egress_client_and_a_lying_server_end_in_a_kept_set() -> None:
    """The whole rim without simulators of ours in between: a web page where a key set was."""
    clock = SystemClock()
    with serving_bytes(response(b"<html></html>")) as server:
        settings = IssuerSettings.model_validate({"issuer": ISSUER, "keys": {"url": f"{server.url}/jwks"}})
        egress = Egress(clock, EgressRules(hosts=frozenset({"127.0.0.1"})))
        keys = IssuerKeys([settings], fetch=egress.fetch, clock=clock, fetch_slots=1)
        keys.start(wait=PATIENCE)
        assert keys.unavailable_issuers() == (ISSUER,)
        assert keys.fetch(NEED, PATIENCE) is Fetched.UNAVAILABLE
        keys.stop(wait=PATIENCE)
