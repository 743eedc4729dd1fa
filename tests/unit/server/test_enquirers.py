"""Other decision points and plug-ins that wait: an outage is never taken for an answer, and answers are remembered."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from extauthz import plugin
from extauthz.config.decisionpoints import DecisionPointSettings
from extauthz.errors import FetchError
from extauthz.model.enquiry import Enquiry
from extauthz.ports import AnswerOf, Fetched, KeysOf
from extauthz.server.breaker import FAILURES, State
from extauthz.server.enquirers import ONCE_SECONDS, Enquirers
from extauthz.server.fetch import Reply
from tests.simulators.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from extauthz.server.fetch import Ask

PATIENCE = 10.0
JSON = {"content-type": "application/json; charset=utf-8"}
QUESTION = Enquiry(kind="external", of="risk", digest="d1", question={"subject": {"type": "ci", "id": "job"}})
NEED = AnswerOf(QUESTION)


class Stage:
    """One decision point and one plug-in, in memory."""

    def __init__(self, **changes: Any) -> None:
        self.clock = ManualClock()
        self.reply: Reply | Exception = Reply(b'{"decision": true}', JSON)
        self.asked: list[Ask] = []
        self.meanwhile: Callable[[], object] | None = None
        self.outcomes: list[tuple[str, str, Fetched]] = []
        settings = DecisionPointSettings.model_validate({"url": "https://pdp.example/eval", "cache": 5, **changes})
        self.enquirers = Enquirers(
            {"risk": settings},
            ("acme.slow",),
            fetch=self.fetch,
            clock=self.clock,
            on_asked=lambda *told: self.outcomes.append(told),
        )

    def fetch(self, ask: Ask) -> Reply:
        """Note the question, and answer as set."""
        self.asked.append(ask)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    def find(self, enquiry: Enquiry = QUESTION) -> Any:
        """Return what was answered; None for nothing."""
        answered = self.enquirers.find_answer(enquiry, self.clock.now())
        return answered.said if answered is not None else None

    def epoch(self, enquiry: Enquiry = QUESTION) -> int:
        """Return the epoch of the answer."""
        return self.enquirers.epoch(enquiry.name.of)


def test_an_answer_is_remembered_for_a_while() -> None:
    """And asked for again afterwards; the same answer keeps its epoch."""
    stage = Stage()
    assert stage.find() is None
    before = stage.epoch()
    assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.DONE
    assert stage.find() == {"decision": True}
    kept = stage.epoch()
    assert kept != before
    assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.DONE
    assert len(stage.asked) == 1
    stage.clock.advance(5)
    assert stage.find() is None
    assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.DONE
    assert (len(stage.asked), stage.epoch()) == (2, kept)
    stage.clock.advance(5)
    stage.reply = Reply(b'{"decision": false}', JSON)
    assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.DONE
    assert (stage.find(), stage.epoch() != kept) == ({"decision": False}, True)
    assert stage.asked[0].document == QUESTION.question
    assert stage.outcomes == [("external", "risk", Fetched.DONE)] * 3


def test_without_a_cache_each_decision_asks() -> None:
    """The answer waits for the decision that asked, and no longer."""
    stage = Stage(cache=0)
    for _ in range(2):
        assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.DONE
    assert len(stage.asked) == 2
    answered = stage.enquirers.find_answer(QUESTION, stage.clock.now())
    assert answered is not None
    assert answered.until is None
    stage.clock.advance(ONCE_SECONDS)
    assert stage.find() is None


def test_an_answer_from_the_future_is_none() -> None:
    """The clock was set back since."""
    stage = Stage()
    assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.DONE
    stage.clock.instant -= 1
    assert stage.find() is None


def test_an_older_answer_never_takes_the_place_of_a_newer_one() -> None:
    """A question that was slow comes back after one that was asked later."""
    stage = Stage(cache=0)
    stage.reply = Reply(b'{"decision": false}', JSON)

    def overtake() -> None:
        stage.clock.advance(1)
        stage.enquirers.fetch(NEED, PATIENCE)
        stage.reply = Reply(b'{"decision": true}', JSON)

    stage.meanwhile = overtake
    assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.DONE
    assert (len(stage.asked), stage.find()) == (2, {"decision": False})


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b'{"decision": "true"}', JSON),
        Reply(b'{"decision": 1}', JSON),
        Reply(b"{}", JSON),
        Reply(b"[]", JSON),
        Reply(b'{"decision": true, "decision": false}', JSON),
        Reply(b'{"decision": true, "context": []}', JSON),
        Reply(b"<html>", JSON),
        Reply(b"", JSON),
        Reply(b'{"decision": true}', {"content-type": "text/html"}),
        Reply(b'{"decision": true}', {}),
        FetchError("status 403"),
    ],
)
def test_what_is_no_answer_is_an_outage(reply: Reply | Exception) -> None:
    """Nothing is remembered of it."""
    stage = Stage()
    stage.reply = reply
    assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.UNAVAILABLE
    assert stage.find() is None


def test_who_fails_is_left_alone_for_a_while() -> None:
    """The breaker opens."""
    stage = Stage()
    stage.reply = FetchError("down")
    for _ in range(FAILURES):
        stage.enquirers.fetch(NEED, PATIENCE)
    assert stage.enquirers.breakers() == {"risk": State.OPEN}
    stage.enquirers.fetch(NEED, PATIENCE)
    assert len(stage.asked) == FAILURES


def test_our_token_is_sent(tmp_path: Path) -> None:
    """It is read every time; without one nothing is asked."""
    file = tmp_path / "token"
    stage = Stage(token_file=str(file))
    for content in (None, b"", b"a\nb", b"\xff"):
        if content is not None:
            file.write_bytes(content)
        assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.UNAVAILABLE
    assert stage.asked == []
    file.write_text("secret-token\n")
    assert stage.enquirers.fetch(NEED, PATIENCE) is Fetched.DONE
    assert stage.asked[0].headers == {"authorization": "Bearer secret-token"}


def test_what_nobody_answers_is_unavailable() -> None:
    """Another need, and somebody whom no settings name."""
    stage = Stage()
    other = Enquiry(kind="external", of="nobody", digest="d", question={})
    for need in (KeysOf("i"), AnswerOf(other)):
        assert stage.enquirers.fetch(need, PATIENCE) is Fetched.UNAVAILABLE
    assert stage.find(other) is None
    assert stage.epoch(other) == -1


@pytest.mark.parametrize(
    ("said", "lasts"),
    [
        (plugin.Met(until=math.inf), True),
        (plugin.Met(until=0.0), False),
        (plugin.Met(), False),
        (plugin.Unmet(until=True), False),
        ("nonsense", False),
    ],
)
def test_a_plug_in_is_asked_aside(said: object, lasts: bool) -> None:
    """Its answer lasts as long as it says."""
    stage = Stage()
    times = []

    def check() -> object:
        times.append(stage.clock.now())
        return said

    enquiry = Enquiry(kind="plugin", of="acme.slow", digest="d2", question=check)
    for _ in range(2):
        assert stage.enquirers.fetch(AnswerOf(enquiry), PATIENCE) is Fetched.DONE
    assert stage.find(enquiry) == said
    assert len(times) == (1 if lasts else 2)
    with pytest.raises(ValueError, match="must be a URL"):
        DecisionPointSettings(url="pdp.example")
    assert json.dumps(QUESTION.question)
