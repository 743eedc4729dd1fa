"""What clients of resources with DPoP proofs are told (RFC 9449 sections 7.1, 7.2 and 9)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import Deny, ObtainScopes, StepUp
from extauthz.response.challenge import find_challenge, find_nonce_header
from extauthz.response.to_envoy import to_envoy
from tests.simulators.decisions import ALLOW, TARGET, decision_of, denial
from tests.unit.response.auth_params import parse_challenge, parse_challenges

DPOP = replace(TARGET, proof_algorithms=("ES256", "EdDSA"))
NONCE = "eyJ7S_zG.eyJH0-Z.HX4w-7v"


def parameters_of(deny: Deny) -> dict[str, str]:
    """Return the parameters of the one challenge."""
    challenge = find_challenge(deny, DPOP)
    assert challenge is not None
    scheme, parameters = parse_challenge(challenge)
    assert scheme == "DPoP"
    return parameters


def test_no_credential_is_told_scheme_and_algorithms() -> None:
    """And no error."""
    assert parameters_of(denial(Reason.NO_CREDENTIALS)) == {"realm": "deployments", "algs": "ES256 EdDSA"}


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (Reason.PROOF_INVALID, "invalid_dpop_proof"),
        (Reason.PROOF_REPLAYED, "invalid_dpop_proof"),
        (Reason.PROOF_NONCE_REQUIRED, "use_dpop_nonce"),
        (Reason.BINDING_MISSING, "invalid_token"),
        (Reason.BINDING_MISMATCH, "invalid_token"),
        (Reason.TOKEN_EXPIRED, "invalid_token"),
    ],
)
def test_errors_of_proofs_and_tokens(reason: Reason, error: str) -> None:
    """Always 401, the algorithms with it."""
    assert REASONS[reason].status == 401
    parameters = parameters_of(denial(reason))
    assert (parameters["error"], parameters["algs"]) == (error, "ES256 EdDSA")


def test_scopes_and_sign_ins_are_asked_for_in_the_same_scheme() -> None:
    """A token for the next attempt is presented as this one was."""
    scopes = parameters_of(denial(Reason.INSUFFICIENT_SCOPE, ObtainScopes(("read",))))
    assert (scopes["error"], scopes["scope"], scopes["algs"]) == ("insufficient_scope", "read", "ES256 EdDSA")
    sign_in = parameters_of(denial(Reason.STEP_UP_REQUIRED, StepUp((), 60)))
    assert (sign_in["error"], sign_in["max_age"]) == ("insufficient_user_authentication", "60")


@pytest.mark.parametrize(
    ("schemes", "expected"),
    [
        ((), {"Bearer"}),
        (("bearer",), {"Bearer"}),
        (("dpop",), {"DPoP"}),
        (("bearer", "dpop"), {"Bearer", "DPoP"}),
    ],
)
def test_several_credentials_are_an_error_of_each_scheme(schemes: tuple[str, ...], expected: set[str]) -> None:
    """Before the resource is known the schemes that were tried are named, each with the error."""
    challenge = find_challenge(replace(denial(Reason.CREDENTIALS_AMBIGUOUS), schemes=schemes), None)
    assert challenge is not None
    found = parse_challenges(challenge)
    assert found.keys() == expected
    assert {parameters["error"] for parameters in found.values()} == {"invalid_request"}


def test_a_known_resource_has_one_scheme() -> None:
    """Whatever was tried."""
    deny = replace(denial(Reason.CREDENTIALS_AMBIGUOUS), schemes=("bearer", "dpop"))
    assert parse_challenges(find_challenge(deny, DPOP) or "").keys() == {"DPoP"}


def headers_of(answer: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers of a denial and the response headers of an allow; each must overwrite, and stand once."""
    response = CheckResponse.FromString(answer)
    found = []
    for options in (response.denied_response.headers, response.ok_response.response_headers_to_add):
        assert all(option.append_action == 2 and not option.append.value for option in options)
        found.append({option.header.key: option.header.value for option in options})
        assert len(found[-1]) == len(options)
    return found[0], found[1]


def test_a_nonce_goes_out_with_a_denial() -> None:
    """In one `DPoP-Nonce`, and the answer is not to be stored (RFC 9449 section 8.2)."""
    denied, added = headers_of(to_envoy(replace(decision_of(denial(Reason.PROOF_NONCE_REQUIRED)), next_nonce=NONCE)))
    assert denied["dpop-nonce"] == NONCE
    assert denied["cache-control"] == "no-store"
    assert added == {}


def test_a_nonce_goes_out_with_an_allow() -> None:
    """To the client, behind what the upstream answers, and never to the upstream."""
    answer = to_envoy(replace(decision_of(ALLOW), next_nonce=NONCE))
    assert headers_of(answer) == ({}, {"dpop-nonce": NONCE, "cache-control": "no-store"})
    upstream = {option.header.key for option in CheckResponse.FromString(answer).ok_response.headers}
    assert "dpop-nonce" not in upstream


def test_without_a_nonce_nothing_is_said() -> None:
    """Neither to allowed nor to denied callers, and the upstream's own `cache-control` stays."""
    for verdict in (ALLOW, denial(Reason.PROOF_INVALID)):
        denied, added = headers_of(to_envoy(decision_of(verdict)))
        assert "dpop-nonce" not in denied
        assert added == {}


def test_the_proof_stays_here() -> None:
    """It does not go upstream unless the resource says so."""
    for forward, removed in ((frozenset[str](), True), (frozenset({"dpop"}), False)):
        target = replace(DPOP, forward=forward)
        response = CheckResponse.FromString(to_envoy(decision_of(ALLOW, target=target)))
        assert ("dpop" in response.ok_response.headers_to_remove) is removed


@pytest.mark.parametrize("nonce", ["", "a b", 'a"', "a\\", "a\r\nset-cookie: x", "é", "a" * 257])
def test_a_nonce_is_one_short_token(nonce: str) -> None:
    """RFC 9449 section 8.1; anything else is not sent."""
    assert find_nonce_header(nonce) is None
