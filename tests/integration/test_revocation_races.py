"""A revocation that falls into the middle of a decision, and thieves who have new tokens made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.model.restriction import Effect, Form
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.ports import SpendOutcome, Spent
from extauthz.server.recall import Recall
from tests.integration.facts import ASKED, MAKER, NoEpochs
from tests.integration.state_facts import MINE, RUNNER, TARGETS, Stage, asked
from tests.simulators.statefile import restriction, subject
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from extauthz.clock import Instant
    from extauthz.model.decision import Decision
    from extauthz.model.restriction import Mark, Restriction
    from extauthz.model.spend import Spend

OPAQUE = {"path": "/asked", "headers": {"authorization": "Bearer opaque-token"}}
SAID: dict[str, Any] = {
    "sub": "a",
    "client_id": "a",
    "aud": "https://api.example.com",
    "exp": NOW + 2000,
    "iat": NOW,
    "kind": "ci",
}


def bring_answer(stage: Stage) -> None:
    """Let the issuer's word about the token arrive."""
    stage.facts.vouch("opaque-token", issuer=ASKED, **SAID)


def bring_key(stage: Stage) -> None:
    """Let the issuer's key arrive."""
    stage.facts.keys.add(MAKER)


RACES = [
    pytest.param(OPAQUE, bring_answer, subject("a", ASKED), "identity_quarantined", id="an issuer's word"),
    pytest.param(asked(), bring_key, TARGETS[Form.SESSION], "session_revoked", id="an issuer's key"),
]


def begin(stage: Stage, bring: Callable[[Stage], object], mark: Mark) -> None:
    """Let evidence be missing; when it is fetched, something is revoked after it has come and before it is used."""
    stage.facts.keys.remove(MAKER)

    def in_the_pause() -> None:
        bring(stage)
        stage.file.restrict(restriction(mark))

    stage.facts.on_fetch = in_the_pause


@pytest.mark.parametrize(("question", "bring", "mark", "reason"), RACES)
def test_what_is_revoked_between_evidence_and_decision_is_refused(
    tmp_path: Path, question: dict[str, Any], bring: Callable[[Stage], object], mark: Mark, reason: str
) -> None:
    """And nothing is kept; what is lifted goes on with the evidence that was fetched."""
    stage = Stage(tmp_path, Recall)
    begin(stage, bring, mark)
    assert [stage.ask(question) for _ in range(3)] == [reason] * 3
    assert stage.recall.counts().kept == 0
    stage.file.lift(restriction(mark))
    assert stage.ask(question) == "allowed"
    stage.close()


RATED = """
resources:
  - {name: plain, action: read, match: {host: api.example.com, path: /plain/7, methods: [GET]}}
permits:
  - {id: all, who: anyone, may: '*', require: [{rate: {at_most: 9, per: 1m}}]}
"""


class Pausing:
    """A `Spender` that takes everything, and as long as something else takes."""

    def __init__(self, in_the_pause: Callable[[], object]) -> None:
        self.in_the_pause = in_the_pause

    def spend(self, spends: tuple[Spend, ...], question: bytes, timeout: float) -> Spent:
        """Take all of it, in the end."""
        del spends, question, timeout
        self.in_the_pause()
        return Spent(SpendOutcome.DONE)


def test_what_is_revoked_while_something_is_spent_is_refused(tmp_path: Path) -> None:
    """So is what cannot be told any more; whatever else changes does no harm."""
    stage = Stage(tmp_path, Recall)
    stage.live.replace(compile_policy({"p": RATED.encode()}, PolicyContext()))
    keys, session = stage.facts.keys, TARGETS[Form.SESSION]
    pauses: list[tuple[Callable[[], object], str]] = [
        (lambda: None, "allowed"),
        (lambda: stage.file.restrict(restriction(session, effect=Effect.RISK_HIGH)), "allowed"),
        (lambda: keys.remove(MAKER), "evidence_unavailable"),
        (lambda: stage.file.restrict(restriction(session)), "session_revoked"),
    ]
    outcomes = []
    for pause, _ in pauses:
        keys.add(MAKER)
        stage.checker._rim = replace(stage.checker._rim, spender=Pausing(pause))
        outcomes.append(stage.ask(asked()))
    assert outcomes == [expected for _, expected in pauses]
    stage.close()


class Hasty:
    """The negative control: what was taken away is looked up when the question comes, and not when it is decided."""

    def find_restrictions(self, marks: Sequence[Mark], at: Instant) -> tuple[Restriction, ...]:
        """Return what was known then: nothing."""
        del marks, at
        return ()

    def is_state_fresh(self, at: Instant) -> bool:
        """Return that it was."""
        del at
        return True

    def are_signals_fresh(self, issuer: str, at: Instant) -> bool:
        """Return that they were."""
        del issuer, at
        return True


@pytest.mark.parametrize(("question", "bring", "mark", "reason"), RACES)
def test_without_looking_after_the_evidence_it_would_be_let_through(
    tmp_path: Path, question: dict[str, Any], bring: Callable[[Stage], object], mark: Mark, reason: str
) -> None:
    """The negative control."""
    stage = Stage(tmp_path, Recall, restrictions=Hasty())
    begin(stage, bring, mark)
    assert stage.ask(question) == "allowed", f"with looking it is {reason}"
    stage.close()


@pytest.mark.parametrize(("recall", "next_answer"), [(Recall, "session_revoked"), (NoEpochs, "allowed")])
def test_what_is_revoked_between_decision_and_keeping_is_not_kept(
    tmp_path: Path, recall: type[Recall], next_answer: str
) -> None:
    """The answer under way was right when it was made; without epochs, the negative control, it would be kept."""
    stage = Stage(tmp_path, recall)
    taken = stage.sink.offer

    def in_the_pause(decision: Decision, latency: float) -> bool:
        stage.file.restrict(restriction(TARGETS[Form.SESSION]))
        return taken(decision, latency)

    stage.sink.offer = in_the_pause  # type: ignore[method-assign]  # the moment between the decision and its keeping
    assert stage.ask(asked()) == "allowed"
    assert stage.ask(asked()) == next_answer
    assert stage.recall.counts().kept == (recall is NoEpochs)
    stage.close()


@pytest.mark.parametrize("effect", [Effect.REVOKED, Effect.REAUTHENTICATE])
@pytest.mark.parametrize("mark", [RUNNER, TARGETS[Form.CLIENT], TARGETS[Form.WORKLOAD]], ids=lambda mark: mark.form)
def test_a_thief_with_the_secret_of_a_machine_gets_nowhere_with_new_tokens(
    tmp_path: Path, mark: Mark, effect: Effect
) -> None:
    """Until somebody lifts it; the machines of others go on."""
    stage = Stage(tmp_path, Recall)
    assert stage.ask(asked(token=MAKER.mint(**MINE))) == "allowed"
    stage.file.restrict(restriction(mark, effect))
    stage.clock.advance(3)
    stolen = [MAKER.mint(now=NOW + 3, **MINE | {"jti": f"new-{number}", "sid": f"new-{number}"}) for number in range(3)]
    assert [stage.ask(asked(token=each)) for each in stolen] == ["identity_quarantined"] * 3
    others = MAKER.mint(**MINE | {"sub": "other", "client_id": "other"})
    assert stage.ask(asked(token=others)) == "allowed"
    stage.file.lift(restriction(mark, effect))
    assert [stage.ask(asked(token=each)) for each in stolen] == ["allowed"] * 3
    stage.close()


def test_a_person_who_was_revoked_comes_back_by_signing_in(tmp_path: Path) -> None:
    """A token that is only newer does not help: it says when its holder signed in."""
    stage = Stage(tmp_path, Recall)
    person = {**MINE, "kind": "user", "sub": "alice"}
    stage.file.restrict(restriction(TARGETS[Form.SUBJECT]))
    stage.clock.advance(3)
    refreshed = MAKER.mint(now=NOW + 3, auth_time=NOW - 10, **person)
    signed_in = MAKER.mint(now=NOW + 3, auth_time=NOW + 2, **person)
    assert stage.ask(asked(token=refreshed)) == "session_revoked"
    assert stage.ask(asked(token=signed_in)) == "allowed"
    stage.close()
