"""Every fact in the state file that a decision reads: changed after a decision that read it was kept.

Each line is a question whose answer was kept, found and recognised. Then the state changes, by another connection or by
mere passing of time, and the next answer is the fresh one. Without the comparison of epochs it would not be: that is
the negative control of each line.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from extauthz.clock import Instant
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.identity.restrictions import EVERYBODY
from extauthz.model.restriction import Effect, Form, Mark
from extauthz.model.state import StateName
from extauthz.server.recall import Recall
from tests.integration.facts import EDGE, MAKER, NoEpochs, NoTime
from tests.integration.state_facts import MACHINE, MINE, RUNNER, STREAM, TARGETS, WORKLOAD, Stage, asked
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.statefile import STALENESS, restriction
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Line(NamedTuple):
    """One fact.

    Attributes:
        name: for people.
        question: what is asked; the answer to it is an allow.
        after: the reason of the fresh answer when the state has changed.
        change: changes it.
        prepare: puts in place what the question needs.
    """

    name: str
    question: dict[str, Any]
    after: str
    change: Callable[[Stage], object]
    prepare: Callable[[Stage], object] = lambda _: None


def restricted(mark: Mark, effect: Effect = Effect.QUARANTINED, **others: Any) -> Callable[[Stage], object]:
    """Return what takes something away."""
    return lambda stage: stage.file.restrict(restriction(mark, effect, **others))


def put(kind: str, of: str, **value: Any) -> Callable[[Stage], object]:
    """Return what puts a fact in place."""
    return lambda stage: stage.file.put(StateName(kind, of), value)


def removed(kind: str, of: str) -> Callable[[Stage], object]:
    """Return what takes a fact back."""
    return lambda stage: stage.file.remove(StateName(kind, of))


def passed(seconds: float, *, beating: bool = False) -> Callable[[Stage], object]:
    """Return what lets time pass, with a beat at its end or without one."""

    def change(stage: Stage) -> None:
        stage.clock.advance(seconds)
        if beating:
            stage.file.beat()

    return change


def approved(stage: Stage) -> None:
    """Approve what the question asks for, by the name that the refusal gives it."""
    body = json.loads(stage.answer(asked("/approval/7")).denied_response.body)
    (remedy,) = body["remedies"]
    boss = {"issuer": ISSUER, "subject": "boss", "roles": ["lead"]}
    stage.approval = StateName("approval", remedy["id"])
    stage.file.put(stage.approval, {"approvers": [boss], "approved_at": NOW, "until": NOW + 200})


END = NOW + 900
FACTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "ticket": ("7", {"state": "open", "until": END}, "ticket_required"),
    "posture": ("device d-1", {"compliant": True, "observed_at": NOW}, "posture_missing"),
    "task": (WORKLOAD, {"id": "t", "may": ["task.read"], "until": END}, "task_missing"),
    "risk": (f"{ISSUER} alice", {"score": 10, "level": "low", "until": END}, "risk_too_high"),
    "familiar": (f"{WORKLOAD} familiar.read", {"known": True}, "unfamiliar_action"),
    "workflow": (f"release {WORKLOAD}", {"next": ["publish"], "until": END}, "workflow_departure"),
}
TAKEN = [
    *(
        Line(f"a quarantine of a {form.value}", asked(), "identity_quarantined", restricted(TARGETS[form]))
        for form in Form
    ),
    Line("being switched off", asked(), "identity_disabled", restricted(TARGETS[Form.SUBJECT], Effect.DISABLED)),
    Line("a revoked token", asked(), "token_revoked", restricted(TARGETS[Form.TOKEN], Effect.REVOKED)),
    Line("a revoked session", asked(), "session_revoked", restricted(TARGETS[Form.SESSION], Effect.REVOKED)),
    Line("a revoked person", asked(), "session_revoked", restricted(TARGETS[Form.SUBJECT], Effect.REVOKED)),
    Line("a revoked client", asked(), "identity_quarantined", restricted(TARGETS[Form.CLIENT], Effect.REVOKED)),
    Line("a revoked machine", asked(token=MACHINE), "identity_quarantined", restricted(RUNNER, Effect.REVOKED)),
    Line("a sign-in asked for", asked(), "step_up_required", restricted(TARGETS[Form.SUBJECT], Effect.REAUTHENTICATE)),
    Line(
        "several targets together",
        asked(),
        "session_revoked",
        restricted(TARGETS[Form.TENANT], Effect.REVOKED, also=(TARGETS[Form.DEVICE],)),
    ),
    Line(
        "a device that is not in order",
        asked("/posture/7"),
        "posture_noncompliant",
        restricted(TARGETS[Form.DEVICE], Effect.NONCOMPLIANT),
        put("posture", FACTS["posture"][0], **FACTS["posture"][1]),
    ),
    Line(
        "a risk that is reported",
        asked("/risk/7"),
        "risk_too_high",
        restricted(TARGETS[Form.SUBJECT], Effect.RISK_HIGH),
        put("risk", FACTS["risk"][0], **FACTS["risk"][1]),
    ),
    Line("a quarantine of everybody, for nobody", {"path": "/open"}, "identity_quarantined", restricted(EVERYBODY)),
    *(
        Line(f"a fact: {kind}", asked(f"/{kind}/7"), after, removed(kind, of), put(kind, of, **value))
        for kind, (of, value, after) in FACTS.items()
        if kind != "risk"
    ),
    Line(
        "a fact: risk",
        asked("/risk/7"),
        "risk_too_high",
        put("risk", FACTS["risk"][0], score=90, level="high", until=END),
        put("risk", FACTS["risk"][0], **FACTS["risk"][1]),
    ),
    Line(
        "a fact: approval",
        asked("/approval/7"),
        "approval_required",
        lambda stage: stage.file.remove(stage.approval),
        approved,
    ),
    Line("the beat of the state", asked(), "state_stale", passed(STALENESS + 0.5)),
    Line("the beat of the state, for nobody", {"path": "/open"}, "state_stale", passed(STALENESS + 0.5)),
    Line("who is heard", asked(), "signals_stale", passed(61, beating=True)),
    Line("a stream that is paused", asked(), "signals_stale", lambda stage: stage.file.hear("idp", "paused")),
    Line(
        "a risk that is assumed",
        asked("/guess"),
        "risk_too_high",
        lambda stage: stage.file.hear("idp", "disabled"),
    ),
]


@pytest.fixture
def stage_of(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Yield what makes a stage, which is closed in the end."""
    made: list[Stage] = []

    def make(recall: Any = Recall) -> Stage:
        made.append(Stage(tmp_path, recall, STREAM))
        made[0].file.hear("idp")
        return made[0]

    yield make
    for stage in made:
        stage.close()


def keep(stage: Stage, line: Line) -> None:
    """Have the decision kept, found by its name and recognised by its sketch."""
    line.prepare(stage)
    assert [stage.ask(line.question) for _ in range(3)] == ["allowed"] * 3
    counts = stage.recall.counts()
    assert (counts.kept, counts.hits, counts.recognised) == (1, 2, 1)


@pytest.mark.parametrize("line", TAKEN, ids=lambda line: line.name)
def test_when_the_state_has_changed_the_next_answer_is_the_fresh_one(
    stage_of: Callable[..., Stage], line: Line
) -> None:
    """And it stays so."""
    stage = stage_of()
    keep(stage, line)
    line.change(stage)
    assert [stage.ask(line.question) for _ in range(2)] == [line.after] * 2


@pytest.mark.parametrize("line", TAKEN, ids=lambda line: line.name)
def test_without_epochs_the_kept_answer_would_go_on(stage_of: Callable[..., Stage], line: Line) -> None:
    """The negative control."""
    stage = stage_of(NoEpochs)
    keep(stage, line)
    line.change(stage)
    assert stage.ask(line.question) == "allowed"


def test_a_session_ends_when_nobody_has_used_it_for_too_long(stage_of: Callable[..., Stage]) -> None:
    """By time, which no epoch tells; a use in between lengthens it at the next decision that is made."""
    stage = stage_of()
    used = Line("a session", asked("/session/7"), "session_ended", passed(60), lambda stage: stage.file.see("s-1"))
    keep(stage, used)
    stage.clock.advance(40)
    stage.file.see("s-1")
    for seconds, answer in ((19, "allowed"), (40, "allowed"), (2, "session_ended")):
        stage.clock.advance(seconds)
        stage.file.beat()
        stage.file.hear("idp")
        assert stage.ask(used.question) == answer


def test_without_time_a_session_would_go_on(stage_of: Callable[..., Stage]) -> None:
    """The negative control."""
    stage = stage_of(NoTime)
    used = Line("a session", asked("/session/7"), "session_ended", passed(61), lambda stage: stage.file.see("s-1"))
    keep(stage, used)
    stage.clock.advance(61)
    stage.file.beat()
    stage.file.hear("idp")
    assert stage.ask(used.question) == "allowed"


@pytest.mark.parametrize("effect", [Effect.QUARANTINED, Effect.REVOKED, Effect.REAUTHENTICATE])
def test_what_is_lifted_lets_through_at_the_next_question(stage_of: Callable[..., Stage], effect: Effect) -> None:
    """And taken away once more, it does not."""
    stage = stage_of()
    said = restriction(TARGETS[Form.SUBJECT], effect)
    answers = []
    for step in range(4):
        if step % 2 == 0:
            stage.file.restrict(replace(said, event_at=Instant(NOW + step)))
        else:
            stage.file.lift(replace(said, event_at=Instant(NOW + step - 1)))
        answers.append(stage.ask(asked()) == "allowed")
        assert (stage.ask(asked()) == "allowed") is answers[-1]
    assert answers == [False, True, False, True]


def test_the_state_recovers_with_the_next_beat(stage_of: Callable[..., Stage]) -> None:
    """However long it was stale; also where nothing was committed but the beat."""
    stage = stage_of()
    for _ in range(3):
        assert stage.ask(asked()) == "allowed"
        stage.clock.advance(STALENESS + 1)
        assert stage.ask(asked()) == "state_stale"
        stage.file.beat()
        stage.file.hear("idp")


@pytest.mark.parametrize(("path", "goes_on"), [("/plain/7", False), ("/old", True)])
def test_a_resource_may_go_on_with_an_old_state(stage_of: Callable[..., Stage], path: str, goes_on: bool) -> None:
    """By what is known: a revocation that has arrived counts; and a kept decision is not told from a fresh one."""
    stage = stage_of()
    assert [stage.ask(asked(path)) for _ in range(3)] == ["allowed"] * 3
    stage.clock.advance(STALENESS + 1)
    assert [stage.ask(asked(path)) for _ in range(2)] == ["allowed" if goes_on else "state_stale"] * 2
    stage.file.restrict(restriction(TARGETS[Form.SESSION]))
    assert stage.ask(asked(path)) == ("session_revoked" if goes_on else "state_stale")


def test_a_resource_may_go_on_although_nobody_is_heard(stage_of: Callable[..., Stage]) -> None:
    """And others do not."""
    stage = stage_of()
    assert [stage.ask(asked("/deaf")) for _ in range(3)] == ["allowed"] * 3
    stage.file.hear("idp", "paused")
    assert [stage.ask(asked("/deaf")) for _ in range(2)] == ["allowed"] * 2
    assert stage.ask(asked()) == "signals_stale"
    stage.file.hear("idp", "enabled")
    assert stage.ask(asked()) == "allowed"


def test_a_state_that_cannot_be_read_refuses_and_ends_what_was_kept(stage_of: Callable[..., Stage]) -> None:
    """Also where a resource goes on with an old one: nobody knows what is in it."""
    stage = stage_of()
    assert [stage.ask(asked("/old")) for _ in range(3)] == ["allowed"] * 3
    away = stage.file.path.rename(stage.file.path.with_name("away.db"))
    assert [stage.ask(asked("/old")) for _ in range(2)] == ["evidence_unavailable"] * 2
    away.rename(stage.file.path)
    stage.clock.advance(0.1)
    assert stage.ask(asked("/old")) == "allowed"


def test_a_backup_in_the_place_of_the_state_ends_what_was_kept(stage_of: Callable[..., Stage]) -> None:
    """What it does not contain is not known any more."""
    stage = stage_of()
    backup = stage.file.back_up()
    keep(stage, next(line for line in TAKEN if line.name == "a fact: posture"))
    stage.file.put_back(backup)
    assert stage.ask(asked("/posture/7")) == "posture_missing"
    assert stage.ask(asked()) == "allowed"


def test_a_forged_row_opens_nothing(stage_of: Callable[..., Stage]) -> None:
    """Whoever can write the file and has no key can take away, and give nothing."""
    stage = stage_of()
    stage.file.restrict(restriction(TARGETS[Form.SUBJECT], Effect.QUARANTINED))
    stage.file.put(StateName("posture", "device d-1"), {"compliant": False, "observed_at": NOW})
    stage.file.forge("UPDATE restrictions SET in_force = 0, changed = 100, lift_until = 1e12")
    stage.file.forge("UPDATE facts SET value = json_set(value, '$.compliant', json('true')), changed = 100")
    stage.file.forge("UPDATE changes SET number = 100")
    assert stage.ask(asked()) == "identity_quarantined"
    assert stage.ask(asked("/posture/7", MACHINE)) == "posture_missing"


def test_one_look_serves_a_batch_and_none_is_older_than_its_questions(stage_of: Callable[..., Stage]) -> None:
    """What was revoked before a question was there is in force for it, whatever was looked at before."""
    stage = stage_of()
    tokens = [MAKER.mint(lifetime=2000, **MINE | {"jti": f"t-{number}", "sid": "s-1"}) for number in range(3)]
    batch = [check_request(raw_headers=True, **asked(token=token)) for token in tokens]
    looks: list[int] = []
    stage.recall._freshen = lambda: looks.append(stage.view.freshen())

    def answers() -> list[str]:
        """Return the answers to a batch that was there a moment ago."""
        there = stage.clock.monotonic()
        stage.clock.elapsed += 0.001
        found = [stage.checker.try_check(raw, EDGE, asked=there) for raw in batch]
        return [outcome_of(CheckResponse.FromString(each))[1] for each in found if isinstance(each, bytes)]

    for _ in range(3):
        assert answers() == ["allowed"] * 3
    looks.clear()
    assert answers() == ["allowed"] * 3
    assert len(looks) == 1
    stage.file.restrict(restriction(TARGETS[Form.SESSION]))
    assert answers() == ["session_revoked"] * 3
    stage.file.lift(restriction(TARGETS[Form.SESSION]))
    assert answers() == ["allowed"] * 3
