"""A sketchbook says which kept decision a question means, for one proxy and one policy, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extauthz.clock import Instant
from extauthz.ids import DecisionId
from extauthz.model.decision import Decision
from extauthz.model.reason import Reason
from extauthz.model.verdict import Deny
from extauthz.pipeline import Reusable
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.request import sketch
from extauthz.request.bounds import Proxy
from extauthz.server.recall import Kept
from extauthz.server.sketchbook import Sketchbook
from tests.integration.running import POLICY
from tests.simulators.envoy_messages import TYPICAL_HEADERS, check_request
from tests.simulators.tokens import NOW
from tests.unit.server.test_check import PROXY, Shell

if TYPE_CHECKING:
    import pytest

    from extauthz.model.state import StateName

RULESET = compile_policy({"p.yaml": POLICY.encode()}, PolicyContext())


@dataclass
class Counted:
    """Epochs that never change, and how often they were read."""

    read: int = 0

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Return 0 for each name."""
        self.read += 1
        return (0,) * len(names)


def kept() -> Kept:
    """Return a kept decision."""
    decision = Decision(decision_id=DecisionId("d-1"), at=NOW, verdict=Deny(reason=Reason.FORBIDDEN))
    return Kept(decision, Reusable(Instant(NOW + 60)), (b"",))


def question(path: str = "/a", source: str = "192.0.2.10") -> bytes:
    """Return a question as Envoy shows it line by line."""
    return check_request(path=path, headers=TYPICAL_HEADERS, raw_headers=True, source=source)


def test_a_question_is_found_by_the_proxy_that_asked_it() -> None:
    """Another proxy may ask about other things; it has to name its question first."""
    book, decision = Sketchbook(RULESET, 10), kept()
    assert book.find(question(), PROXY) is None
    assert book.learn(question(), PROXY, decision)
    found = book.find(question(), PROXY)
    assert found is not None
    assert found[0] is decision
    assert found[1] == (TYPICAL_HEADERS["x-request-id"], "4bf92f3577b34da6a3ce929d0e0e4736")
    assert book.find(question(), Proxy("other")) is None
    assert book.find(question("/b"), PROXY) is None


def test_what_has_no_sketch_is_said_so() -> None:
    """Merged headers come in no fixed order."""
    assert not Sketchbook(RULESET, 10).learn(check_request(headers=TYPICAL_HEADERS), PROXY, kept())


def test_the_oldest_makes_room() -> None:
    """Memory is bounded; what is learned again keeps its place and its room."""
    book = Sketchbook(RULESET, 2)
    for path in ("/a", "/b", "/b", "/c"):
        book.learn(question(path), PROXY, kept())
    assert [book.find(question(path), PROXY) is not None for path in ("/a", "/b", "/c")] == [False, True, True]


def test_layouts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths come and go; what was forgotten is learned again."""
    monkeypatch.setattr(sketch, "_MOST_LAYOUTS", 2)
    sketches = sketch.Sketches()
    for number in range(5):
        assert sketches.learn(question("/" + "a" * number, f"192.0.2.{number}"))
        assert sum(map(len, sketches._layouts.values())) <= 2
    assert sketches.layouts_for(question("/aaaa", "192.0.2.4"))


def test_questions_of_one_length_with_ids_elsewhere_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some layouts of one length are tried one after the other; more are not kept."""
    monkeypatch.setattr(sketch, "_MOST_OF_A_LENGTH", 4)
    sketches = sketch.Sketches()
    for number in range(8):
        headers = {"x-pad": "a" * number, "x-request-id": "r" * 10, "x-more": "a" * (8 - number)}
        raw = check_request(headers=headers, raw_headers=True)
        assert sketches.learn(raw)
        assert sketches.layouts_for(raw)
    assert max(map(len, sketches._layouts.values())) == 4


def test_epochs_that_were_compared_since_the_question_came_are_not_compared_again() -> None:
    """A batch asks once for each decision; a question that came later asks anew."""
    shell = Shell(capacity=10)
    epochs = Counted()
    shell.checker._rim.recall._epochs = epochs
    ping = check_request(path="/ping", raw_headers=True)
    for _ in range(3):
        assert isinstance(shell.checker.try_check(ping, PROXY), bytes)
    before = epochs.read
    shell.clock.seconds += 1
    for _ in range(5):
        shell.checker.try_check(ping, PROXY, asked=shell.clock.seconds - 0.5)
    assert epochs.read == before + 1
    shell.clock.seconds += 1
    shell.checker.try_check(ping, PROXY, asked=shell.clock.seconds)
    assert epochs.read == before + 2
    assert shell.checker._rim.recall.counts().recognised == 7
