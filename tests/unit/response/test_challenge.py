"""`WWW-Authenticate`, `Allow` and the status of denials."""

from __future__ import annotations

from dataclasses import replace

import pytest

from extauthz.model.decision import Target
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import Deny, ObtainScopes, StepUp, UseMethod
from extauthz.response.challenge import find_allow_header, find_challenge
from extauthz.response.status import code_of, status_of
from tests.simulators.decisions import TARGET, denial
from tests.unit.response.auth_params import parse_challenge


def parameters_of(deny: Deny, target: Target | None = TARGET) -> dict[str, str]:
    """Return the parameters of the denial's challenge."""
    challenge = find_challenge(deny, target)
    assert challenge is not None
    scheme, parameters = parse_challenge(challenge)
    assert scheme == "Bearer"
    return parameters


def test_no_credential_is_told_nothing_but_how_to_come() -> None:
    """Without a credential there is no error information (RFC 6750 section 3.1)."""
    deny = denial(Reason.NO_CREDENTIALS, ObtainScopes(("read",)), detail="Send a token.")
    assert status_of(deny) == 401
    assert parameters_of(deny) == {"realm": "deployments", "scope": "read"}


@pytest.mark.parametrize("target", [None, Target(resource="r", action="a")])
def test_a_challenge_always_has_a_parameter(target: Target | None) -> None:
    """Where no realm is known the challenge names ours, since `Bearer` alone is not a challenge."""
    assert parameters_of(denial(Reason.NO_CREDENTIALS), target) == {"realm": "extauthz"}


@pytest.mark.parametrize("reason", [reason for reason, spec in REASONS.items() if spec.error == "invalid_token"])
def test_a_bad_token_is_invalid_token(reason: Reason) -> None:
    """Whatever is wrong with a token, the client gets 401 `invalid_token` and the fixed sentence."""
    deny = denial(reason)
    assert status_of(deny) == 401
    assert parameters_of(deny)["error"] == "invalid_token"
    assert parameters_of(deny)["error_description"] == REASONS[reason].title.replace('"', "'")


def test_two_credentials_are_an_invalid_request() -> None:
    """More than one credential is 400 `invalid_request`."""
    deny = denial(Reason.CREDENTIALS_AMBIGUOUS, detail="Send one.")
    assert status_of(deny) == 400
    assert parameters_of(deny) == {
        "realm": "deployments",
        "error": "invalid_request",
        "error_description": "Send one.",
    }


def test_missing_scopes_are_named_together() -> None:
    """403 `insufficient_scope` names every scope once, also those of several rules."""
    deny = denial(Reason.INSUFFICIENT_SCOPE, ObtainScopes(("a", "b")), ObtainScopes(("b", "c")))
    assert status_of(deny) == 403
    assert parameters_of(deny)["error"] == "insufficient_scope"
    assert parameters_of(deny)["scope"] == "a b c"


def test_scopes_among_other_reasons_are_asked_for() -> None:
    """A 403 whose remedy is scopes is answered as such, whatever reason stands first."""
    assert parameters_of(denial(Reason.NO_PERMIT, ObtainScopes(("a",))))["error"] == "insufficient_scope"


def test_a_step_up_names_contexts_and_age() -> None:
    """RFC 9470: 401 with `acr_values` in order of preference and `max_age`."""
    deny = denial(Reason.STEP_UP_REQUIRED, StepUp(("urn:ex:phr", "urn:ex:mfa"), 300))
    assert status_of(deny) == 401
    parameters = parameters_of(deny)
    assert parameters["error"] == "insufficient_user_authentication"
    assert parameters["acr_values"] == "urn:ex:phr urn:ex:mfa"
    assert parameters["max_age"] == "300"
    assert "scope" not in parameters


@pytest.mark.parametrize("reason", [Reason.STEP_UP_REQUIRED, Reason.INSUFFICIENT_SCOPE, Reason.NO_PERMIT])
def test_sign_in_and_scopes_come_in_one_answer(reason: Reason) -> None:
    """When both fall short one 401 asks for both, whichever rule was first."""
    deny = denial(reason, ObtainScopes(("deploy:prod",)), StepUp(("urn:ex:phr",)), StepUp((), 60), StepUp((), 300))
    assert status_of(deny) == 401
    parameters = parameters_of(deny)
    assert parameters["error"] == "insufficient_user_authentication"
    assert parameters["scope"] == "deploy:prod"
    assert parameters["acr_values"] == "urn:ex:phr"
    assert parameters["max_age"] == "60"


def test_a_machine_is_never_told_to_sign_in() -> None:
    """`step_up_required` without the remedy is a plain 403."""
    deny = denial(Reason.STEP_UP_REQUIRED)
    assert status_of(deny) == 403
    assert find_challenge(deny, TARGET) is None


def test_our_own_failure_stays_ours() -> None:
    """A 503 does not become a challenge, whatever remedies it carries."""
    deny = denial(Reason.EVALUATION_FAILED, StepUp(("x",)), ObtainScopes(("y",)))
    assert status_of(deny) == 503
    assert find_challenge(deny, TARGET) is None


@pytest.mark.parametrize("reason", [Reason.FORBIDDEN, Reason.NO_RESOURCE, Reason.ROLE_MISSING, Reason.OVERLOADED])
def test_where_another_token_would_not_help_there_is_no_challenge(reason: Reason) -> None:
    """No challenge where the client can do nothing with one."""
    assert find_challenge(denial(reason), TARGET) is None


@pytest.mark.parametrize(
    "hostile",
    ['"', "\\", 'x", scope="admin', "a\r\nset-cookie: x", "\0", "\x7f", "é", "\ud800", "tab\there", "—", "%22"],
)
def test_hostile_texts_stay_inside_their_parameter(hostile: str) -> None:
    """Details, realms, scopes and contexts cannot end a parameter, a header or the answer."""
    deny = denial(Reason.INSUFFICIENT_SCOPE, ObtainScopes(("ok", hostile)), StepUp((hostile, "acr")), detail=hostile)
    target = Target(resource="r", action="a", realm=hostile)
    parameters = parameters_of(deny, target)
    assert parameters.keys() == {"realm", "error", "error_description", "scope", "acr_values"}
    assert set(parameters["scope"].split(" ")) <= {"ok", hostile}
    assert set(parameters["acr_values"].split(" ")) <= {"acr", hostile}
    challenge = find_challenge(deny, target)
    assert challenge is not None
    assert challenge.isascii()
    assert challenge.isprintable()


def test_a_scope_that_cannot_be_written_is_left_out_and_never_altered() -> None:
    """`deploy:"prod"` must not become a request for `deploy:prod`."""
    assert "scope" not in parameters_of(denial(Reason.INSUFFICIENT_SCOPE, ObtainScopes(('deploy:"prod"', "a b", ""))))


def test_a_challenge_is_bounded() -> None:
    """Long details are cut; a scope list that is too long is left out, because half of it would not help."""
    scopes = ObtainScopes(tuple(f"scope-{number}" for number in range(1000)))
    challenge = find_challenge(denial(Reason.INSUFFICIENT_SCOPE, scopes, detail="d" * 10_000), TARGET)
    assert challenge is not None
    assert len(challenge) < 2048
    assert "scope-1" not in challenge


METADATA = "https://api.example.com/.well-known/oauth-protected-resource/mcp"
PUBLISHED = replace(TARGET, metadata_url=METADATA)
EVERY_CHALLENGE = [
    denial(Reason.NO_CREDENTIALS),
    denial(Reason.TOKEN_EXPIRED),
    denial(Reason.CREDENTIALS_AMBIGUOUS),
    denial(Reason.INSUFFICIENT_SCOPE, ObtainScopes(("a",))),
    denial(Reason.STEP_UP_REQUIRED, StepUp(("x",), 60), ObtainScopes(("a",))),
    denial(Reason.PROOF_NONCE_REQUIRED),
]


@pytest.mark.parametrize("deny", EVERY_CHALLENGE, ids=lambda deny: deny.reason)
@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_each_challenge_of_a_published_resource_says_where(deny: Deny, scheme: str) -> None:
    """RFC 9728 section 5.1, in both schemes; where nothing is published nothing is said."""
    algorithms = ("ES256",) if scheme == "DPoP" else ()
    for target, expected in ((PUBLISHED, METADATA), (TARGET, None)):
        challenge = find_challenge(deny, replace(target, proof_algorithms=algorithms))
        assert challenge is not None
        found, parameters = parse_challenge(challenge)
        assert (found, parameters.get("resource_metadata")) == (scheme, expected)


def test_a_step_up_at_run_time_is_told_everything_at_once() -> None:
    """What clients of the Model Context Protocol act on: 403, the error, all scopes, and the metadata."""
    deny = denial(Reason.INSUFFICIENT_SCOPE, ObtainScopes(("files:read", "files:write")))
    parameters = parameters_of(deny, PUBLISHED)
    assert status_of(deny, PUBLISHED) == 403
    assert parameters["error"] == "insufficient_scope"
    assert parameters["scope"] == "files:read files:write"
    assert parameters["resource_metadata"] == METADATA


def test_where_there_is_no_challenge_nothing_points_to_metadata() -> None:
    """A refusal that no token repairs."""
    assert find_challenge(denial(Reason.FORBIDDEN), PUBLISHED) is None


def test_a_negative_age_is_zero() -> None:
    """`max_age` is a non-negative integer (RFC 9470 section 3)."""
    assert parameters_of(denial(Reason.STEP_UP_REQUIRED, StepUp((), -5)))["max_age"] == "0"


def test_allow_lists_methods_once() -> None:
    """`Allow` names the methods of all remedies and nothing that is not a method."""
    deny = denial(Reason.METHOD_NOT_ALLOWED, UseMethod(("GET", "POST")), UseMethod(("POST", "bad\r\n")))
    assert find_allow_header(deny) == "GET, POST"
    assert find_allow_header(denial(Reason.METHOD_NOT_ALLOWED, ObtainScopes(("a",)))) is None


def test_no_status_has_the_code_that_allows() -> None:
    """Whatever the status, the code is not 0."""
    assert {code_of(status) for status in range(600)} == {3, 7, 8, 12, 14, 16}
