"""Steps are told as they are taken by the code that serves."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.ports import KeysOf, NeedsEvidence
from extauthz.tokentools.steps import NOT_MADE, PASSED, REFUSED, STEPS, Step, watch
from tests.simulators.profiles import bearer, issuer_rules, profile, prove
from tests.simulators.tokens import NOW, MemoryKeys, TokenMaker

MAKER = TokenMaker()
KEYS = MAKER.key_source()
SIGNATURE = "the signature verifies"


@pytest.mark.parametrize(("module", "function"), list(STEPS))
def test_every_step_is_a_function_that_exists(module: str, function: str) -> None:
    """A function that is renamed or moved would be told no more."""
    assert callable(getattr(import_module(module), function))


def outcomes(steps: tuple[Step, ...]) -> dict[str, str]:
    """Return outcome by name."""
    assert len({step.name for step in steps}) == len(steps)
    return {step.name: step.outcome for step in steps}


def test_an_accepted_token_passes_every_step_that_it_takes() -> None:
    """In the order of the argument."""
    watched = watch(lambda: prove(bearer(MAKER.mint()), profile(), KEYS))
    found = outcomes(watched.steps)
    assert set(found.values()) == {PASSED}
    assert list(found)[:3] == [
        "the request carries one credential",
        "the token can be read in one way only",
        "the issuer is one of the profile's",
    ]
    assert SIGNATURE in found
    assert list(found).index(SIGNATURE) < list(found).index("the audience is the profile's")
    assert (watched.refusal, watched.result) == (None, prove(bearer(MAKER.mint()), profile(), KEYS))


@pytest.mark.parametrize(
    ("token", "step", "reason"),
    [
        ("a.b", "the token can be read in one way only", Reason.CREDENTIALS_MALFORMED),
        (MAKER.mint(iss="https://x"), "the issuer is one of the profile's", Reason.ISSUER_UNKNOWN),
        (MAKER.mint(typ="dpop+jwt"), "the type is that of an access token", Reason.TOKEN_TYPE_WRONG),
        (MAKER.forge(), SIGNATURE, Reason.SIGNATURE_INVALID),
        (MAKER.mint(jti=None), "the required claims are there", Reason.CREDENTIALS_MALFORMED),
        (MAKER.mint(aud="https://x"), "the audience is the profile's", Reason.AUDIENCE_MISMATCH),
        (MAKER.mint(act=[]), "the delegation can be read", Reason.CREDENTIALS_MALFORMED),
        (MAKER.mint(kind="x"), "the claims describe a caller", Reason.IDENTITY_UNMAPPED),
        (
            MAKER.mint(now=NOW - 999),
            "the token is good now, and neither too long-lived nor too old",
            Reason.TOKEN_EXPIRED,
        ),
        (MAKER.mint(cnf={"x": 1}), "the sender is the one that the token was made for", Reason.BINDING_MISMATCH),
    ],
)
def test_a_refusal_is_told_at_the_step_that_refused(token: str, step: str, reason: Reason) -> None:
    """It comes last, with its reason; what encloses it did not pass; everything before did."""
    watched = watch(lambda: prove(bearer(token), profile(), KEYS))
    *before, last = watched.steps
    assert (last.name, last.outcome, last.reason) == (step, REFUSED, reason.value)
    assert {one.outcome for one in before} <= {PASSED}
    assert step not in outcomes(tuple(before))
    assert watched.result is None


def test_the_algorithm_is_a_step_of_its_own() -> None:
    """The same reason code as for a wrong signature, told apart."""
    rules = profile(issuer_rules(algorithms=("RS256",)))
    watched = watch(lambda: prove(bearer(MAKER.mint()), rules, KEYS))
    assert watched.steps[-1].name == "the issuer may sign with this algorithm"


def test_what_needs_a_fetch_is_not_made() -> None:
    """The last step that was begun is the one that something is missing for."""
    watched = watch(lambda: prove(bearer(MAKER.mint()), profile(), MemoryKeys()))
    assert isinstance(watched.result, NeedsEvidence)
    assert watched.result.need == KeysOf(MAKER.issuer)
    assert watched.steps[-1] == Step("the issuer has the key that the token names", NOT_MADE)


def test_a_refusal_outside_of_all_steps_is_told_as_well() -> None:
    """Nothing that refuses is passed over."""

    def refuse() -> None:
        raise Refusal(Reason.EVALUATION_FAILED, inner="nobody verifies it")

    (step,) = watch(refuse).steps
    assert (step.outcome, step.reason, step.inner) == (REFUSED, "evaluation_failed", "nobody verifies it")


def test_the_hook_is_taken_away_whatever_happens() -> None:
    """Also after an error that nobody expected."""
    before = sys.getprofile()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watch(fail)
    assert sys.getprofile() is before
