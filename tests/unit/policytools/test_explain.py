"""Explanations agree with the decision, show what was read, and show no secret."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from extauthz.model.verdict import Allow
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policytools.adhoc import to_case
from extauthz.policytools.explain import explain
from extauthz.policytools.records import read_line
from extauthz.policytools.replay import judge_recorded
from extauthz.policytools.suite import judge_case
from tests.simulators.decision_logs import log_of
from tests.simulators.policy_cases import POLICY, suite_in

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.policytools.explain import Explained, Explanation

RULESET = compile_policy({"p.yaml": POLICY.encode()}, PolicyContext())
READER = "{kind: user, subject: ann, scopes: [orders.read]}"


def explained(url: str, identity: str | None = READER, policy: str = POLICY, **options: str) -> Explanation:
    """Return the explanation of one request."""
    ruleset = compile_policy({"p.yaml": policy.encode()}, PolicyContext())
    return explain(judge_case(to_case(f"https://api.example.com{url}", identity=identity, **options), ruleset))


def rule_in(explanation: Explanation, name: str) -> Explained:
    """Return one of the rules."""
    (found,) = [rule for rule in explanation.rules if rule.id == name]
    return found


def test_explanations_agree_with_decisions(tmp_path: Path) -> None:
    """For each case: the outcome, and the rules that stood in the way or held, are those of the verdict's trail."""
    for result in suite_in(tmp_path).run():
        verdict, explanation = result.judged.verdict, explain(result.judged)
        assert explanation.outcome == ("allow" if isinstance(verdict, Allow) else "deny")
        standing = {rule.id for rule in explanation.rules if rule.state in {"unmet", "failed", "fires"}}
        holding = {rule.id for rule in explanation.rules if rule.state in {"holds", "grants"}}
        assert (standing, holding) == (set(verdict.trail.unmet), set(verdict.trail.met))
        assert [rule.id for rule in explanation.rules if rule.decided] == ([verdict.rule] if verdict.rule else [])


@pytest.mark.parametrize(
    ("url", "identity", "rule", "state"),
    [
        ("/orders/7", READER, "readers", "grants"),
        ("/orders/7", READER, "no-secret-orders", "does not apply"),
        ("/orders/secret", READER, "no-secret-orders", "fires"),
        ("/orders/secret", "{kind: user, roles: [auditor]}", "no-secret-orders", "lifted"),
        ("/orders/7", "{kind: user}", "readers", "unmet"),
        ("/orders/7", "{kind: service, scopes: [orders.read]}", "readers", "does not apply"),
    ],
)
def test_every_rule_has_a_state(url: str, identity: str, rule: str, state: str) -> None:
    """In the words of its effect."""
    assert rule_in(explained(url, identity), rule).state == state


def test_what_was_read_is_shown() -> None:
    """Conditions with their text, requirements with what they asked for and how it could be repaired."""
    explanation = explained("/orders/7", "{kind: user, scopes: [other]}")
    condition = rule_in(explanation, "no-secret-orders").asked[0]
    assert (condition.what, condition.text, condition.found) == ("when", 'resource.order == "secret"', "unmet")
    assert condition.values == {"resource.order": "7"}
    who, scopes = rule_in(explanation, "readers").asked
    assert (who.text, who.found, who.values["identity.kind"]) == ("kind: ci or user", "holds", "user")
    assert (scopes.found, scopes.reason, scopes.values) == (
        "unmet",
        "insufficient_scope",
        {"identity.scopes": ["other"]},
    )
    assert scopes.remedy == {"kind": "scopes", "scopes": ["orders.read"]}
    assert explanation.remedies == (scopes.remedy,)
    assert "can be repaired" in explanation.why_remedies


@pytest.mark.parametrize(
    ("url", "identity", "policy", "why"),
    [
        ("/orders/secret", READER, POLICY, "a forbid fires"),
        ("/orders/7", "{kind: service}", POLICY, "no permit is for this caller"),
        ("/orders/7", READER, POLICY.replace("resource.order ==", "identity.tenant =="), "could not be evaluated"),
        ("/orders/7/shipment", "{kind: user, auth_time: -1s}", POLICY, "`who` of `shippers`"),
        ("/orders/7/shipment", "{kind: ci, roles: [shipper]}", POLICY, "`step_up` of `recent`"),
        ("/orders/7", READER, POLICY, ""),
    ],
)
def test_the_choice_of_remedies_is_explained(url: str, identity: str, policy: str, why: str) -> None:
    """Why all are named, or none."""
    options = {"method": "POST", "body": '{"speed": "slow"}'} if url.endswith("shipment") else {}
    found = explained(url, identity, policy, **options).why_remedies
    assert why in found
    assert bool(why) is bool(found)


def test_a_failure_says_what_is_not_known() -> None:
    """A condition that could not be evaluated is neither held nor unmet; unknown values are shown as such."""
    explanation = explained("/orders/7", policy=POLICY.replace("resource.order ==", "identity.tenant =="))
    rule = rule_in(explanation, "no-secret-orders")
    assert (rule.state, rule.asked[0].found) == ("failed", "failed")
    assert rule.asked[0].values == {"identity.tenant": "(not known)"}
    assert "identity.tenant" in rule.asked[0].detail


def test_the_instant_of_a_sign_in_is_shown_as_one() -> None:
    """Not as a number of seconds."""
    options = {"method": "POST", "body": '{"speed": "slow"}', "at": "2030-01-01T12:00:00Z"}
    explanation = explained("/orders/7/shipment", "{kind: user, auth_time: -6m}", **options)
    values = rule_in(explanation, "recent").asked[0].values
    assert values["identity.auth_time"] == "2030-01-01T11:54:00.000000Z"


def test_what_requirements_looked_at_besides_is_shown() -> None:
    """Changeable facts with their instants, what another decision point answered, what an MCP server is asked."""
    asked = POLICY.replace(
        "- scopes: [orders.read]",
        "- risk: {below: 50}\n      - task: {names: [order]}\n      - external: {ask: engine}",
    )
    given = {
        "state": "{risk: {https://issuer.example ann: {score: 10, level: low, until: 2030-01-01T13:00:00Z}}}",
        "answers": "{engine: {decision: false, context: {code: ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2}}}",
    }
    _, risk, task, external = rule_in(explained("/orders/7", policy=asked, **given), "readers").asked
    assert risk.values["state.risk"] == {"score": 10, "level": "low", "until": "2030-01-01T13:00:00.000000Z"}
    assert (task.found, task.values["state.task"]) == ("unmet", "(not known)")
    assert (external.found, external.values["answer"]) == (
        "unmet",
        {"decision": False, "context": {"code": "[redacted]"}},
    )
    nobody = rule_in(explained("/orders/7", policy=asked), "readers").asked[-1]
    assert (nobody.found, nobody.detail, "answer" in nobody.values) == ("failed", "engine has not answered", False)
    alone = explained("/orders/7", policy=POLICY.replace("scopes: [orders.read]", "external: {ask: engine}"))
    assert (alone.reason, alone.remedies) == ("evidence_unavailable", ())
    assert "could not be evaluated" in alone.why_remedies


def test_what_an_mcp_server_is_asked_is_shown() -> None:
    """Method and name; a body that is none is refused before rules are asked."""
    tools = POLICY.replace("methods: [GET]}\n    preflight: true", "methods: [POST]}").replace(
        "- scopes: [orders.read]", "- mcp: {tools: [search]}"
    )
    call = '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "shell"}}'
    found = rule_in(explained("/orders/7", policy=tools, method="POST", body=call), "readers").asked[-1]
    assert (found.found, found.values) == ("unmet", {"mcp": {"method": "tools/call", "name": "shell"}})
    assert explained("/orders/7", policy=tools, method="POST", body="{}").rules == ()


def test_a_changeable_fact_that_no_record_holds_is_untold(tmp_path: Path) -> None:
    """And shown as such."""
    suite = suite_in(tmp_path)
    recorded = read_line(log_of(suite.file.cases, suite.ruleset)[0])
    assert recorded is not None
    risky = POLICY.replace("- scopes: [orders.read]", "- risk: {below: 50}")
    explanation = explain(judge_recorded(recorded, compile_policy({"p.yaml": risky.encode()}, PolicyContext())))
    assert (explanation.outcome, explanation.missing) == ("untold", "state: risk")
    risk = rule_in(explanation, "readers").asked[-1]
    assert (risk.found, risk.values["state.risk"]) == ("untold", "(not recorded)")


def test_an_answer_that_no_record_holds_is_untold(tmp_path: Path) -> None:
    """The rule that needs it and the outcome; where another permit grants, the rule alone."""
    suite = suite_in(tmp_path)
    recorded = read_line(log_of(suite.file.cases, suite.ruleset)[0])
    assert recorded is not None
    rule = "  - {id: asked, who: anyone, may: order.read, require: [{external: {ask: engine}}]}\n"
    both = POLICY.replace("permits:\n", f"permits:\n{rule}")
    alone = both.replace("orders.read]", "orders.list]")
    for policy, outcome, missing in ((both, "allow", ""), (alone, "untold", "the answer of engine")):
        explanation = explain(judge_recorded(recorded, compile_policy({"p.yaml": policy.encode()}, PolicyContext())))
        assert (explanation.outcome, explanation.missing) == (outcome, missing)
        (asked,) = rule_in(explanation, "asked").asked
        assert (asked.found, asked.detail) == ("untold", "not recorded: the answer of engine")
        assert rule_in(explanation, "asked").state == "untold"


def test_secrets_are_redacted_and_everything_is_json() -> None:
    """A token as path segment, or as the name of a caller, is not printed."""
    secret = "ghp_" + "a1B2" * 9
    explanation = explained(f"/orders/{secret}", f"{{kind: user, subject: {secret}}}")
    text = json.dumps(asdict(explanation))
    assert secret not in text
    assert "[redacted]" in text


def test_a_refusal_before_the_rules_is_explained_without_them() -> None:
    """No resource, no credential, no body: what was known by then."""
    assert (explained("/nowhere").target, explained("/nowhere").rules) == ("", ())
    anonymous = explained("/orders/7", None)
    assert (anonymous.reason, anonymous.target, anonymous.caller) == ("no_credentials", "order.read", {})


def test_a_record_is_explained_like_a_request(tmp_path: Path) -> None:
    """The same rules with the same values; what it does not hold is marked, and the outcome is untold."""
    suite = suite_in(tmp_path)
    for line, result in zip(log_of(suite.file.cases, suite.ruleset), suite.run(), strict=True):
        recorded = read_line(line)
        assert recorded is not None
        explanation = explain(judge_recorded(recorded, suite.ruleset))
        if result.case.name == "speed":
            assert (explanation.outcome, explanation.missing) == ("untold", "body.speed")
        else:
            assert explanation.rules == explain(result.judged).rules


def test_what_a_record_does_not_hold_is_marked_where_it_is_read(tmp_path: Path) -> None:
    """A redacted subject is no obstacle to other rules."""
    suite = suite_in(tmp_path)
    log = log_of(suite.file.cases, suite.ruleset)
    recorded = read_line(log[0].replace(b'"subject": "ann"', b'"subject": "[redacted]"'))
    assert recorded is not None
    policy = POLICY.replace('when: resource.order == "secret"', 'when: identity.subject == "eve"').replace(
        "{kind: [user, ci]}", "{issuers: ['https://issuer.example'], subjects: [ann]}"
    )
    explanation = explain(judge_recorded(recorded, compile_policy({"p.yaml": policy.encode()}, PolicyContext())))
    forbid, permit = rule_in(explanation, "no-secret-orders"), rule_in(explanation, "readers")
    assert (forbid.state, forbid.asked[0].found) == ("untold", "untold")
    assert forbid.asked[0].values == {"identity.subject": "(not recorded)"}
    assert permit.state == "untold"
    assert permit.asked[-1].found == "holds"
