"""From records to a policy: what was used is permitted, nothing else, and what no log can tell is asked."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from extauthz.cli.main import app
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policytools.changes import Tally
from extauthz.policytools.moments import parse_moment
from extauthz.policytools.propose import Evidence
from extauthz.policytools.propose_paths import MANY, cluster
from extauthz.policytools.propose_text import to_policy
from extauthz.policytools.replay import replay

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CONTEXT = PolicyContext(profiles=None)
OTHER = {"issuer": "https://a.example"}
SERVICE = {"issuer": "https://issuer.example", "subject": "reporting", "kind": "service", "client": "reporting"}


def record(path: str = "/v1/reports/7", *, reason: str = "no_permit", **members: Any) -> dict[str, Any]:
    """Return the record of a request that was only observed; members that are None are left out."""
    known: dict[str, Any] = {
        "time": "2030-01-01T12:00:00.000000Z",
        "decision_id": "d-1",
        "outcome": "allow",
        "reason": "allowed",
        "latency_us": 90,
        "format": 2,
        "mode": "observe",
        "rule": "extauthz.observe",
        "would": {"outcome": "deny", "reason": reason},
        "resource": "anything",
        "action": "call",
        "verify": "default",
        "credential": "bearer",
        "method": "GET",
        "host": "api.example.com",
        "path": path,
        "subject": SERVICE,
        "scopes": ["reports:read"],
    }
    return {name: value for name, value in (known | members).items() if value is not None}


def anonymous(path: str = "/v1/status", **members: Any) -> dict[str, Any]:
    """Return the record of a request without a credential."""
    return record(path, reason="no_credentials", subject=None, scopes=None, **members)


def lines(records: Iterable[dict[str, Any]]) -> list[bytes]:
    """Return a log."""
    return [json.dumps(each).encode() + b"\n" for each in records]


def propose(*records: dict[str, Any], min_uses: int = 1) -> str:
    """Return the policy that is proposed for records; it compiles."""
    evidence = Evidence()
    evidence.read(lines(records))
    text = to_policy(evidence, min_uses=min_uses)
    compile_policy({"proposed.yaml": text.encode()}, CONTEXT)
    return text


def surprises(text: str, *records: dict[str, Any]) -> Tally:
    """Return what a policy would change."""
    tally = Tally()
    replay(lines(records), compile_policy({"proposed.yaml": text.encode()}, CONTEXT), tally)
    return tally


def test_what_was_used_is_permitted_with_its_evidence() -> None:
    """Path, method, caller and the scopes that were always there."""
    text = propose(
        record(),
        record("/v1/reports/8", time="2030-02-01T12:00:00.000000Z", scopes=["reports:read", "other"]),
        record("/v1/reports", method="POST", would=None),
    )
    assert 'match: {host: "api.example.com", path: "/v1/reports/{report}", methods: [GET]}' in text
    assert "- report.read # 2 uses, last 2030-02-01T12:00:00Z" in text
    assert "- reports.create # 1 use" in text
    assert 'who: {kind: [service], issuers: ["https://issuer.example"], clients: ["reporting"]}' in text
    assert '- scopes: ["reports:read"]' in text
    assert "other" not in text


def test_the_same_log_under_the_proposal_has_no_surprises() -> None:
    """And a request that was not in the log would be refused."""
    log = (
        record(),
        anonymous(),
        record("/v1/reports/8", subject={**SERVICE, "kind": "user", "subject": "alice", "client": ""}),
        record("/v1/jobs", method="POST", actor={"issuer": "https://a.example", "subject": "bot", "kind": "agent"}),
        record(
            "/v1/jobs",
            actor={"issuer": "https://a.example", "subject": "bot"},
            subject={"issuer": "https://a.example", "subject": "who"},
        ),
        record("/v1/reports/9", method="OPTIONS", preflight="GET", subject=None, reason="no_credentials"),
        record("/v1/quiet", subject={"issuer": "https://issuer.example", "subject": "$cron"}),
        record("/v2/reports/8"),
    )
    text = propose(*log)
    tally = surprises(text, *log)
    assert (tally.changed, tally.untold_count, tally.same) == (0, 0, len(log))
    other = surprises(text, record("/v1/jobs", method="POST"), record("/v1/reports/7/secrets"))
    assert other.changed == len("xx")


def test_what_enforcing_refuses_whatever_the_policy_is_a_surprise() -> None:
    """Refusals by the settings, and requests that could not be read; what was not decided cannot be told."""
    text = propose(record())
    tally = surprises(
        text,
        record(reason="proxy_out_of_bounds"),
        record(reason="malformed_request", host=None),
        record(would={"outcome": "deny", "reason": "tenant_mismatch", "inner": "tenant of the route"}),
        record(reason="overloaded"),
    )
    assert {(str(group.before), str(group.after)) for group in tally.groups} == {
        ("allow", "deny proxy_out_of_bounds"),
        ("allow", "deny malformed_request"),
        ("allow", "deny tenant_mismatch"),
    }
    assert list(tally.untold) == ["a decision: it was overloaded"]


def test_what_no_log_can_tell_is_asked() -> None:
    """Public resources, mixed credentials, scopes, delegation, people without a client."""
    text = propose(
        anonymous(),
        record(),
        anonymous("/v1/reports/7"),
        record("/v1/many", scopes=["a", "b"], would_remove=["cookie"]),
        record("/v1/none", scopes=["a"]),
        record("/v1/none", scopes=["b"]),
        record("/v1/cut", cut=["scopes"]),
        record("/v1/people", subject={"issuer": "https://issuer.example", "subject": "ann", "kind": "user"}),
        record("/v1/other", credential="dpop"),
        record("/v1/proofs", credential="dpop"),
        record("/v1/other", verify="strict"),
        record("/v1/other", verify="strict"),
    )
    for question in (
        "Nobody ever showed a credential",
        "1 request came without a credential and would be refused",
        "which of them does this need?",
        "Enforcing removes them unless `forward` names them: cookie (1)",
        'no scope was always there, so none is asked for; seen were "a", "b"',
        "may everybody of this kind do this",
        '1 request came with "dpop", profile "default"',
        'verify: "strict"',
        'credential: "dpop"',
    ):
        assert question in text


LEFT_OUT = {
    "its caller could not be proven: token_expired": record(reason="token_expired", subject=None),
    "it was refused: forbidden": record(outcome="deny", would=None) | {"reason": "forbidden"},
    "it could not be read: malformed_request": record(reason="malformed_request", host=None),
    "its path was redacted or cut in the record": record("/v1/" + "x" * 20 + "…"),
    "it was not decided: overloaded": record(reason="overloaded"),
    "its caller has no issuer, so no permit can name it": record(subject={"subject": "x"}),
    "its caller has a name that no policy can say": record(subject={**SERVICE, "client": "x "}),
    "it asks for another protocol (`upgrades`)": record(upgrade="websocket"),
    "nobody knows who asked": record(reason="no_permit", subject=None),
    "its method is not known": record(method="GET]\n- x: 1"),
    "it could not be read: for a reason that is none": record(reason="a\npermits:", host=None),
    "a path that no template can write": record("/v1/{reports}"),
}


@pytest.mark.parametrize("why", sorted(LEFT_OUT))
def test_what_is_no_evidence_permits_nothing(why: str) -> None:
    """And is asked about."""
    text = propose(LEFT_OUT[why])
    assert f"# ? 1 record left out: {why}" in text
    assert "permits:" not in text
    assert "# ? 1 record left out: a line that is no decision record" in _text_of([b"{}\n"])


def _text_of(log: list[bytes]) -> str:
    evidence = Evidence()
    evidence.read(log)
    return to_policy(evidence)


def test_seldom_uses_get_a_question_instead_of_a_permit() -> None:
    """The threshold is each caller's."""
    seldom = record(subject={**SERVICE, "client": "once"})
    text = propose(record(), record(), seldom, anonymous(), min_uses=2)
    assert '# ? service "once" of "https://issuer.example" gets no permit for report.read: only 1 use' in text
    assert "# ? whoever shows no credential gets no permit for status.read" in text
    assert surprises(text, record(), record(), seldom).changed == 1


def test_older_records_can_be_left_out() -> None:
    """Those before the instant."""
    evidence = Evidence()
    log = lines([record(), record("/v1/new", time="2030-06-01T00:00:00.000000Z")])
    evidence.read(log, since=parse_moment("2030-05-01T00:00:00Z"))
    assert [endpoint.cluster.template for endpoint in evidence.endpoints()] == ["/v1/new"]


def test_many_paths_are_counted_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded."""
    monkeypatch.setattr("extauthz.policytools.propose.MAX_PLACES", 1)
    assert "more different paths than can be told apart" in propose(record("/a"), record("/b"))


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/reports/7", "/v1/reports/{report}"),
        ("/v1/reports/q3", "/v1/reports/q3"),
        ("/v1/a/0af76519-16cd-43dd-8448-eb211c80319c", "/v1/a/{a}"),
        ("/builds/deadbeef01", "/builds/{build}"),
        ("/invoices/inv-2041/lines/3", "/invoices/{invoice}/lines/{line}"),
        ("/days/2030-01-01", "/days/{day}"),
        ("/7/8", "/{id}/{id_2}"),
        ("/companies/1", "/companies/{company}"),
        ("/2fa/7", "/2fa/{id_2fa}"),
        ("/", "/"),
        ("/v1/reports/", "/v1/reports/"),
    ],
)
def test_only_what_looks_like_an_identifier_is_a_parameter(path: str, template: str) -> None:
    """One path by itself."""
    assert cluster({path: ["GET"]})[path].template == template


def test_many_names_in_one_place_are_a_parameter_that_is_asked_about() -> None:
    """As long as they go on in the same way; one fewer, and each stays what it is."""
    names = [f"/users/{letter * 3}/mail" for letter in string.ascii_lowercase[:MANY]]
    found = cluster({name: ["GET"] for name in names} | {"/users/me": ["GET"]})
    assert {found[name].template for name in names} == {"/users/{user}/mail"}
    assert found[names[0]].guessed == ("user",)
    assert found["/users/me"].template == "/users/me"
    few = cluster({name: ["GET"] for name in names[1:]})
    assert {each.template for each in few.values()} == set(names[1:])
    text = propose(*(record(name) for name in names))
    assert "is {user} any name at all?" in text


def test_names_join_the_numbers_of_the_same_place() -> None:
    """Identifiers and names together are one parameter."""
    names = [f"/users/{letter * 3}" for letter in string.ascii_lowercase[:MANY]]
    found = cluster({name: ["GET"] for name in [*names, "/users/7"]})
    assert {each.template for each in found.values()} == {"/users/{user}"}


SEGMENT = st.text(string.ascii_letters + string.digits + "-_.~{}$\"'é: #", min_size=1, max_size=12)
PARTY = st.fixed_dictionaries(
    {"issuer": st.text(min_size=1, max_size=8), "subject": st.text(min_size=1, max_size=8)},
    optional={
        "kind": st.sampled_from(["user", "service", "ci", "agent", "workload"]),
        "client": st.text(min_size=1, max_size=8),
    },
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda segments, method, party, scopes: record(
                "/" + "/".join(segments), method=method, subject=party, scopes=scopes
            ),
            st.lists(SEGMENT, min_size=1, max_size=4),
            st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
            PARTY,
            st.lists(st.text(string.ascii_lowercase + ":", min_size=1, max_size=5), max_size=3, unique=True),
        ),
        max_size=12,
    )
)
def test_whatever_a_log_holds_the_proposal_compiles_and_is_the_same_again(log: list[dict[str, Any]]) -> None:
    """Names that clients choose cannot break out of their quotes, and the order of records does not matter."""
    assert propose(*log) == propose(*reversed(log))


def test_command_writes_a_file_once(tmp_path: Path) -> None:
    """It does not write over one; a wrong instant is told."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(lines([record()])))
    out = tmp_path / "proposed.yaml"
    run = CliRunner().invoke
    assert run(app, ["policy", "propose", str(log), "--output", str(out)]).exit_code == 0
    assert "report.read" in out.read_text()
    assert run(app, ["policy", "propose", str(log), "--output", str(out)]).exit_code == 2
    shown = run(app, ["policy", "propose", str(log), "--since", "2031-01-01T00:00:00Z"])
    assert (shown.exit_code, "resources:" in shown.stdout) == (0, False)
    assert run(app, ["policy", "propose", str(log), "--since", "yesterday"]).exit_code == 2
