"""Requirements of plug-ins: they see what they declare, and whatever they do besides answering denies."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.decision.lifetime import LONGEST_SECONDS, reusable_until
from extauthz.model.enquiry import Answered, Enquiries
from extauthz.model.identity import Identity
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny
from extauthz.plugin import ArgumentError, Check, Failed, Met, Unmet
from extauthz.policy.compile import PolicyContext
from extauthz.policy.evaluate import evaluate
from extauthz.policy.requirements.plugin import AddedKind
from extauthz.policy.rules import Failed as RuleFailed
from tests.simulators.policies import AT, compile_text, make_facts, make_request, only_problem, principal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.model.facts import Facts
    from extauthz.policy.rules import RouteRules

KIND = "acme.color"
POLICY = """\
resources:
  - name: order
    action: read
    match: {host: api.example.com, path: /, methods: [GET]}
    attributes: {color: query.color}
guards:
  - {id: g, on: order.read, WHEN require: [{acme.color: ARGUMENT}]}
permits:
  - {id: p, who: anyone, may: [order.read]}
"""
READS = frozenset({"resource.color", "identity.scopes", "identity.kind", "identity.tenant"})


def rules_for(
    check: Any, *, when: str = "", policy: str = POLICY, argument: str = "red", waits: bool = False
) -> RouteRules:
    """Return the rules of a policy whose plug-in answers by `check`."""
    context = PolicyContext(plugins={KIND: AddedKind(READS, lambda _: check, waits)})
    text = policy.replace("WHEN", when).replace("ARGUMENT", argument)
    return compile_text(text, context).route(make_request(query=(("color", "red"),))).rules


def facts() -> Facts:
    """Return the facts of a decision."""
    return make_facts(Identity(subject=principal(), scopes=frozenset({"b", "a"})), {"color": "red"})


def says(answer: object) -> Callable[[Mapping[str, object], float], Any]:
    """Return a check that always answers the same."""
    return lambda _facts, _at: answer


def refused(compiler: Callable[[Any], Check], reads: frozenset[str] = READS, argument: str = "red") -> str:
    """Return why a policy is kept out."""
    context = PolicyContext(plugins={KIND: AddedKind(reads, compiler)})
    problem = only_problem(POLICY.replace("WHEN", "").replace("ARGUMENT", argument), context)
    assert problem.line == 7
    return f"{problem.message} — {problem.fix}"


def test_it_sees_what_it_declares_and_nothing_else() -> None:
    """A fact that is not known is not there; nothing can be changed."""
    seen: list[tuple[Mapping[str, object], float]] = []

    def check(known: Mapping[str, object], at: float) -> Met:
        seen.append((known, at))
        return Met()

    assert isinstance(evaluate(rules_for(check), facts()), Allow)
    ((known, at),) = seen
    assert known == {"resource.color": "red", "identity.scopes": ("a", "b"), "identity.kind": "ci"}
    assert at == AT
    with pytest.raises(TypeError):
        known["identity.kind"] = "user"  # type: ignore[index]  # what a plug-in would try


def test_unmet_has_a_code_of_its_own_and_a_sentence_that_is_bounded() -> None:
    """What cannot be printed on one line does not go out."""
    verdict = evaluate(rules_for(says(Unmet("Take\r\n another\x00 \u202ecolor."))), facts())
    assert verdict == Deny(
        reason=Reason.PLUGIN_DENIED, detail="Take another color.", rule=verdict.rule, trail=verdict.trail
    )
    assert verdict.rule == "g"
    long = evaluate(rules_for(says(Unmet("x" * 10_000))), facts())
    assert isinstance(long, Deny)
    assert long.detail == "x" * 200


def test_one_that_waits_is_asked_aside() -> None:
    """Whoever decides has it asked; until then it fails, and the decision is not kept."""
    rules = rules_for(says(Met(math.inf)), waits=True)
    open_ones = facts()
    assert evaluate(rules, open_ones).reason is Reason.EVIDENCE_UNAVAILABLE
    ((enquiry, spare),) = open_ones.enquiries.open.items()
    assert (enquiry.kind, enquiry.of, spare) == ("plugin", KIND, False)
    assert rules.requirements[0].changes_at(open_ones) == AT
    for answer, allowed in ((enquiry.question(), True), (Unmet(), False), ("nonsense", False)):
        said = Answered(said=answer, asked_at=AT, until=None)
        answered = replace(facts(), enquiries=Enquiries(lambda _: said))  # noqa: B023 — called before the next round
        assert isinstance(evaluate(rules, answered), Allow) is allowed
    raising = rules_for(_raises, waits=True)
    asked = facts()
    evaluate(raising, asked)
    ((other, _),) = asked.enquiries.open.items()
    answered = replace(facts(), enquiries=Enquiries(lambda _: Answered(said=other.question(), asked_at=AT, until=None)))
    assert raising.requirements[0].find(answered) == RuleFailed("acme.color raised ValueError")
    assert rules_for(_raises, waits=True, argument="blue").requirements[0].find(again := facts()) is not None
    assert next(iter(again.enquiries.open)).digest != other.digest


def _raises(_facts: Mapping[str, object], _at: float) -> Met:
    message = "a secret"
    raise ValueError(message)


def _leaves(_facts: Mapping[str, object], _at: float) -> Met:
    raise SystemExit(0)


class Deceptive(str):
    """Text that is not quite text."""

    __slots__ = ()


@pytest.mark.parametrize(
    ("check", "inner"),
    [
        (_raises, "acme.color raised ValueError"),
        (_leaves, "acme.color raised SystemExit"),
        (len, "acme.color raised TypeError"),
        (says(Failed("no\n table")), "acme.color: no table"),
        *(
            (says(answer), "acme.color gave no answer of the agreed form")
            for answer in (
                *(None, True, "met", Met, Unmet(7), Unmet(Deceptive("x")), Failed(7), Met("soon"), Met(math.nan)),  # type: ignore[arg-type]  # wrong on purpose
                *(Met(until=True), Unmet("x", math.nan)),
            )
        ),
    ],
)
def test_whatever_is_no_answer_denies(check: Any, inner: str) -> None:
    """The text of an exception goes nowhere; nothing of it is kept."""
    known = facts()
    rules = rules_for(check)
    verdict = evaluate(rules, known)
    assert isinstance(verdict, Deny)
    assert (verdict.reason, verdict.inner, verdict.detail) == (Reason.EVALUATION_FAILED, inner, "")
    assert rules.requirements[0].changes_at(known) == AT


def test_it_is_asked_once_in_a_decision() -> None:
    """So what was decided and for how long come from one answer, whatever it would say the next time."""
    answers: list[Met | Unmet] = [Met(until=AT + 5), Met(until=math.inf), Unmet()]
    asked: list[float] = []

    def check(_known: Mapping[str, object], at: float) -> Met | Unmet:
        asked.append(at)
        return answers[len(asked) - 1]

    rules, known = rules_for(check), facts()
    verdict = evaluate(rules, known)
    assert reusable_until(verdict, rules, known) == AT + 5
    assert len(asked) == 1
    assert reusable_until(evaluate(rules, other := facts()), rules, other) == AT + LONGEST_SECONDS
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("answer", "until"),
    [
        (Met(), None),
        (Met(until=AT + 7), AT + 7),
        (Met(until=int(AT) + 7), int(AT) + 7),
        (Met(until=AT), None),
        (Met(until=-math.inf), None),
        (Met(until=math.inf), AT + LONGEST_SECONDS),
        (Unmet(), None),
        (Unmet("", AT + 7), AT + 7),
        (Failed(), None),
    ],
)
def test_a_decision_is_kept_as_long_as_the_plug_in_says(answer: Met | Unmet | Failed, until: float | None) -> None:
    """Not at all unless it says."""
    rules, known = rules_for(says(answer)), facts()
    assert reusable_until(evaluate(rules, known), rules, known) == until


def test_who_is_not_asked_has_no_say() -> None:
    """The rule does not apply, so the plug-in is not asked now and the decision is kept as without it."""
    rules, known = rules_for(_raises, when='when: identity.kind == "user",'), facts()
    verdict = evaluate(rules, known)
    assert isinstance(verdict, Allow)
    assert reusable_until(verdict, rules, known) == AT + LONGEST_SECONDS


def test_an_observed_one_only_leaves_a_note() -> None:
    """And still bounds how long the decision is kept, since the record holds what it said."""
    policy = POLICY.replace("ARGUMENT}", "ARGUMENT, observe: true}")
    rules, known = rules_for(_raises, policy=policy), facts()
    verdict = evaluate(rules, known)
    assert isinstance(verdict, Allow)
    assert verdict.trail.would_deny == ("g",)
    assert reusable_until(verdict, rules, known) is None


def test_arguments_are_the_plug_ins_to_judge() -> None:
    """Its refusal is a problem with a place; so is whatever else it raises, without its text."""

    def refuses(_argument: Any) -> Check:
        message = "write a\n color"
        raise ArgumentError(message)

    def silent(_argument: Any) -> Check:
        raise ArgumentError

    def breaks(argument: Any) -> Check:
        raise KeyError(argument)

    assert refused(refuses).startswith("write a color — ")
    assert refused(silent).startswith("`acme.color` does not accept this — ")
    assert refused(breaks).startswith("`acme.color` raised KeyError — ")
    assert refused(lambda _: 7).startswith("`acme.color` made no check of this — ")  # type: ignore[arg-type, return-value]  # wrong on purpose


def test_arguments_are_its_own() -> None:
    """What it does to one is seen by no other rule."""
    given: list[Any] = []

    def compiler(argument: Any) -> Check:
        given.append(list(argument))
        argument.clear()
        return says(Met())

    size = "{color: query.color, size: query.size}"
    other = f"- {{name: note, action: read, match: {{host: h, path: /, methods: [GET]}}, attributes: {size}}}"
    text = POLICY.replace("on: order.read, WHEN", "on: [order.read, note.read],").replace("ARGUMENT", "[x]")
    text = text.replace("guards:", f"  {other}\nguards:")
    compile_text(text, PolicyContext(plugins={KIND: AddedKind(READS, compiler)}))
    assert given == [["x"], ["x"]]


def test_a_fact_that_is_not_there_is_found_when_the_policy_is_loaded() -> None:
    """An attribute that this resource does not have."""
    problem = refused(lambda _: says(Met()), READS | {"resource.size"})
    assert problem.startswith("`acme.color` reads `resource.size`, which `order.read` does not have — declare")


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (PolicyContext(), "say which with --config"),
        (PolicyContext(plugins={}), "there is no plug-in `acme.color` — name it under `plugins` in the settings"),
        (
            PolicyContext(plugins={"acme.colour": AddedKind(READS, lambda _: says(Met()))}),
            "in the settings; did you mean `acme.colour`?",
        ),
    ],
)
def test_a_kind_that_is_not_named_is_refused(context: PolicyContext, words: str) -> None:
    """Without settings nothing is known of plug-ins."""
    problem = only_problem(POLICY.replace("WHEN", "").replace("ARGUMENT", "red"), context)
    assert words in f"{problem.message} — {problem.fix}"


def test_a_failure_is_the_same_for_explanations() -> None:
    """They ask the requirement itself."""
    assert rules_for(_raises).requirements[0].find(facts()) == RuleFailed("acme.color raised ValueError")
