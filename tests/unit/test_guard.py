"""The fail-closed boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from extauthz.errors import Refusal
from extauthz.guard import decided
from extauthz.ids import RuleId
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny, UseMethod, Verdict
from extauthz.ports import KeysOf, NeedsEvidence

if TYPE_CHECKING:
    from collections.abc import Callable


def raising(error: BaseException) -> Callable[[], Verdict]:
    """Return steps that raise `error`."""

    def steps() -> Verdict:
        raise error

    return steps


@pytest.mark.parametrize(
    "verdict", [Allow(rule=RuleId("p")), Deny(reason=Reason.NO_PERMIT), NeedsEvidence(KeysOf("https://issuer.example"))]
)
def test_what_the_steps_return_passes_through(verdict: Verdict) -> None:
    """A verdict and a need for evidence are answers."""
    assert decided(lambda: verdict) is verdict


def test_a_refusal_keeps_its_reason_and_its_two_texts_apart() -> None:
    """The detail is for the client, the inner text is for the record."""
    verdict = decided(raising(Refusal(Reason.AUDIENCE_MISMATCH, "Request another token.", inner="aud was x")))
    assert verdict == Deny(reason=Reason.AUDIENCE_MISMATCH, detail="Request another token.", inner="aud was x")


def test_a_refusal_keeps_what_the_client_can_do() -> None:
    """Remedies and the schemes that were tried reach the answer."""
    remedies, schemes = (UseMethod(("GET",)),), ("bearer", "dpop")
    verdict = decided(raising(Refusal(Reason.CREDENTIALS_AMBIGUOUS, remedies=remedies, schemes=schemes)))
    assert verdict == Deny(reason=Reason.CREDENTIALS_AMBIGUOUS, remedies=remedies, schemes=schemes)


@pytest.mark.parametrize("error", [ValueError("secret"), RecursionError("secret"), MemoryError(), AssertionError()])
def test_anything_else_that_is_raised_is_our_own_failure(error: Exception) -> None:
    """A surprise denies with `internal_error`; its text does not leave the log."""
    verdict = decided(raising(error))
    assert isinstance(verdict, Deny)
    assert verdict.reason is Reason.INTERNAL_ERROR
    assert "secret" not in repr(verdict)


@pytest.mark.parametrize("nothing", [None, True, {}, "allow", Reason.ALLOWED])
def test_silence_is_not_consent(nothing: object) -> None:
    """Steps that return something that is not a verdict deny."""
    verdict = decided(lambda: cast("Verdict", nothing))
    assert verdict == Deny(reason=Reason.INTERNAL_ERROR, inner="no verdict")


def test_a_wish_to_end_the_process_is_not_swallowed() -> None:
    """KeyboardInterrupt and SystemExit are not failures of a decision."""
    with pytest.raises(KeyboardInterrupt):
        decided(raising(KeyboardInterrupt()))
