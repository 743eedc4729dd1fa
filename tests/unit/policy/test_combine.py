"""The combining table and the remedy rules, cell by cell."""

from __future__ import annotations

import pytest

from extauthz.ids import RuleId
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny, ObtainScopes, StepUp
from extauthz.policy.combine import Effect, Outcome, State, combine
from extauthz.policy.remedies import merge_remedies
from extauthz.policy.rules import Unmet

SCOPE = Unmet(Reason.INSUFFICIENT_SCOPE, ObtainScopes(("deploy",)), "Get the scope deploy.")
SIGN_IN = Unmet(Reason.STEP_UP_REQUIRED, StepUp(("phr", "mfa"), 300), "Sign in again.")
WRONG_TENANT = Unmet(Reason.TENANT_MISMATCH, detail="The caller belongs to another tenant.")


def forbid(state: State, *, name: str = "f", observe: bool = False) -> Outcome:
    """Return a forbid's outcome."""
    return Outcome(RuleId(name), Effect.FORBID, state, observe=observe)


def guard(state: State, *unmet: Unmet, name: str = "g", observe: bool = False) -> Outcome:
    """Return a guard's outcome."""
    return Outcome(RuleId(name), Effect.GUARD, state, unmet, observe=observe)


def permit(state: State, *unmet: Unmet, name: str = "p", observe: bool = False) -> Outcome:
    """Return a permit's outcome."""
    return Outcome(RuleId(name), Effect.PERMIT, state, unmet, observe=observe)


def denied(*outcomes: Outcome) -> Deny:
    """Return the denial that the outcomes combine to."""
    verdict = combine(outcomes)
    assert isinstance(verdict, Deny)
    return verdict


def test_nothing_at_all_is_denied() -> None:
    """No rules: nobody granted, so it is denied."""
    assert denied().reason is Reason.NO_PERMIT


def test_a_granting_permit_allows_and_is_named() -> None:
    """The first granting permit in file order is the one that is named."""
    verdict = combine([permit(State.HOLDS, name="first"), permit(State.HOLDS, name="second")])
    assert isinstance(verdict, Allow)
    assert verdict.rule == "first"
    assert verdict.trail.met == ("first", "second")


def test_a_guard_that_holds_does_not_grant() -> None:
    """A guard narrows; alone it allows nothing."""
    assert denied(guard(State.HOLDS)).reason is Reason.NO_PERMIT


def test_a_forbid_that_fires_beats_every_permit() -> None:
    """One forbid outweighs any number of permits."""
    verdict = denied(permit(State.HOLDS), forbid(State.HOLDS), permit(State.HOLDS))
    assert (verdict.reason, verdict.rule, verdict.remedies) == (Reason.FORBIDDEN, "f", ())


@pytest.mark.parametrize("failing", [forbid(State.FAILED), guard(State.FAILED), guard(State.UNMET)])
def test_a_forbid_or_guard_that_failed_denies(failing: Outcome) -> None:
    """A failure is a third thing and denies; so does an `unmet` that does not say what is missing."""
    verdict = denied(failing, permit(State.HOLDS))
    assert (verdict.reason, verdict.rule) == (Reason.EVALUATION_FAILED, failing.id)


def test_a_permit_that_failed_does_not_grant_and_is_recorded() -> None:
    """A failed permit is not a grant, and not a reason to refuse what another permit grants."""
    assert denied(permit(State.FAILED)).reason is Reason.NO_PERMIT
    verdict = combine([permit(State.FAILED, name="broken"), permit(State.HOLDS, name="good")])
    assert isinstance(verdict, Allow)
    assert verdict.trail.unmet == ("broken",)


def test_a_permit_that_nobody_answered_says_so() -> None:
    """Unless another one grants, or could be met: that nobody answers is our trouble, and no refusal of the caller."""
    failed = permit(State.FAILED, name="asks")._replace(failure=Reason.EVIDENCE_UNAVAILABLE, inner="risk is silent")
    for outcomes in ((failed,), (permit(State.FAILED), failed), (guard(State.UNMET, SCOPE), failed)):
        verdict = denied(*outcomes)
        assert (verdict.reason, verdict.rule, verdict.inner) == (Reason.EVIDENCE_UNAVAILABLE, "asks", "risk is silent")
        assert verdict.remedies == ()
    assert isinstance(combine([failed, permit(State.HOLDS)]), Allow)
    assert denied(failed, permit(State.UNMET, SCOPE)).reason is Reason.INSUFFICIENT_SCOPE
    assert denied(failed._replace(observe=True)).reason is Reason.NO_PERMIT


def test_a_guard_that_is_unmet_denies_with_its_remedy() -> None:
    """The permit grants, the guard does not hold: the guard's remedy is the answer."""
    verdict = denied(guard(State.UNMET, SCOPE), permit(State.HOLDS))
    assert (verdict.reason, verdict.rule) == (Reason.INSUFFICIENT_SCOPE, "g")
    assert verdict.remedies == (ObtainScopes(("deploy",)),)


def test_the_permit_with_the_fewest_unmet_requirements_is_considered() -> None:
    """Of several permits the nearest one is explained, the first in file order on a tie."""
    other = Unmet(Reason.INSUFFICIENT_SCOPE, ObtainScopes(("other",)))
    verdict = denied(
        permit(State.UNMET, SCOPE, SIGN_IN, name="far"),
        permit(State.UNMET, SCOPE, name="near"),
        permit(State.UNMET, other, name="as-near"),
    )
    assert (verdict.rule, verdict.remedies) == ("near", (ObtainScopes(("deploy",)),))


def test_all_remedies_are_named_in_one_answer_and_the_sign_in_leads() -> None:
    """A missing scope and a weak sign-in are repaired by one round trip."""
    verdict = denied(guard(State.UNMET, SIGN_IN), permit(State.UNMET, SCOPE))
    assert verdict.reason is Reason.STEP_UP_REQUIRED
    assert verdict.remedies == (StepUp(("phr", "mfa"), 300), ObtainScopes(("deploy",)))
    assert verdict.detail == "Sign in again. Get the scope deploy."


@pytest.mark.parametrize(
    "outcomes",
    [
        (guard(State.UNMET, SIGN_IN), permit(State.UNMET, WRONG_TENANT)),
        (guard(State.UNMET, WRONG_TENANT), permit(State.UNMET, SCOPE)),
        (permit(State.UNMET, SCOPE, WRONG_TENANT),),
    ],
)
def test_nothing_is_revealed_when_something_cannot_be_repaired(outcomes: tuple[Outcome, ...]) -> None:
    """The other remedies would not help, so they are not told; the reason is the one that stands in the way."""
    verdict = denied(*outcomes)
    assert (verdict.reason, verdict.remedies) == (Reason.TENANT_MISMATCH, ())


def test_a_guards_remedy_is_not_revealed_to_somebody_no_permit_is_for() -> None:
    """Without an applicable permit there is nothing to repair."""
    verdict = denied(guard(State.UNMET, SIGN_IN))
    assert (verdict.reason, verdict.remedies) == (Reason.NO_PERMIT, ())


def test_two_step_ups_become_one_that_satisfies_both() -> None:
    """Common authentication contexts in the first one's order, and the shorter age."""
    stricter = Unmet(Reason.STEP_UP_REQUIRED, StepUp(("mfa", "other"), 60))
    any_context = Unmet(Reason.STEP_UP_REQUIRED, StepUp((), None))
    verdict = denied(guard(State.UNMET, SIGN_IN, stricter, any_context), permit(State.HOLDS))
    assert verdict.remedies == (StepUp(("mfa",), 60),)


def test_step_ups_that_contradict_each_other_reveal_nothing() -> None:
    """No sign-in satisfies both, so asking for one would send the client in circles."""
    impossible = Unmet(Reason.STEP_UP_REQUIRED, StepUp(("kiosk",), None))
    verdict = denied(guard(State.UNMET, SIGN_IN, impossible), permit(State.HOLDS))
    assert (verdict.reason, verdict.remedies) == (Reason.STEP_UP_REQUIRED, ())


def test_observed_rules_are_noted_and_change_nothing() -> None:
    """What would have denied and what would have granted is recorded; the answer stays."""
    verdict = combine(
        [
            forbid(State.HOLDS, name="wf", observe=True),
            guard(State.UNMET, SCOPE, name="wg", observe=True),
            guard(State.FAILED, name="broken", observe=True),
            guard(State.HOLDS, name="quiet", observe=True),
            permit(State.HOLDS, name="real"),
        ]
    )
    assert isinstance(verdict, Allow)
    assert verdict.trail.would_deny == ("wf", "wg", "broken")
    nobody = denied(permit(State.HOLDS, name="wp", observe=True), permit(State.UNMET, SCOPE, name="wq", observe=True))
    assert (nobody.reason, nobody.trail.would_allow) == (Reason.NO_PERMIT, ("wp",))


def test_nothing_missing_has_no_remedy() -> None:
    """An empty list of remedies repairs nothing; it is not "everything repaired"."""
    assert merge_remedies([]) is None
