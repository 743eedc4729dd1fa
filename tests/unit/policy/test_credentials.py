"""A resource's credential must be one that its verification profile can verify."""

from __future__ import annotations

import pytest

from extauthz.errors import PolicyError
from extauthz.policy.compile import PolicyContext, ProfileFace, compile_policy
from tests.simulators.policies import make_request

GET_ORDER = make_request("GET", "api.example.com/v1/orders/7")

TEXT = """\
resources:
  - name: order
    match: {host: api.example.com, path: "/v1/orders/{order}", methods: [GET]}
    action: read
    credential: CREDENTIAL
permits:
  - {id: p, who: anyone, may: [order.read]}
"""


def context(*algorithms: str) -> PolicyContext:
    """Return a context with one profile that accepts proofs by these algorithms."""
    return PolicyContext(profiles={"default": ProfileFace("https://api", proof_algorithms=algorithms)})


def test_proofs_come_along_where_the_resource_says_so() -> None:
    """The target names the algorithms, for the challenge; a bearer resource of the same profile has none."""
    for credential, algorithms in (("dpop", ("ES256",)), ("bearer", ())):
        ruleset = compile_policy({"p.yaml": TEXT.replace("CREDENTIAL", credential).encode()}, context("ES256"))
        target = ruleset.route(GET_ORDER).target
        assert (target.proof_algorithms, target.carrier) == (algorithms, "authorization")


def test_a_profile_that_accepts_no_proofs_is_found_at_load() -> None:
    """Otherwise every request would fail; where profiles are not known nothing is said."""
    text = TEXT.replace("CREDENTIAL", "dpop").encode()
    with pytest.raises(PolicyError) as caught:
        compile_policy({"p.yaml": text}, context())
    (problem,) = caught.value.problems
    assert (problem.line, "accepts no DPoP proofs" in problem.message) == (5, True)
    assert "profiles.default" in problem.fix
    assert compile_policy({"p.yaml": text}, PolicyContext(profiles=None)).counts.resources == 1
