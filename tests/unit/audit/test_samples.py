"""Of allows that the policy marks a share is recorded; of everything else, all."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from extauthz.audit.writer import RecordWriter
from extauthz.clock import Instant
from extauthz.ids import DecisionId, RuleId
from extauthz.model.decision import Home
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Trail
from tests.simulators.decisions import ALLOW, TARGET, decision_of, denial

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.model.decision import Decision
    from extauthz.model.verdict import Verdict
    from extauthz.ports import Occurrence

SAMPLED = replace(TARGET, sampled=frozenset({ALLOW.rule}))
VALIDATOR = jsonschema.Draft202012Validator(json.loads((files("extauthz.audit") / "record.schema.json").read_text()))


def decision(number: int, verdict: Verdict = ALLOW) -> Decision:
    """Return a decision with an id of its own whose allows are sampled."""
    return replace(decision_of(verdict, target=SAMPLED), decision_id=DecisionId(f"d-{number:020x}"))


def record_all(path: Path, sample: float, verdict: Verdict = ALLOW, *, again: bool = False) -> tuple[list[str], int]:
    """Offer 400 decisions; return the ids of those recorded, and how many were left out."""
    writer = RecordWriter(path, sample=sample)
    common = writer.prepare(decision(0, verdict))
    for number in range(400):
        each = decision(number, verdict)
        if again:
            assert writer.offer_again(common, (each.decision_id, Instant(0.0), 0.1, "", ""))
        else:
            assert writer.offer(each, 0.1)
    counts = writer.counts()
    assert writer.close(10.0) == 0
    records = [json.loads(line) for line in path.read_bytes().splitlines()]
    for record in records:
        VALIDATOR.validate(record)
        assert ("sample" in record) is (sample < 1 and record["outcome"] == "allow")
    return [record["decision_id"] for record in records], counts.sampled_out


def test_a_share_is_recorded_and_the_rest_counted(tmp_path: Path) -> None:
    """About that share; nothing is in neither."""
    recorded, left_out = record_all(tmp_path / "r", 0.25)
    assert 60 < len(recorded) < 140
    assert len(recorded) + left_out == 400


def test_the_choice_is_the_ids(tmp_path: Path) -> None:
    """The same on every node, for repetitions of kept decisions as for new ones; a larger share holds a smaller one."""
    recorded, _ = record_all(tmp_path / "a", 0.25)
    again, _ = record_all(tmp_path / "b", 0.25, again=True)
    more, _ = record_all(tmp_path / "c", 0.5)
    assert recorded == again
    assert set(recorded) < set(more)


@pytest.mark.parametrize("again", [False, True])
def test_everything_and_nothing_are_shares_too(tmp_path: Path, *, again: bool) -> None:
    """The default is everything."""
    assert record_all(tmp_path / "all", 1.0, again=again)[1] == 0
    assert record_all(tmp_path / "none", 0.0, again=again) == ([], 400)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    "verdict",
    [
        denial(Reason.FORBIDDEN),
        Allow(rule=RuleId("another")),
        Allow(rule=ALLOW.rule, trail=Trail(would_deny=(RuleId("observed"),))),
    ],
)
def test_others_are_always_recorded(tmp_path: Path, verdict: Verdict, *, again: bool) -> None:
    """Denials, allows by permits that do not say so, and what an observed rule would have denied."""
    writer = RecordWriter(tmp_path / "r", sample=0.0)
    common = writer.prepare(decision(0, verdict))
    taken = writer.offer_again(common, _occurrence()) if again else writer.offer(decision(0, verdict), 0.1)
    assert taken
    writer.close(10.0)
    (line,) = (tmp_path / "r").read_bytes().splitlines()
    assert "sample" not in json.loads(line)


def test_a_client_cannot_write_the_mark(tmp_path: Path) -> None:
    """Whatever it chooses as its texts: the record is kept."""
    writer = RecordWriter(tmp_path / "r", sample=0.0)
    base = decision_of(ALLOW)
    assert base.request is not None
    forged = replace(base, request=replace(base.request, trace_id="", request_id='x","sample":0.0}'))
    assert writer.offer_again(writer.prepare(forged), _occurrence())
    assert writer.counts().sampled_out == 0
    writer.close(10.0)
    assert len((tmp_path / "r").read_bytes().splitlines()) == 1


def test_a_full_queue_refuses_only_what_is_recorded(tmp_path: Path) -> None:
    """What is not in the sample needs no room."""
    writer = RecordWriter(tmp_path / "r", queue=0, sample=0.0)
    assert writer.offer(decision(1), 0.1)
    assert not writer.offer(decision(1, denial(Reason.FORBIDDEN)), 0.1)
    writer.close(10.0)


def test_the_record_says_whose_decision_it_was(tmp_path: Path) -> None:
    """The deciding rule's home, and where no rule decided the resource's."""
    target = replace(TARGET, home=Home("billing", "team-billing"), homes={RuleId("root-rule"): Home("", "platform")})
    verdicts: dict[str, Any] = {
        "own": Allow(rule=RuleId("billing/x")),
        "root": denial(Reason.FORBIDDEN),
        "none": denial(Reason.NO_PERMIT),
    }
    verdicts["root"] = replace(verdicts["root"], rule=RuleId("root-rule"))
    writer = RecordWriter(tmp_path / "r")
    for verdict in verdicts.values():
        writer.offer(decision_of(verdict, target=target), 0.1)
    writer.offer(decision_of(ALLOW, target=None), 0.1)
    writer.close(10.0)
    records = [json.loads(line) for line in (tmp_path / "r").read_bytes().splitlines()]
    for record in records:
        VALIDATOR.validate(record)
    said = [(record.get("namespace"), record.get("policy_owner")) for record in records]
    assert said == [("billing", "team-billing"), (None, "platform"), ("billing", "team-billing"), (None, None)]


def _occurrence() -> Occurrence:
    return DecisionId("d-00000000000000000001"), Instant(0.0), 0.1, "", ""
