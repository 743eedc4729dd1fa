"""Replays tell what would change, and never guess what a record does not hold."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.names import FACTS
from extauthz.policytools.changes import MAX_EXAMPLES, MAX_GROUPS, Group, Outcome, Tally
from extauthz.policytools.records import MAX_LINE, find_decision, lines_of, open_log, read_line
from extauthz.policytools.replay import compare_cases, compare_policies, judge_recorded, replay
from tests.simulators.decision_logs import log_of, record_of, repeated
from tests.simulators.policy_cases import POLICY, suite_in

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.policy.ruleset import Ruleset


def compiled(text: str) -> Ruleset:
    """Return a policy."""
    return compile_policy({"p.yaml": text.encode()}, PolicyContext())


def replayed(log: list[bytes], policy: str = POLICY) -> Tally:
    """Return what would change under a policy."""
    tally = Tally()
    replay(log, compiled(policy), tally)
    return tally


def changes(tally: Tally) -> dict[str, tuple[str, int]]:
    """Return each change with its target and count."""
    return {f"{group.before} → {group.after}": (group.target, found.count) for group, found in tally.groups.items()}


def record(folder: Path, case: str, **members: Any) -> dict[str, Any]:
    """Return the record of one case, with other members."""
    suite = suite_in(folder)
    (found,) = [each for each in suite.file.cases if each.name == case]
    return record_of(found, suite.ruleset) | members


def told(folder: Path, case: str, policy: str, **members: Any) -> str:
    """Return the change to one recorded case, `same`, or what is missing."""
    tally = replayed([json.dumps(record(folder, case, **members)).encode()], policy)
    if tally.untold:
        (missing,) = tally.untold
        return f"without {missing}"
    return next(iter(changes(tally)), "same")


def test_the_same_policy_changes_nothing(tmp_path: Path) -> None:
    """Everything that can be told stays; a body that was refused cannot be told, for it is nowhere."""
    suite = suite_in(tmp_path)
    tally = replayed(log_of(suite.file.cases, suite.ruleset))
    assert (tally.changed, tally.same) == (0, len(suite.file.cases) - 1)
    assert list(tally.untold) == ["body.speed"]


@pytest.mark.parametrize(
    ("case", "old", "new", "change"),
    [
        ("read", "orders.read]", "orders.list]", "allow → deny insufficient_scope"),
        ("no service", "[user, ci]", "[user, service]", "deny no_permit → allow"),
        ("old", "5m", "10m", "deny step_up_required → allow"),
        ("secret", "auditor", "ghost", "same"),
        ("audited", "auditor", "ghost", "allow → deny forbidden"),
        ("no shipper", "who: {roles: [shipper]}", "who: anyone", "deny role_missing → allow"),
        ("ship", "[slow, fast]", "[fast]", "allow → deny unreadable_body"),
        (
            "ship",
            "guards:\n  - id",
            "guards:\n  - {id: x, on: order.ship, require: [{cel: 'resource.speed == \"fast\"'}]}\n  - id",
            "allow → deny forbidden",
        ),
        (
            "no credential",
            "methods: [GET]}\n    preflight: true",
            "methods: [GET]}\n    credential: none",
            "deny no_credentials → deny no_permit",
        ),
        ("status", "kind: [anonymous]", "kind: [user]", "allow → deny no_permit"),
        ("nowhere", "path: /status", "path: /nowhere", "deny no_resource → allow"),
        (
            "nowhere",
            "path: /status, methods: [GET]",
            "path: /nowhere, methods: [PUT]",
            "deny no_resource → deny method_not_allowed",
        ),
    ],
)
def test_changes_are_told(tmp_path: Path, case: str, old: str, new: str, change: str) -> None:
    """Rules, credentials, attributes and routes, each by the code that serves."""
    assert POLICY.count(old) >= 1
    assert told(tmp_path, case, POLICY.replace(old, new)) == change


@pytest.mark.parametrize(
    ("case", "old", "new", "missing"),
    [
        ("ship", "body.speed", "body.pace", "body.pace"),
        ("ship", "body.speed", "header.x-speed", "header.x-speed"),
        (
            "ship",
            "order: path.order\n      speed",
            "tenant: query.tenant\n      order: path.order\n      speed",
            "query.tenant",
        ),
        ("ship", "one_of: [slow, fast]", "type: int", "body.speed"),
        ("read", "preflight: true", "verify: other", "a caller proven by bearer, profile `other`"),
        ("no credential", "preflight: true", "verify: other", "a caller proven by bearer, profile `other`"),
        ("nowhere", 'path: "/orders/{order}"', 'path: "/{order}"', "a caller proven by bearer, profile `default`"),
    ],
)
def test_what_a_record_lacks_is_named(tmp_path: Path, case: str, old: str, new: str, missing: str) -> None:
    """A value that was read elsewhere, or as something else, or a caller who was proven otherwise."""
    assert POLICY.count(old) >= 1
    assert told(tmp_path, case, POLICY.replace(old, new, 1)) == f"without {missing}"


@pytest.mark.parametrize(
    ("members", "missing"),
    [
        ({"format": 1}, "a record of an older version"),
        ({"outcome": "deny", "reason": "overloaded"}, "a decision: it was overloaded"),
        ({"path": "/orders/[redacted]"}, "the whole path"),
        ({"path": "/orders/7…"}, "the whole path"),
        ({"scopes": ["orders.read"], "cut": ["scopes"]}, "all scopes"),
    ],
)
def test_a_record_that_is_not_whole_is_not_guessed(tmp_path: Path, members: dict[str, Any], missing: str) -> None:
    """Cut, redacted, written by an older version, or never decided."""
    assert told(tmp_path, "read", POLICY, **members) == f"without {missing}"


ASKED = "  - {id: asked, who: anyone, may: order.read, require: [{external: {ask: risk}}]}\n"


@pytest.mark.parametrize(
    ("case", "old", "new", "change"),
    [
        ("no service", "permits:\n", f"permits:\n{ASKED}", "without the answer of risk"),
        ("read", "permits:\n", f"permits:\n{ASKED}", "same"),
        ("secret", "permits:\n", f"permits:\n{ASKED}", "same"),
        ("read", "- scopes: [orders.read]", "- external: {ask: risk}", "without the answer of risk"),
        ("secret", "- scopes: [orders.read]", "- external: {ask: risk}", "same"),
    ],
)
def test_only_what_hangs_on_an_answer_of_others_is_untold(
    tmp_path: Path, case: str, old: str, new: str, change: str
) -> None:
    """Where another permit grants, or a forbid fires, nobody would have been asked."""
    assert POLICY.count(old) == 1
    assert told(tmp_path, case, POLICY.replace(old, new)) == change


def test_a_rule_that_nobody_answered_can_be_left_out(tmp_path: Path) -> None:
    """Such a refusal is one of policy; without a rule in the record, policy was never asked."""
    refused = {"outcome": "deny", "reason": "evidence_unavailable", "rule": "readers"}
    assert told(tmp_path, "read", POLICY, **refused) == "deny evidence_unavailable → allow"
    would = {"would": {name: text for name, text in refused.items() if name != "outcome"}}
    assert told(tmp_path, "read", POLICY, **would) == "same"
    asked = record(tmp_path, "read", outcome="deny", reason="evidence_unavailable")
    del asked["rule"]
    tally = replayed([json.dumps(asked).encode()])
    assert list(tally.untold) == ["a decision: it was evidence_unavailable"]


@pytest.mark.parametrize("reason", ["binding_missing", "step_up_required"])
def test_a_refusal_by_a_rule_is_not_one_of_the_caller(tmp_path: Path, reason: str) -> None:
    """The same reason is given where the caller is refused whatever policy says; the record names no rule then."""
    refused = record(tmp_path, "read", outcome="deny", reason=reason, rule="bound")
    assert list(changes(replayed([json.dumps(refused).encode()]))) == [f"deny {reason} → allow"]
    del refused["rule"]
    assert (changes(tally := replayed([json.dumps(refused).encode()])), tally.same) == ({}, 1)


def test_what_an_mcp_server_was_asked_is_not_recorded(tmp_path: Path) -> None:
    """It stands in the body."""
    tools = POLICY.replace("- scopes: [orders.read]", "- mcp: {tools: [search]}")
    assert told(tmp_path, "read", tools) == "without body"


def test_only_what_matters_has_to_be_there(tmp_path: Path) -> None:
    """A redacted name of a caller is no obstacle where no rule compares names, and is one where a rule does."""
    subject = {"issuer": "https://issuer.example", "subject": "[redacted]", "kind": "user"}
    assert told(tmp_path, "read", POLICY, subject=subject) == "same"
    named = POLICY.replace("{kind: [user, ci]}", "{issuers: ['https://issuer.example'], subjects: [ann]}")
    assert told(tmp_path, "read", named, subject=subject) == "without a text that was cut or redacted"
    condition = POLICY.replace("may: order.read\n", "may: order.read\n    when: identity.subject == 'ann'\n")
    assert told(tmp_path, "read", condition, subject=subject) == "without identity.subject"


def test_a_narrowed_route_is_held_to_its_narrowing(tmp_path: Path) -> None:
    """`extauthz.resource` of the route in Envoy is recorded; other context extensions are not."""
    narrowed = {"extauthz.resource": "order.read"}
    assert told(tmp_path, "read", POLICY, context=narrowed) == "same"
    other = POLICY.replace("name: order", "name: purchase").replace("order.read", "purchase.read")
    other = other.replace("order.ship", "purchase.ship").replace("[purchase.read]", "[orders.read]")
    assert told(tmp_path, "read", other, context=narrowed) == "allow → deny proxy_out_of_bounds"
    read = POLICY.replace("{order: path.order}", "{order: path.order, zone: context.zone}")
    assert told(tmp_path, "read", read, context=narrowed) == "without context.zone"


def test_refusals_that_no_policy_decides_stay(tmp_path: Path) -> None:
    """What could not be read, and what the proxy may not ask about."""
    malformed = {"time": "2030-01-01T00:00:00Z", "outcome": "deny", "reason": "malformed_request", "format": 2}
    assert changes(replayed([json.dumps(malformed).encode()], "")) == {}
    assert told(tmp_path, "read", "", outcome="deny", reason="proxy_out_of_bounds") == "same"
    assert told(tmp_path, "read", "") == "allow → deny no_resource"


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"7", b'{"outcome": "maybe"}', b"[" * 100_000, b"\xff", b"null"])
def test_lines_that_are_no_records_are_counted(line: bytes) -> None:
    """And do not end the replay."""
    assert replayed([line]).unreadable == 1


def test_logs_are_read_packed_and_cut_at_a_bound(tmp_path: Path) -> None:
    """`.gz` is unpacked; an endless line is no record, and is not read into memory whole."""
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"a\n\nb\n" + b"x" * (MAX_LINE + 5) + b"\nc\n"))
    with open_log(path) as log:
        lines = list(lines_of(log))
    assert lines[:2] == [b"a\n", b"b\n"]
    assert (max(map(len, lines)), lines[-1]) == (MAX_LINE, b"c\n")


def test_a_decision_is_found_by_its_id(tmp_path: Path) -> None:
    """By the whole of it, wherever it stands in the line."""
    suite = suite_in(tmp_path)
    log = log_of(suite.file.cases, suite.ruleset)
    found = find_decision(log, "d-1")
    assert found is not None
    assert found.outcome == Outcome(allowed=False, reason="no_credentials")
    assert find_decision(log, "d-") is None


def test_two_policies_are_compared_on_logs_and_on_tests(tmp_path: Path) -> None:
    """The outcome that was recorded, or that tests expect, does not matter."""
    suite = suite_in(tmp_path)
    wider = compiled(POLICY.replace("[user, ci]", "[user, ci, service]"))
    for before, after, change in (
        (suite.ruleset, wider, "deny no_permit → allow"),
        (wider, suite.ruleset, "allow → deny no_permit"),
    ):
        on_tests, on_logs = Tally(), Tally()
        compare_cases(suite.file.cases, before, after, on_tests)
        compare_policies(log_of(suite.file.cases, suite.ruleset), before, after, on_logs)
        assert changes(on_tests) == changes(on_logs) == {change: ("order.read", 1)}


def test_many_groups_are_bounded() -> None:
    """A log with a client of its own in every record is counted on; examples are few, sums are right."""
    tally = Tally()
    allow, deny = Outcome(allowed=True, reason="allowed"), Outcome(allowed=False, reason="no_permit")
    for number in range(MAX_GROUPS + 10):
        for _ in range(MAX_EXAMPLES + 1):
            tally.add(Group("order.read", "user", f"c{number}", allow, deny), "d")
    assert (len(tally.groups), tally.beyond) == (MAX_GROUPS, 10 * (MAX_EXAMPLES + 1))
    assert (tally.changed, tally.total) == (tally.to_json()["changed"], (MAX_GROUPS + 10) * (MAX_EXAMPLES + 1))
    assert {len(found.examples) for found in tally.groups.values()} == {MAX_EXAMPLES}


def test_a_long_log_streams_by(tmp_path: Path) -> None:
    """Memory is that of a few records however many there are, and progress is told for every byte."""
    suite = suite_in(tmp_path)
    lines = log_of(suite.file.cases, suite.ruleset)
    wider = compiled(POLICY.replace("[user, ci]", "[user, ci, service]"))
    sizes: list[int] = []
    tally = Tally()
    tracemalloc.start()
    replay(repeated(lines, 3_000), wider, tally, sizes.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tally.total, tally.changed) == (3_000, 3_000 // len(lines))
    assert sizes == [len(line) for line in repeated(lines, 3_000)]
    assert peak < sum(sizes) / 5


def test_every_fact_that_conditions_can_read_is_recorded(tmp_path: Path) -> None:
    """From a record of a caller with everything, rules see exactly what they saw.

    A fact that was added to the vocabulary and not to the record fails here.
    """
    party = "kind: service, subject: s, issuer: https://i.example, client: c"
    caller = (
        f"{{{party}, roles: [r], tenant: t, session: s-1, scopes: [orders.read], groups: [g], acr: strong, amr: [otp],"
        f" auth_time: -1m, checked_at: -2m, token_id: t-1, workload: w, environment: test, device: d, binding: dpop,"
        f" profile: default, transaction: x, transaction_scopes: [xs], transaction_workloads: [xw],"
        f" registration: {{name: n, owner: o, purpose: p, peer_group: pg}}, actor: {{{party}}}, chain: [{{{party}}}]}}"
    )
    request = "{host: api.example.com, path: /orders/7, principal: 'spiffe://a/b', sni: api.example.com}"
    suite = suite_in(tmp_path, f"tests: [{{name: all, request: {request}, identity: {caller}, expect: no_permit}}]\n")
    (result,) = suite.run()
    recorded = read_line(log_of([result.case], suite.ruleset)[0])
    assert recorded is not None
    seen, again = result.judged.facts, judge_recorded(recorded, suite.ruleset).facts
    assert seen is not None
    assert again is not None
    assert dict(again.variables) == dict(seen.variables)
    assert sorted(set(FACTS) - set(seen.variables)) == []
    for name in ("auth_time", "checked_at", "device", "credential", "binding", "token_id", "workload"):
        assert getattr(again.identity, name) == getattr(seen.identity, name)
