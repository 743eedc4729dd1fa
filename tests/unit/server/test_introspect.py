"""What an issuer says about tokens is remembered for a short while; an outage is never taken for an answer."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest

from extauthz.clock import Instant
from extauthz.config.issuers import IssuerSettings
from extauthz.errors import AnswerError, FetchError
from extauthz.ports import Fetched, Introspection, IntrospectionOf, KeysOf
from extauthz.server.breaker import FAILURES, State
from extauthz.server.fetch import Reply
from extauthz.server.introspect import Introspections, Rate
from tests.integration.running import seconds_of_patience
from tests.simulators.clock import ManualClock
from tests.simulators.tokenhost import CLIENT_SECRET, good_basic
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.server.fetch import Ask

PATIENCE = 10.0
ENDPOINT = "https://issuer.example/introspect"
CACHE, CACHE_INACTIVE = 30.0, 10.0
GOOD = "good"


def digest_of(token: str) -> bytes:
    """Return the name of a token."""
    return sha256(token.encode()).digest()


class Stage:
    """One issuer that can be asked, in memory."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.secret = folder / "secret"
        self.secret.write_text(f"{CLIENT_SECRET}\n")
        self.clock = ManualClock()
        self.said: dict[str, Any] = {"good": {"active": True, "sub": "me"}}
        self.asked: list[Ask] = []
        self.outcomes: list[tuple[str, Fetched]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        client = {"id": "extauthz", "secret_file": str(self.secret), **changes.pop("client", {})}
        place = {} if "discovery" in changes else {"endpoint": ENDPOINT}
        asked = {**place, "client": client, "cache": CACHE, "cache_inactive": CACHE_INACTIVE, **changes}
        settings = IssuerSettings.model_validate({"issuer": ISSUER, "tokens": "opaque", "introspection": asked})
        silent = IssuerSettings.model_validate({"issuer": "https://silent.example", "keys": {"file": "k"}})
        self.answers = Introspections(
            [settings, silent],
            fetch=self.fetch_from_issuer,
            clock=self.clock,
            on_fetch=lambda issuer, outcome: self.outcomes.append((issuer, outcome)),
        )

    def fetch_from_issuer(self, ask: Ask) -> Reply:
        """Be the issuer."""
        self.asked.append(ask)
        self.begun.release()
        assert self.gate.wait(PATIENCE)
        if ask.form is None:
            return Reply(json.dumps({"issuer": ISSUER, "introspection_endpoint": self.said["endpoint"]}).encode())
        page = self.said.get(ask.form["token"], {"active": False})
        if isinstance(page, Exception):
            raise page
        return Reply(page if isinstance(page, bytes) else json.dumps(page).encode())

    def fetch(self, token: str = GOOD, not_before: float | None = None, timeout: float = PATIENCE) -> Fetched:
        """Ask about a token."""
        need = IntrospectionOf(ISSUER, token, None if not_before is None else Instant(not_before))
        return self.answers.fetch(need, timeout)

    def find(self, token: str = GOOD) -> Introspection | None:
        """Return what is remembered now."""
        return self.answers.find_introspection(ISSUER, digest_of(token), self.clock.now())

    def epoch(self, token: str = GOOD) -> int:
        """Return the epoch of what is remembered."""
        return self.answers.epoch(f"{ISSUER} {digest_of(token).hex()}")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Return an honest issuer."""
    return Stage(tmp_path)


def test_an_answer_is_remembered_until_it_is_too_old(stage: Stage) -> None:
    """Its age counts from the start of the fetch."""
    assert stage.find() is None
    assert stage.fetch() is Fetched.DONE
    answer = stage.find()
    assert answer is not None
    assert (answer.active, answer.claims, answer.fetched_at) == (True, {"sub": "me"}, stage.clock.instant)
    stage.clock.advance(CACHE - 0.001)
    assert stage.find() == answer
    stage.clock.advance(0.001)
    assert stage.find() is None
    seconds_of_patience(lambda: stage.outcomes)  # Told after those who wait for the answer were.
    assert stage.outcomes == [(ISSUER, Fetched.DONE)]


def test_a_question_carries_token_hint_and_our_credentials(tmp_path: Path) -> None:
    """As `client_secret_basic`, both parts form-encoded, or as `client_secret_post`."""
    stage = Stage(tmp_path)
    stage.fetch()
    assert stage.asked[0].url == ENDPOINT
    assert stage.asked[0].form == {"token": "good", "token_type_hint": "access_token"}
    assert stage.asked[0].headers == {"authorization": good_basic()}
    post = Stage(tmp_path, client={"method": "post"})
    post.fetch()
    assert post.asked[0].headers == {}
    assert post.asked[0].form is not None
    assert (post.asked[0].form["client_id"], post.asked[0].form["client_secret"]) == ("extauthz", CLIENT_SECRET)
    assert unquote_plus("a+secret%3A+with+colon") == CLIENT_SECRET


def test_a_new_secret_is_used_from_the_next_question_on(stage: Stage) -> None:
    """So it can be rotated. Without one nothing is asked, which is an outage."""
    stage.secret.write_text("new")
    stage.fetch()
    assert stage.asked[0].headers != {"authorization": good_basic()}
    for raw in (b"", b" \n", b"\xff"):
        stage.secret.write_bytes(raw)
        assert stage.fetch("other") is Fetched.UNAVAILABLE
    stage.secret.unlink()
    assert stage.fetch("other") is Fetched.UNAVAILABLE
    assert len(stage.asked) == 1


@pytest.mark.parametrize(
    "page",
    [
        *(FetchError(f"answered with status {status}") for status in (401, 403, 500)),
        *(b"<html>", b"", b"[]", b"true", b'{"active":true,"active":false}'),
        *({}, {"active": "true"}, {"active": 1}, {"active": None}, {"Active": True}),
    ],
    ids=repr,
)
def test_what_is_no_answer_is_an_outage_and_not_inactive(stage: Stage, page: Any) -> None:
    """Nothing is remembered, and what was stays."""
    assert stage.fetch() is Fetched.DONE
    stage.said["good"] = page
    stage.clock.advance(20)
    assert stage.fetch(not_before=stage.clock.instant) is Fetched.UNAVAILABLE
    known = stage.find()
    assert known is not None
    assert known.active
    stage.said["other"] = page
    assert stage.fetch("other") is Fetched.UNAVAILABLE
    assert stage.find("other") is None


def test_a_token_that_is_not_active_is_remembered_as_such_for_a_shorter_time(stage: Stage) -> None:
    """Without its claims: nothing of them counts."""
    stage.said["bad"] = {"active": False, "sub": "somebody"}
    assert stage.fetch("bad") is Fetched.DONE
    answer = stage.find("bad")
    assert answer is not None
    assert (answer.active, answer.claims) == (False, {})
    assert stage.fetch("bad") is Fetched.DONE
    assert len(stage.asked) == 1
    stage.clock.advance(CACHE_INACTIVE)
    assert stage.find("bad") is None


def test_the_newest_answer_counts_and_its_epoch_is_another(stage: Stage) -> None:
    """Active, revoked, active again: never an epoch twice, and never the older of two answers."""
    epochs = [stage.epoch()]
    for active in (True, False, True, True):
        stage.said["good"] = {"active": active}
        stage.clock.advance(1)
        assert stage.fetch(not_before=stage.clock.instant) is Fetched.DONE
        answer = stage.find()
        assert answer is not None
        assert answer.active is active
        epochs.append(stage.epoch())
    assert len(set(epochs[:-1])) == 4
    assert epochs[-1] == epochs[-2]
    assert epochs[0] == -1


def test_an_answer_that_comes_late_does_not_replace_a_newer_one(stage: Stage) -> None:
    """A slow answer from before the revocation must not undo it."""
    stage.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(stage.fetch)
        assert stage.begun.acquire(timeout=PATIENCE)
        stage.clock.advance(5)
        newer = Introspection(active=False, fetched_at=stage.clock.now(), until=Instant(stage.clock.instant + 10))
        stage.answers._issuers[ISSUER]._keep(f"{ENDPOINT} {digest_of('good').hex()}", newer)
        stage.gate.set()
        assert slow.result() is Fetched.DONE
    assert stage.find() == newer


def test_a_clock_that_is_set_back_makes_answers_too_old_to_tell(stage: Stage) -> None:
    """They are asked for again, and the new one counts although it looks older."""
    stage.fetch()
    stage.clock.instant -= 100
    assert stage.find() is None
    assert stage.fetch() is Fetched.DONE
    answer = stage.find()
    assert answer is not None
    assert answer.fetched_at == stage.clock.instant


def test_who_needs_a_newer_answer_gets_one(stage: Stage) -> None:
    """And who does not asks nobody."""
    stage.fetch()
    stage.clock.advance(10)
    assert stage.fetch() is Fetched.DONE
    assert stage.fetch(not_before=stage.clock.instant - 10) is Fetched.DONE
    assert len(stage.asked) == 1
    assert stage.fetch(not_before=stage.clock.instant - 9) is Fetched.DONE
    assert len(stage.asked) == 2


def test_a_flood_of_made_up_tokens_asks_within_the_rate_and_drives_out_no_good_one(tmp_path: Path) -> None:
    """Beyond it nothing is known about them; a token that was active is asked about all the same."""
    stage = Stage(tmp_path, rate=5, cached_tokens=3)
    stage.fetch()
    outcomes = [stage.fetch(f"made up {number}") for number in range(100)]
    assert outcomes.count(Fetched.DONE) == 4
    assert len(stage.asked) == 5
    assert stage.find("made up 99") is None
    assert stage.find() is not None
    stage.clock.advance(CACHE)
    stage.clock.elapsed -= CACHE  # So that the rate has none left.
    assert stage.fetch() is Fetched.DONE
    issuer = stage.answers._issuers[ISSUER]
    assert len(issuer._inactive) == 3


def test_the_rate_fills_up_again_and_no_further() -> None:
    """So many a second, as many at once."""
    clock = ManualClock()
    rate = Rate(clock, 2)
    assert [rate.take() for _ in range(3)] == [True, True, False]
    clock.advance(0.5)
    assert [rate.take() for _ in range(2)] == [True, False]
    clock.advance(1000)
    assert [rate.take() for _ in range(3)] == [True, True, False]


def test_tokens_are_not_kept(stage: Stage) -> None:
    """Only their digests; the need does not show it either."""
    stage.fetch()
    issuer = stage.answers._issuers[ISSUER]
    assert "good" not in repr(issuer._active._kept)
    assert "good" not in repr(IntrospectionOf(ISSUER, "good"))


def test_the_endpoint_is_discovered_and_looked_up_again_after_an_outage(tmp_path: Path) -> None:
    """What was said elsewhere does not count for the new place."""
    stage = Stage(tmp_path, discovery=True)
    stage.said["endpoint"] = "https://issuer.example/one"
    assert stage.fetch() is Fetched.DONE
    assert stage.fetch("second") is Fetched.DONE
    assert [ask.url.rpartition("/")[2] for ask in stage.asked] == ["oauth-authorization-server", "one", "one"]
    stage.said.update(endpoint="https://issuer.example/two", third=FetchError("down"))
    for _ in range(FAILURES):
        stage.fetch("third")
    assert stage.answers.breakers() == {ISSUER: State.OPEN}
    stage.clock.advance(1)
    del stage.said["third"]
    before = stage.epoch()
    assert stage.fetch("third") is Fetched.DONE
    assert stage.asked[-1].url == "https://issuer.example/two"
    assert stage.find() is None
    assert stage.epoch() != before


POISON = (
    AnswerError("answered with status 400"),
    AnswerError("answered with too many bytes"),
    b'{"active": true, "name": "\\ud800"}',
    b' {"active": true, "n": 123456789012345678901234567890}',
)
"""What tokens of a hostile client may make an issuer answer: it chokes on them, or repeats what a user has written."""


@pytest.mark.parametrize("page", POISON, ids=repr)
def test_one_client_s_tokens_cannot_have_the_issuer_left_alone_for_others(stage: Stage, page: Any) -> None:
    """Nothing is known about those tokens, and everybody else's are asked about as before."""
    stage.said["poison"] = page
    for _ in range(3 * FAILURES):
        assert stage.fetch("poison") is Fetched.UNAVAILABLE
    assert stage.answers.breakers() == {ISSUER: State.CLOSED}
    assert stage.fetch() is Fetched.DONE


@pytest.mark.parametrize("page", [FetchError("down"), b"<html>", {"active": "yes"}, {}], ids=repr)
def test_an_issuer_that_is_broken_for_everybody_is_left_alone(stage: Stage, page: Any) -> None:
    """The counterpart: these say nothing about one token."""
    stage.said["any"] = page
    for _ in range(FAILURES):
        stage.fetch("any")
    assert stage.answers.breakers() == {ISSUER: State.OPEN}


def test_nobody_is_asked_about_what_nobody_can_answer(stage: Stage) -> None:
    """Another issuer, one without introspection, another kind of need."""
    for issuer in ("https://silent.example", "https://other.example"):
        assert stage.answers.fetch(IntrospectionOf(issuer, "good"), PATIENCE) is Fetched.UNAVAILABLE
        assert stage.answers.find_introspection(issuer, digest_of("good"), stage.clock.now()) is None
        assert stage.answers.epoch(f"{issuer} {digest_of('good').hex()}") == -1
    assert stage.answers.fetch(KeysOf(ISSUER), PATIENCE) is Fetched.UNAVAILABLE
    assert stage.asked == []
