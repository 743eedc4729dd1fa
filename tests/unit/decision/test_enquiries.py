"""What is asked before a decision counts, and what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.decision.enquiries import enquiries_of, find_open
from extauthz.ledger import Ledger
from extauthz.model.enquiry import Answered, Enquiry
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.evaluate import evaluate
from extauthz.ports import NO_EVIDENCE, AnswerOf, Evidence, Fetched
from tests.simulators.policies import AT, make_facts

if TYPE_CHECKING:
    from extauthz.model.state import StateName
    from extauthz.model.verdict import Verdict
    from extauthz.policy.rules import RouteRules

ASK = "{external: {ask: risk}}"
OTHER = "{external: {ask: other}}"


class Source:
    """Answers some, for so long."""

    def __init__(self, *, until: Instant | None = None, **said: bool) -> None:
        self.said = said
        self.until = until

    def find_answer(self, enquiry: Enquiry, at: Instant) -> Answered | None:
        """Return what was said."""
        said = self.said.get(enquiry.of)
        return None if said is None else Answered(said={"decision": said}, asked_at=at, until=self.until)


class Epochs:
    """Counts nothing."""

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Return zeros."""
        return (0,) * len(names)


def rules_of(text: str) -> RouteRules:
    """Return the rules of one resource."""
    resource = "resources: [{name: order, action: read, match: {host: a.example, path: /, methods: [GET]}}]\n"
    ruleset = compile_policy({"p.yaml": (resource + text).encode()}, PolicyContext())
    route = ruleset.index.find("a.example", ("",), "GET")
    assert route is not None
    return route.rules  # type: ignore[union-attr]  # no forks here


def decide(text: str, source: Source, evidence: Evidence = NO_EVIDENCE) -> tuple[Verdict, AnswerOf | None, Ledger]:
    """Return the verdict, what has to be asked first, and what it rests on."""
    rules, ledger = rules_of(text), Ledger(Epochs())
    facts = replace(make_facts(), enquiries=enquiries_of(source, evidence, ledger, AT))
    verdict = evaluate(rules, facts)
    return verdict, find_open(facts.enquiries, verdict, rules, evidence), ledger


GRANT = "{id: p, who: anyone, may: order.read}"
PERMIT = f"permits: [{GRANT}]\n"
ASKED = f"guards: [{{id: g, on: order.read, require: [{ASK}]}}]\n{PERMIT}"


def asked(need: AnswerOf | None) -> str:
    """Return who has to be asked; empty for nobody."""
    return "" if need is None else need.enquiry.of


def test_a_guard_has_to_be_answered() -> None:
    """Until then it fails; the name of the answer is noted before it is looked up."""
    verdict, need, ledger = decide(ASKED, Source())
    assert (verdict.reason, asked(need)) == (Reason.EVIDENCE_UNAVAILABLE, "risk")
    assert [name.kind for name in ledger.names] == ["answer"]
    assert decide(ASKED, Source(risk=True, until=Instant(AT + 5)))[0].rule == "p"


def test_who_was_asked_in_vain_is_not_asked_again() -> None:
    """The failure counts."""
    _, need, _ = decide(ASKED, Source())
    assert need is not None
    for outcome in Fetched:
        verdict, again, _ = decide(ASKED, Source(), Evidence({need: outcome}))
        assert isinstance(verdict, Deny)
        assert (verdict.reason, again) == (Reason.EVIDENCE_UNAVAILABLE, None)


def test_a_permit_whose_question_found_no_answer_is_no_refusal_by_policy() -> None:
    """It was asked, and nothing came: 503, not 403."""
    text = f"permits: [{{id: p, who: anyone, may: order.read, require: [{ASK}]}}]"
    need = decide(text, Source())[1]
    assert need is not None
    verdict, again, _ = decide(text, Source(), Evidence({need: Fetched.UNAVAILABLE}))
    assert isinstance(verdict, Deny)
    assert (again, verdict.reason, verdict.rule) == (None, Reason.EVIDENCE_UNAVAILABLE, "p")


def test_what_holds_for_one_decision_counts_for_that_only() -> None:
    """It has to be asked for this one."""
    verdict, need, _ = decide(ASKED, Source(risk=True))
    assert isinstance(verdict, Deny)
    assert need is not None
    assert isinstance(decide(ASKED, Source(risk=True), Evidence({need: Fetched.DONE}))[0], Allow)


@pytest.mark.parametrize(
    ("text", "who"),
    [
        (f"permits: [{{id: p, who: anyone, may: order.read, require: [{ASK}]}}]", "risk"),
        (f"permits: [{{id: q, who: anyone, may: order.read, require: [{ASK}]}}, {GRANT}]", ""),
        (f"forbids: [{{id: f, on: order.read}}]\n{ASKED}", ""),
        (f"forbids: [{{id: f, on: order.read, unless: {ASK}}}]\n{PERMIT}", "risk"),
        (f"{ASKED}forbids: [{{id: f, on: order.read, unless: {OTHER}}}]\n", "other"),
        (f"guards: [{{id: g, on: order.read, observe: true, require: [{ASK}]}}]\n{PERMIT}", "risk"),
        (
            f"permits: [{{id: q, who: anyone, may: order.read, observe: true, require: [{ASK}]}}, {GRANT}]",
            "risk",
        ),
        (f'guards: [{{id: g, on: order.read, when: request.method == "POST", require: [{ASK}]}}]\n{PERMIT}', ""),
    ],
)
def test_only_what_could_matter_is_asked(text: str, who: str) -> None:
    """Not for a permit where another one grants, not where a forbid fires, not for a rule that does not apply."""
    assert asked(decide(text, Source())[1]) == who
