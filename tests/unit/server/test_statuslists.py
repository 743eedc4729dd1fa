"""Status lists are fetched when needed, and again before they are too old; an outage costs nothing until then."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from extauthz.clock import Instant
from extauthz.config.issuers import IssuerSettings
from extauthz.config.statuslists import StatusListSettings
from extauthz.errors import FetchError
from extauthz.identity.status_list import VerifiedList
from extauthz.ports import Fetched, KeysOf, StatusList, StatusListOf
from extauthz.server.breaker import FAILURES, State
from extauthz.server.keys import IssuerKeys
from extauthz.server.statuslists import StatusLists, lasts_until
from tests.simulators.clock import ManualClock
from tests.simulators.documents import Documents
from tests.simulators.tokenhost import mint_list, pack
from tests.simulators.tokens import ISSUER, NOW, TokenMaker

PATIENCE = 10.0
KEYS_URL = f"{ISSUER}/keys"
URI = f"{ISSUER}/status/1"
OTHER = "https://lists.example"
MAKER = TokenMaker()
NEED = StatusListOf(ISSUER, URI)


class Stage:
    """An issuer with lists, in memory."""

    def __init__(self, **changes: Any) -> None:
        self.clock = ManualClock()
        self.documents = Documents()
        self.documents.pages[KEYS_URL] = MAKER.jwks()
        self.counted = threading.Semaphore(0)
        self.outcomes: list[Fetched] = []
        lists = {"uris": [f"{ISSUER}/status/"], **changes}
        issuers = [
            {"issuer": ISSUER, "keys": {"url": KEYS_URL, "cool_down": 1.0}, "status_list": lists},
            {"issuer": OTHER, "keys": {"url": f"{OTHER}/keys"}, "status_list": {"ignored": True}},
        ]
        settings = [IssuerSettings.model_validate(each) for each in issuers]
        self.documents.pages[f"{OTHER}/keys"] = TokenMaker(issuer=OTHER, kid="l").jwks()
        self.keys = IssuerKeys(settings, fetch=self.documents.fetch, clock=self.clock, fetch_slots=2)
        self.lists = StatusLists(
            settings, fetch=self.documents.fetch, keys=self.keys, clock=self.clock, on_fetch=self.count
        )

    def count(self, issuer: str, outcome: Fetched) -> None:
        """Count an outcome."""
        assert issuer == ISSUER
        self.outcomes.append(outcome)
        self.counted.release()

    def publish(self, *statuses: int, maker: TokenMaker = MAKER, **claims: Any) -> None:
        """Serve a list."""
        raw = mint_list(maker, URI, pack(statuses), **{"now": self.clock.instant, "exp": None, **claims})
        self.documents.pages[URI] = raw.encode()

    def find(self) -> StatusList | None:
        """Return the list as it may be used now."""
        return self.lists.find_status_list(ISSUER, URI, self.clock.now())

    def epoch(self) -> int:
        """Return the list's epoch."""
        return self.lists.epoch(f"{ISSUER} {URI}")

    def fetches(self) -> int:
        """Return how often the list was asked for."""
        return self.documents.fetched.count(URI)


@pytest.fixture
def stage() -> Any:
    """Return an issuer whose keys are known."""
    found = Stage()
    found.keys.start(wait=PATIENCE)
    yield found
    found.documents.gate.set()
    found.keys.stop(wait=PATIENCE)


def test_a_list_is_fetched_and_used_until_its_ttl(stage: Stage) -> None:
    """By a question that says what it wants, within bounds."""
    stage.publish(0, 1, ttl=60)
    assert stage.find() is None
    assert stage.lists.fetch(NEED, PATIENCE) is Fetched.DONE
    found = stage.find()
    assert found is not None
    assert (found.bits, found.statuses, found.until) == (1, b"\x02", stage.clock.instant + 60)
    asked = stage.documents.asked[-1]
    assert (asked.accept, asked.max_bytes) == ("application/statuslist+jwt", 2 * 1024 * 1024 + 65536)
    stage.clock.advance(44)
    assert stage.find() == found
    stage.clock.advance(16)
    assert stage.find() is None
    assert stage.fetches() == 1


def test_a_newer_list_is_fetched_beside_before_the_old_one_ends(stage: Stage) -> None:
    """Nobody waits for it, and a status that has flipped is seen no later than after `ttl`."""
    stage.publish(0, ttl=60)
    stage.lists.fetch(NEED, PATIENCE)
    assert stage.counted.acquire(timeout=PATIENCE)
    stage.publish(1, ttl=60)
    stage.clock.advance(45)
    old = stage.find()
    assert old is not None
    assert old.statuses == b"\0"
    assert stage.counted.acquire(timeout=PATIENCE)
    new = stage.find()
    assert new is not None
    assert (new.statuses, new.fetched_at) == (b"\1", stage.clock.instant)


def test_one_list_that_is_no_use_does_not_cost_the_others(stage: Stage) -> None:
    """Whoever has a token that names a list which its issuer has let expire cannot stop the look-up of other tokens."""
    stage.publish(0, exp=NOW - 60)
    other = StatusListOf(ISSUER, f"{URI}-other")
    stage.documents.pages[other.uri] = mint_list(MAKER, other.uri, pack((0,)), now=NOW, exp=None).encode()
    for _ in range(2 * FAILURES):
        assert stage.lists.fetch(NEED, PATIENCE) is Fetched.UNAVAILABLE
    assert stage.lists.fetch(other, PATIENCE) is Fetched.DONE


def test_a_provider_that_is_down_costs_nothing_until_the_list_ends(stage: Stage) -> None:
    """Then there is none, and each failure is counted."""
    stage.publish(0, exp=NOW + 60)
    stage.lists.fetch(NEED, PATIENCE)
    stage.documents.pages[URI] = FetchError("down")
    stage.clock.advance(59)
    assert stage.find() is not None
    for _ in range(2):
        assert stage.counted.acquire(timeout=PATIENCE)
    stage.clock.advance(1)
    assert stage.find() is None
    assert stage.lists.fetch(NEED, PATIENCE) is Fetched.UNAVAILABLE
    assert stage.counted.acquire(timeout=PATIENCE)
    assert stage.outcomes == [Fetched.DONE, Fetched.UNAVAILABLE, Fetched.UNAVAILABLE]
    assert stage.lists.breakers() == {ISSUER: State.CLOSED}


@pytest.mark.parametrize("page", [b"<html>", b"", FetchError("answered with status 500"), FetchError("late")], ids=repr)
def test_what_is_no_list_changes_nothing(stage: Stage, page: Any) -> None:
    """An outage, and not a list of valid tokens."""
    stage.documents.pages[URI] = page
    assert stage.lists.fetch(NEED, PATIENCE) is Fetched.UNAVAILABLE
    assert stage.find() is None


def test_the_epoch_changes_with_the_statuses_and_only_then(stage: Stage) -> None:
    """A list that is confirmed leaves what was decided by it in force."""
    epochs = [stage.epoch()]
    for status in (0, 0, 1, 0):
        stage.publish(status)
        stage.clock.advance(1)
        assert stage.lists.fetch(NEED, PATIENCE) is Fetched.DONE
        epochs.append(stage.epoch())
    assert epochs[0] == -1
    assert epochs[1] == epochs[2]
    assert len(set(epochs)) == 4


def test_a_list_under_a_new_key_is_worth_one_look_at_the_keys(stage: Stage) -> None:
    """As with tokens; a key that nobody publishes stays unknown."""
    rotated = TokenMaker(kid="k2")
    stage.publish(0, maker=rotated)
    assert stage.lists.fetch(NEED, PATIENCE) is Fetched.UNAVAILABLE
    stage.documents.pages[KEYS_URL] = MAKER.jwks(rotated)
    stage.clock.advance(2)
    assert stage.lists.fetch(NEED, PATIENCE) is Fetched.DONE


def test_a_slow_old_list_does_not_replace_a_newer_one(stage: Stage) -> None:
    """Its fetch began earlier."""
    stage.publish(1)
    stage.lists.fetch(NEED, PATIENCE)
    newer = stage.find()
    lists = stage.lists._issuers[ISSUER]
    lists._load(URI, stage.lists._kept, Instant(stage.clock.instant - 1))
    assert stage.find() == newer


def test_lists_may_be_signed_by_somebody_else_who_is_named() -> None:
    """And then not by the issuer itself."""
    stage = Stage(issuer=OTHER)
    stage.keys.start(wait=PATIENCE)
    stage.publish(0)
    assert stage.lists.fetch(NEED, PATIENCE) is Fetched.UNAVAILABLE
    stage.publish(0, maker=TokenMaker(issuer=OTHER, kid="l"))
    assert stage.lists.fetch(NEED, PATIENCE) is Fetched.DONE
    stage.keys.stop()


def test_nobody_is_asked_for_what_nobody_has(stage: Stage) -> None:
    """Another issuer, one whose lists are ignored, another kind of need."""
    for issuer in (OTHER, "https://nobody.example"):
        assert stage.lists.fetch(StatusListOf(issuer, URI), PATIENCE) is Fetched.UNAVAILABLE
        assert stage.lists.find_status_list(issuer, URI, stage.clock.now()) is None
    assert stage.lists.fetch(KeysOf(ISSUER), PATIENCE) is Fetched.UNAVAILABLE
    assert stage.fetches() == 0


@pytest.mark.parametrize(
    ("ttl", "exp", "http", "lasts"),
    [
        (None, None, None, 300),
        (60, None, None, 60),
        (60, None, 10, 60),
        (None, None, 10, 10),
        (None, 100, 10, 100),
        (60, 30, None, 30),
        (1, None, None, 5),
        (None, None, 0, 5),
        (1e6, None, None, 300),
        (None, 1e6, None, 300),
        (1, 2, None, 2),
    ],
)
def test_how_long_a_list_lasts(ttl: float | None, exp: float | None, http: float | None, lasts: float) -> None:
    """`exp` always ends it; `ttl` before HTTP; the operator's bounds hold for both."""
    settings = StatusListSettings(uris=("https://a.example/",), shortest=5.0, longest=300.0)
    expires_at = None if exp is None else Instant(NOW + exp)
    verified = VerifiedList(bits=1, statuses=b"", expires_at=expires_at, ttl=ttl)
    assert lasts_until(verified, http, settings, NOW) == NOW + lasts
