"""The policy language from text to verdict: what an author writes is what a caller gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.clock import Instant
from extauthz.decision.facts import gather_facts
from extauthz.model.identity import Identity, Kind
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny, ObtainScopes, StepUp
from extauthz.policy.evaluate import evaluate
from tests.simulators.policies import AT, compile_text, json_body, make_request, principal

if TYPE_CHECKING:
    from extauthz.model.verdict import Verdict

RULESET = compile_text("""\
    resources:
      - name: deployment
        action: deploy
        match: {host: api.example.com, path: "/projects/{project}/deployments", methods: [POST]}
        attributes:
          project: path.project
          environment: {from: body.environment, one_of: [staging, production]}
    guards:
      - id: production-is-signed-for
        on: deployment.deploy
        when: resource.environment == "production"
        require:
          - step_up: {acr: [strong], max_age: 5m}
    forbids:
      - id: no-agents
        on: "*"
        when: '"agent" in involved.kinds'
        unless: {roles: [supervised]}
    permits:
      - id: people-deploy
        who: {kind: user}
        may: deployment.*
        require: [{scopes: ["deploy:{resource.environment}"]}]
      - id: anyone-may-try
        who: anyone
        may: deployment.deploy
        observe: true
    """)

SIGNED_IN = {"acr": "strong", "auth_time": Instant(AT - 10)}


def decide(environment: str, identity: Identity) -> Verdict:
    """Return what the caller gets for a deployment."""
    body = f'{{"environment": "{environment}"}}'.encode()
    request = make_request("POST", "api.example.com/projects/apollo/deployments", **json_body(body))
    route = RULESET.route(request)
    facts = gather_facts(request, identity, route.target, route.read_attributes(request), AT)
    return evaluate(route.rules, facts)


def person(*scopes: str, **fields: object) -> Identity:
    """Return a user."""
    return Identity(subject=principal("ann", Kind.USER), scopes=frozenset(scopes), **fields)  # type: ignore[arg-type]  # any field of Identity


def test_a_permit_grants() -> None:
    """The guard does not apply to staging."""
    verdict = decide("staging", person("deploy:staging"))
    assert isinstance(verdict, Allow)
    assert (verdict.rule, verdict.trail.would_allow) == ("people-deploy", ("anyone-may-try",))


def test_a_missing_scope_is_named_for_the_very_resource() -> None:
    """With the value of this request in it."""
    verdict = decide("staging", person("deploy:production"))
    assert isinstance(verdict, Deny)
    assert (verdict.reason, verdict.remedies) == (Reason.INSUFFICIENT_SCOPE, (ObtainScopes(("deploy:staging",)),))


def test_a_guard_holds_whatever_a_permit_says() -> None:
    """And everything that is missing is named at once."""
    verdict = decide("production", person())
    assert isinstance(verdict, Deny)
    assert verdict.reason is Reason.STEP_UP_REQUIRED
    assert verdict.remedies == (StepUp(("strong",), 300), ObtainScopes(("deploy:production",)))
    assert isinstance(decide("production", person("deploy:production", **SIGNED_IN)), Allow)


@pytest.mark.parametrize(
    ("actor", "reason"),
    [(principal("bot", Kind.AGENT), Reason.FORBIDDEN), (principal("bot", None), Reason.EVALUATION_FAILED)],
)
def test_a_forbid_looks_at_everyone_involved(actor: object, reason: Reason) -> None:
    """An agent is refused behind a user too; an actor of unknown kind could be one."""
    verdict = decide("staging", person("deploy:staging", actor=actor))
    assert isinstance(verdict, Deny)
    assert (verdict.reason, verdict.rule) == (reason, "no-agents")


def test_nobody_else_is_permitted() -> None:
    """An observed permit grants nothing."""
    verdict = decide("staging", Identity(subject=principal(), scopes=frozenset({"deploy:staging"})))
    assert isinstance(verdict, Deny)
    assert verdict.reason is Reason.NO_PERMIT
