"""Step-up from token to challenge: what RFC 9470 has a resource server answer, line by line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from extauthz import pipeline
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.ids import DecisionId
from extauthz.pipeline import Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.declaration import ProfileFace
from extauthz.request.bounds import Proxy
from tests.simulators.dpop import RULES, ProofMaker
from tests.simulators.envoy_messages import check_request
from tests.simulators.profiles import LEEWAY, profile
from tests.simulators.tokens import AUDIENCE, NOW, TokenMaker
from tests.unit.response.auth_params import parse_challenge

POLICY = """
resources:
  - {name: payment, action: approve, match: {host: api.example.com, path: /payment, methods: [GET]}}
  - {name: vault, action: open, credential: dpop, match: {host: api.example.com, path: /vault, methods: [GET]}}
guards:
  - {id: strong, on: payment.approve, require: [{step_up: {acr: ["urn:ex:phr", "urn:ex:mfa"], max_age: 5m}}]}
  - {id: strong-vault, on: vault.open, require: [{step_up: {acr: ["urn:ex:phr"]}}]}
permits:
  - {id: p, who: anyone, may: [payment.approve, vault.open], require: [{scopes: ["payments:approve"]}]}
"""
FACES = {"default": ProfileFace(AUDIENCE, proof_algorithms=RULES.algorithms)}
RULESET = compile_policy({"p.yaml": POLICY.encode()}, PolicyContext(profiles=FACES))
PROFILES = {"default": replace(profile(), dpop=RULES)}
MAKER = TokenMaker()
KEYS = MAKER.key_source()
CLIENT = ProofMaker()
PERSON: dict[str, Any] = {"kind": "user", "acr": "urn:ex:phr", "auth_time": NOW - 60, "scope": "payments:approve"}
ERROR = "insufficient_user_authentication"


def answer_to(path: str, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Return status, scheme and parameters of the challenge; an allow has neither."""
    answer = pipeline.check(
        check_request(path=path, headers=headers),
        proxy=Proxy("edge"),
        views=Views(keys=KEYS, profiles=PROFILES, epochs=KEYS),
        ruleset=RULESET,
        at=NOW,
        decision_id=DecisionId("d-" + "0" * 20),
    )
    assert isinstance(answer, pipeline.Answer)
    response = CheckResponse.FromString(answer.response)
    if response.status.code == 0:
        return 200, "", {}
    challenges = [one.header.value for one in response.denied_response.headers if one.header.key == "www-authenticate"]
    return response.denied_response.status.code, *(parse_challenge(challenges[0]) if challenges else ("", {}))


def approving(**changes: Any) -> tuple[int, str, dict[str, str]]:
    """Return the answer to a person's request; `changes` to the claims of the token."""
    return answer_to("/payment", {"authorization": f"Bearer {MAKER.mint(**{**PERSON, **changes})}"})


def refused_as(**changes: Any) -> tuple[int, str | None]:
    """Return status and error."""
    status, _, parameters = approving(**changes)
    return status, parameters.get("error")


@pytest.mark.parametrize("acr", ["urn:ex:phr", "urn:ex:mfa"])
def test_a_context_of_the_accepted_ones_is_enough(acr: str) -> None:
    """Either of the two."""
    assert approving(acr=acr)[0] == 200


@pytest.mark.parametrize("acr", [None, "urn:ex:pwd", "urn:ex:ph", "urn:ex:phr urn:ex:mfa"])
def test_another_context_or_none_is_challenged(acr: str | None) -> None:
    """401, and the challenge says what would do, in order."""
    status, scheme, parameters = approving(acr=acr)
    assert (status, scheme) == (401, "Bearer")
    assert (parameters["error"], parameters["acr_values"]) == (ERROR, "urn:ex:phr urn:ex:mfa")
    assert parameters["max_age"] == "300"


@pytest.mark.parametrize(
    ("auth_time", "outcome"),
    [
        (NOW - 299, (200, None)),
        (NOW - 301, (401, ERROR)),
        (None, (401, ERROR)),
        (NOW + LEEWAY + 1, (401, "invalid_token")),
        (str(int(NOW)), (401, "invalid_token")),
    ],
)
def test_the_sign_in_is_recent(auth_time: Any, outcome: tuple[int, str | None]) -> None:
    """By `auth_time`, which is a number and not in the future."""
    assert refused_as(auth_time=auth_time) == outcome


def test_a_renewed_token_is_no_sign_in() -> None:
    """A fresh `iat` beside an old `auth_time`."""
    assert refused_as(iat=NOW, auth_time=NOW - 3000) == (401, ERROR)
    assert refused_as(iat=NOW - 200, auth_time=NOW - 200) == (200, None)


def test_scope_and_sign_in_are_asked_for_in_one_answer() -> None:
    """One round trip repairs both."""
    status, _, parameters = approving(acr="urn:ex:pwd", scope="other")
    assert status == 401
    assert (parameters["error"], parameters["scope"]) == (ERROR, "payments:approve")
    assert parameters["acr_values"] == "urn:ex:phr urn:ex:mfa"


def test_a_bound_token_is_challenged_in_its_own_scheme() -> None:
    """`DPoP`, with the algorithms."""
    token = CLIENT.bind(MAKER, **{**PERSON, "acr": "urn:ex:pwd"})
    headers = {"authorization": f"DPoP {token}", "dpop": CLIENT.prove(token, address="https://api.example.com/vault")}
    status, scheme, parameters = answer_to("/vault", headers)
    assert (status, scheme, parameters["error"]) == (401, "DPoP", ERROR)
    assert parameters["algs"] == " ".join(RULES.algorithms)


@pytest.mark.parametrize("kind", ["service", "workload", "ci", "agent", "third_party"])
def test_a_machine_is_not_told_to_sign_in(kind: str) -> None:
    """It cannot."""
    status, _, parameters = approving(kind=kind, acr=None, auth_time=None)
    assert (status, parameters) == (403, {})
