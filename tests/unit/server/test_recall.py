"""What is kept, found, evicted and thrown away; each repetition is a decision of its own to everybody outside."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.audit.writer import RecordWriter
from extauthz.clock import SystemClock
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.ids import DecisionId, PolicyRevision
from extauthz.model.reason import Reason
from extauthz.model.state import StateName
from extauthz.pipeline import Answer, Reusable
from extauthz.response.to_envoy import UNANSWERABLE
from extauthz.server.recall import Recall, RecallCounts
from tests.simulators.decisions import ALLOW, AT, decision_of
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.tokens import NOW, MemoryKeys
from tests.unit.server.test_check import ALLOWED, MAKER, OVERLOADED, PING, PROXY, QUESTION, Records, Shell

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.clock import Instant
    from extauthz.decision.keys import DecisionKey

RESTS_ON = (StateName("keys", "https://issuer.example"),)
DENIED_QUESTION = check_request(path="/things/7", headers={"authorization": f"Bearer {MAKER.mint(kind='user')}"})
DENIED = (403, "no_permit")
_ids = count()


def an_answer(until: float = AT + 60, epoch: int = 0, at: Instant = AT) -> Answer:
    """Return an answer that can be kept."""
    decision = replace(decision_of(ALLOW), decision_id=DecisionId(f"d-{next(_ids):020}"), at=at)
    response = b"<" + decision.decision_id.encode() + b"|" + decision.decision_id.encode() + b">"
    return Answer(response, decision, Reusable(until, RESTS_ON, (epoch,)))  # type: ignore[arg-type]  # an instant


class Box:
    """A `Recall` with keys whose changes it counts."""

    def __init__(self, capacity: int = 3) -> None:
        self.keys = MemoryKeys()
        self.recall = Recall(self.keys, Records(), capacity, SystemClock())

    def keep(self, *names: str, **changes: Any) -> None:
        """Keep an answer under each name."""
        for name in names:
            self.recall.keep((name,), an_answer(**changes))

    def holds(self, name: str, at: float = AT) -> bool:
        """Return whether something is found under a name."""
        return self.recall.find((name,), at) is not None  # type: ignore[arg-type]  # an instant

    def kept(self) -> set[object]:
        """Return the names of what is kept, without looking for it."""
        return {key[0] for key in self.recall._kept}


def test_every_question_is_counted_by_how_it_was_known() -> None:
    """As hit, miss or stale; what is stale is gone."""
    box = Box()
    assert not box.holds("a")
    box.keep("a")
    assert box.holds("a")
    assert box.holds("a", AT + 59.9)
    assert not box.holds("a", AT + 60)
    assert not box.holds("a")
    assert box.recall.counts() == RecallCounts(hits=2, misses=2, stale=1, kept=0)


def test_what_cannot_be_named_is_counted() -> None:
    """And decided every time."""
    shell = Shell(capacity=3)
    assert [shell.ask(b"\xff"), shell.ask(b"\xff")] == [(400, "malformed_request")] * 2
    assert shell.checker._rim.recall.counts() == RecallCounts(unnamed=2)


def test_a_changed_epoch_makes_what_is_kept_stale() -> None:
    """For good, since epochs are never used again."""
    box = Box()
    box.keep("a")
    box.keys.add(MAKER)
    assert not box.holds("a")
    assert box.recall.counts().stale == 1
    assert box.kept() == set()


def test_what_a_change_has_overtaken_is_not_stored() -> None:
    """The decision rests on what was true when it began; the control is stored."""
    box = Box()
    box.keys.add(MAKER)
    box.keep("late", epoch=0)
    box.keep("in time", epoch=1)
    assert box.kept() == {"in time"}


def test_an_answer_that_does_not_say_how_long_it_holds_is_not_stored() -> None:
    """Nothing is kept by default."""
    box = Box()
    box.recall.keep(("a",), replace(an_answer(), reusable=None))
    assert box.kept() == set()


def test_a_clock_that_was_set_back_finds_nothing() -> None:
    """A token that is not valid yet may have been valid at what the clock showed before."""
    box = Box()
    box.keep("a")
    assert not box.holds("a", AT - 0.001)
    assert box.holds("a", AT)


def test_memory_is_bounded_by_the_number_of_decisions() -> None:
    """Whatever comes; keeping the same again takes no room."""
    box = Box(capacity=3)
    box.keep("a", "a", "b", "b", "c")
    assert box.recall.counts().evicted == 0
    box.keep(*(f"n{number}" for number in range(50)))
    assert box.recall.counts() == RecallCounts(evicted=50, kept=3)


def test_the_oldest_goes_first_unless_it_was_found() -> None:
    """What was found is passed over once; found again, it is passed over again."""
    box = Box(capacity=3)
    box.keep("a", "b", "c")
    assert box.holds("a")
    box.keep("d")
    assert box.kept() == {"a", "c", "d"}
    box.keep("e")
    assert box.kept() == {"a", "d", "e"}
    box.keep("f")
    assert box.kept() == {"d", "e", "f"}, "it was not found again, so its chance is over"


def test_a_flood_does_not_drive_out_what_is_asked_all_the_time() -> None:
    """As long as it is asked once while the cache turns over."""
    box = Box(capacity=10)
    box.keep("asked")
    for number in range(1000):
        box.keep(f"n{number}")
        assert number % 5 or box.holds("asked")
    assert box.holds("asked")


def test_when_all_were_found_the_oldest_goes() -> None:
    """Eviction ends."""
    box = Box(capacity=3)
    box.keep("a", "b", "c")
    assert all(box.holds(name) for name in "abc")
    box.keep("d")
    assert box.kept() == {"b", "c", "d"}


def test_without_capacity_nothing_is_named_or_kept() -> None:
    """`cache.decisions: 0`."""
    shell = Shell(capacity=0)
    shell.keys.add(MAKER)
    assert [shell.ask(), shell.ask()] == [ALLOWED, ALLOWED]
    assert len(shell.records.taken) == 2
    assert shell.checker._rim.recall.counts() == RecallCounts()


def test_an_unknown_proxy_and_a_missing_policy_name_nothing() -> None:
    """Both are refused before anything is looked up."""
    shell = Shell(capacity=3)
    recall, ruleset = shell.checker._rim.recall, shell.checker._rim.policy.current
    assert recall.name(PING, PROXY, ruleset) is not None
    assert recall.name(PING, None, ruleset) is None
    assert recall.name(PING, PROXY, None) is None


def test_only_the_first_of_equal_questions_is_evaluated() -> None:
    """Until its life is over; the token is not verified again meanwhile."""
    shell = Shell(capacity=3)
    shell.keys.add(MAKER)
    assert [shell.ask() for _ in range(5)] == [ALLOWED] * 5
    assert (len(shell.keys.asked), len(shell.records.taken), len(shell.records.repeated)) == (1, 1, 4)
    shell.clock.seconds = 299.9
    assert shell.ask() == ALLOWED
    assert len(shell.keys.asked) == 1
    shell.clock.seconds = 305
    assert shell.ask() == (401, "token_expired")
    assert 'extauthz_decisions_total{outcome="allow",reason="allowed",resource="thing"} 6.0' in (
        shell.metrics.exposition().decode()
    )


@pytest.mark.parametrize("change", ["keys", "policy", "proxy"])
def test_a_changed_fact_is_in_force_for_the_next_question(change: str) -> None:
    """Withdrawn keys, another policy, other bounds of the proxy."""
    shell = Shell(capacity=3)
    shell.keys.add(MAKER)
    shell.remote.then = lambda: None
    assert [shell.ask(), shell.ask()] == [ALLOWED, ALLOWED]
    assert shell.records.repeated
    proxy = PROXY
    if change == "keys":
        shell.keys.remove(MAKER)
    elif change == "policy":
        ruleset = shell.checker._rim.policy.current
        assert ruleset is not None
        shell.checker._rim.policy.replace(
            replace(ruleset, revision=PolicyRevision("other"), index=type(ruleset.index)())
        )
    else:
        proxy = PROXY._replace(hosts=("www.example.com",))
    expected = {
        "keys": (401, "signature_invalid"),
        "policy": (403, "no_resource"),
        "proxy": (403, "proxy_out_of_bounds"),
    }
    assert shell.ask(proxy=proxy) == expected[change]


def test_an_answer_after_a_fetch_is_kept_from_the_next_question_on() -> None:
    """The one that needed evidence is not: what it rests on was read at different times."""
    shell = Shell(capacity=3)
    assert [shell.ask() for _ in range(3)] == [ALLOWED] * 3
    assert len(shell.remote.asked) == 1
    assert (len(shell.records.taken), len(shell.records.repeated)) == (2, 1)


def ids_in(answer: CheckResponse) -> set[str]:
    """Return the decision ids in headers, metadata and problem body of an answer."""
    options = [*answer.ok_response.headers, *answer.denied_response.headers]
    found = {option.header.value for option in options if option.header.key == "x-extauthz-decision-id"}
    found.add(answer.dynamic_metadata.fields["decision_id"].string_value)
    if answer.HasField("denied_response"):
        found.add(json.loads(answer.denied_response.body)["decision_id"])
    return found


@pytest.mark.parametrize("raw", [QUESTION, DENIED_QUESTION], ids=["allow", "deny"])
def test_each_repetition_has_an_id_of_its_own_everywhere(raw: bytes, tmp_path: Path) -> None:
    """In header, metadata, body and record alike, and besides it the answers are one and the same."""
    shell = Shell(capacity=3)
    shell.keys.add(MAKER)
    writer = RecordWriter(tmp_path / "records.jsonl")
    rim = shell.checker._rim
    shell.checker._rim = replace(rim, records=writer, recall=Recall(shell.keys, writer, 3, SystemClock()))
    answers = [shell.checker.check(raw, PROXY) for _ in range(3)]
    assert writer.close(10) == 0
    ids = [ids_in(CheckResponse.FromString(answer)) for answer in answers]
    assert [len(found) for found in ids] == [1, 1, 1]
    each = [next(iter(found)) for found in ids]
    assert len(set(each)) == 3
    assert len({answer.replace(name.encode(), b"") for answer, name in zip(answers, each, strict=True)}) == 1
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert [record.pop("decision_id") for record in records] == each
    assert [record.pop("cached", False) for record in records] == [False, True, True]
    assert all(record.pop("latency_us") >= 0 for record in records)
    assert records[0] == records[1] == records[2]


def test_the_record_of_a_repetition_has_its_own_time_and_correlation() -> None:
    """Not those of the decision that is repeated."""
    shell = Shell(capacity=3)
    for number in range(2):
        shell.clock.seconds = float(number)
        shell.ask(check_request(path="/ping", headers={"x-request-id": f"r{number}"}))
    ((_, occurrence),) = shell.records.repeated
    assert (occurrence[1], occurrence[3]) == (NOW + 1, "r1")


def test_an_allow_that_cannot_be_recorded_is_refused_when_repeated() -> None:
    """And allowed again when there is room; a denial stays what it is."""
    shell = Shell(capacity=3)
    shell.keys.add(MAKER)
    assert [shell.ask(), shell.ask(DENIED_QUESTION)] == [ALLOWED, DENIED]
    shell.records.room = False
    refused = CheckResponse.FromString(shell.checker.check(QUESTION, PROXY))
    assert outcome_of(refused) == OVERLOADED
    assert len(ids_in(refused)) == 1
    assert shell.ask(DENIED_QUESTION) == DENIED
    shell.records.room = True
    assert shell.ask() == ALLOWED
    assert len(shell.keys.asked) == 2, "all of that from what was kept"


def test_an_allow_that_could_not_be_recorded_is_kept_all_the_same() -> None:
    """Room for records is no part of the decision; it is asked for each time."""
    shell = Shell(capacity=3)
    shell.records.room = False
    assert [shell.ask(PING), shell.ask(PING)] == [OVERLOADED, OVERLOADED]
    shell.records.room = True
    assert shell.ask(PING) == ALLOWED
    assert len(shell.records.repeated) == 1


def test_repetitions_may_go_unrecorded_where_the_settings_say_so() -> None:
    """The weakening switch."""
    shell = Shell(capacity=3, refuse_unrecorded=False)
    shell.records.room = False
    assert [shell.ask(PING), shell.ask(PING)] == [ALLOWED, ALLOWED]


def broken_prepare(_: object) -> bytes:
    """Fail.

    Raises:
        RuntimeError: always.
    """
    message = "a fault of ours"
    raise RuntimeError(message)


def test_a_repetition_that_cannot_be_written_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer stands; a fault of ours never lets through what nobody records."""
    shell = Shell(capacity=3)
    monkeypatch.setattr(shell.records, "prepare", broken_prepare)
    assert shell.ask(PING) == ALLOWED
    assert shell.checker.check(PING, PROXY) is UNANSWERABLE


def test_an_answer_that_could_not_be_made_is_not_kept() -> None:
    """The next one may be possible."""
    shell = Shell(capacity=3)
    shell.records.failure = RuntimeError("boom")
    assert shell.checker.check(PING, PROXY) is UNANSWERABLE
    shell.records.failure = None
    assert shell.ask(PING) == ALLOWED
    assert shell.records.repeated == []


SECRET = "canary-7d31"


def test_no_secret_stays_in_memory_because_of_what_is_kept() -> None:
    """Token, body and other headers are gone; who it was and what was asked is there."""
    shell = Shell(capacity=3)
    shell.keys.add(MAKER)
    token = MAKER.mint(sub="known-subject")
    headers = {"authorization": f"Bearer {token}", "cookie": SECRET, "x-api-key": SECRET}
    raw = check_request(path=f"/things/7?private_token={SECRET}", headers=headers, raw_body=SECRET.encode())
    assert [shell.ask(raw), shell.ask(raw)] == [ALLOWED, ALLOWED]
    kept = repr(shell.checker._rim.recall._kept)
    assert "known-subject" in kept, "otherwise the search shows nothing"
    assert SECRET not in kept
    assert token.rpartition(".")[2] not in kept


class Forgetful(Recall):
    """Finds nothing, as if everything had just been thrown away."""

    def find(self, key: DecisionKey, at: Instant) -> None:
        """Return None."""
        del key, at


def test_what_is_thrown_away_between_two_looks_is_decided_anew() -> None:
    """Who is told to wait for what is there, and then does not find it, decides."""
    shell = Shell(capacity=3)
    rim = shell.checker._rim
    shell.checker._rim = replace(rim, recall=Forgetful(shell.keys, shell.records, 3, SystemClock()))
    assert [shell.ask(PING), shell.ask(PING)] == [ALLOWED, ALLOWED]
    assert [decision.reason for decision in shell.records.taken] == [Reason.ALLOWED] * 2
