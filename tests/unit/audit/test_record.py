"""Decision records: complete, valid against their schema, and without secrets."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import extauthz.audit
from extauthz.audit.record import close_line, open_common, to_line, to_record, to_repeated_line
from extauthz.clock import Instant
from extauthz.ids import DecisionId, RuleId
from extauthz.limits import MAX_RECORDED_LIST
from extauthz.model.identity import ANONYMOUS, Binding
from extauthz.model.reason import Reason
from extauthz.model.request import Body, BodyState, Headers
from extauthz.model.verdict import Allow, Deny, ObtainScopes, StepUp, Trail, UseMethod
from tests.simulators.decisions import ALLOW, IDENTITY, ISSUER, REQUEST, TARGET, decision_of, denial
from tests.simulators.secrets import JWT

SCHEMA = json.loads((Path(extauthz.audit.__file__).parent / "record.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def recorded(decision: Any, latency: float = 0.000_25) -> dict[str, Any]:
    """Return the record as a reader of the log gets it, having checked it against the schema."""
    line = to_line(decision, latency)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    record: dict[str, Any] = json.loads(line)
    assert record == to_record(decision, latency)
    VALIDATOR.validate(record)
    return record


def test_the_schema_is_a_schema() -> None:
    """The published schema is valid itself."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_an_allow_is_recorded_in_full() -> None:
    """Everything that is known of an allow is in its record, and nothing else."""
    assert recorded(decision_of(ALLOW)) == {
        "time": "2023-11-14T22:13:20.250000Z",
        "decision_id": "d-00112233445566778899",
        "outcome": "allow",
        "reason": "allowed",
        "latency_us": 250,
        "format": 2,
        "rule": "people-deploy",
        "rules": {"met": ["people-deploy"]},
        "policy": "0123456789abcdef",
        "proxy": "edge",
        "resource": "deployment",
        "action": "deploy",
        "attributes": {"environment": "production", "replicas": 3},
        "subject": {"issuer": ISSUER, "subject": "alice", "kind": "user", "client": "console"},
        "actor": {"issuer": ISSUER, "subject": "agent-7", "kind": "agent"},
        "chain": [{"issuer": ISSUER, "subject": "planner"}],
        "client": "console",
        "tenant": "acme",
        "session": "s-1",
        "token_id": "t-1",
        "workload": "https://issuer.example|console",
        "profile": "default",
        "method": "POST",
        "host": "api.example.com",
        "path": "/v1/projects/apollo/deployments",
        "source": "192.0.2.7",
        "request_id": "7f3c0d2e-1b52-4a5e-9a53-0d3f5a0c1e11",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }


def test_a_denial_is_recorded_with_rules_remedies_and_inner() -> None:
    """A denial names what stood in the way, what would help, and what happened inside."""
    trail = Trail(met=(RuleId("g1"),), unmet=(RuleId("g2"),), would_deny=(RuleId("o1"),), would_allow=(RuleId("o2"),))
    deny = Deny(
        reason=Reason.STEP_UP_REQUIRED,
        remedies=(ObtainScopes(("a",)), StepUp(("x",), 300), StepUp(("y",)), UseMethod(("GET",))),
        rule=RuleId("g2"),
        trail=trail,
        inner="acr was weak",
    )
    record = recorded(decision_of(deny))
    assert record["outcome"] == "deny"
    assert record["rules"] == {"met": ["g1"], "unmet": ["g2"], "would_deny": ["o1"], "would_allow": ["o2"]}
    assert record["remedies"] == [
        {"kind": "scopes", "scopes": ["a"]},
        {"kind": "step_up", "acr_values": ["x"], "max_age": 300},
        {"kind": "step_up", "acr_values": ["y"]},
        {"kind": "method", "methods": ["GET"]},
    ]
    assert record["inner"] == "acr was weak"


def test_what_was_not_reached_is_absent() -> None:
    """A request refused at the door has a short record."""
    decision = dataclasses.replace(
        decision_of(denial(Reason.PROXY_UNAUTHENTICATED), request=None, target=None, identity=None, attributes={}),
        proxy="",
        policy=None,
    )
    assert recorded(decision).keys() == {"time", "decision_id", "outcome", "reason", "latency_us", "format"}


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.ALLOWED])
def test_each_reason_can_be_recorded(reason: Reason) -> None:
    """Every reason code passes the schema."""
    assert recorded(decision_of(denial(reason)))["reason"] == reason.value


def test_nobody_is_recorded_as_anonymous() -> None:
    """An anonymous caller is a kind of its own, not an absent one."""
    assert recorded(decision_of(ALLOW, identity=ANONYMOUS))["subject"] == {"kind": "anonymous"}


def test_an_allow_without_a_trail_has_no_rules() -> None:
    """Empty lists are absent."""
    assert "rules" not in recorded(decision_of(Allow(rule=RuleId("preflight"))))


def test_no_secret_reaches_the_record() -> None:
    """Canaries in every header, the query, the body, the claims and the certificate stay out."""
    canary = "canary-5f1d"
    request = dataclasses.replace(
        REQUEST,
        query=(("access_token", canary), (canary, "x")),
        headers=Headers({"authorization": (f"Bearer {canary}",), "cookie": (canary,), canary: (canary,)}),
        body=Body(BodyState.COMPLETE, canary.encode()),
        context={canary: canary},
        source=dataclasses.replace(REQUEST.source, certificate=canary),
    )
    identity = dataclasses.replace(IDENTITY, claims={"sub": canary, canary: canary})
    line = to_line(decision_of(ALLOW, request=request, identity=identity), 0.1)
    assert canary.encode() not in line


def test_tokens_in_the_wrong_place_are_redacted() -> None:
    """A token as path segment, request id, attribute or in an inner text is cut out."""
    request = dataclasses.replace(REQUEST, path=f"/v1/sessions/{JWT}/items", request_id=JWT, method=JWT, host=JWT)
    deny = denial(Reason.INTERNAL_ERROR, inner=f"could not read {JWT}")
    record = recorded(decision_of(deny, request=request, attributes={"session": JWT}))
    assert JWT.split(".")[1] not in json.dumps(record)
    assert record["path"] == "/v1/sessions/[redacted]/items"
    assert record["inner"] == "could not read [redacted]"


def test_texts_are_bounded() -> None:
    """A long path makes no long record."""
    request = dataclasses.replace(REQUEST, path="/" + "ab/" * 2500)
    record = recorded(decision_of(ALLOW, request=request))
    assert len(record["path"]) == 1025
    assert record["path"].endswith("…")


def test_a_line_is_a_line() -> None:
    """Control characters, separators and lone surrogates in texts neither break the line nor the encoding."""
    request = dataclasses.replace(REQUEST, path="/a\n\r\x1b[31m\u2028\ud800")
    line = to_line(decision_of(ALLOW, request=request), 0)
    assert line.isascii()
    assert b"\x1b" not in line
    assert json.loads(line)["path"] == "/a\n\r\x1b[31m\u2028?"


def repeated(request_id: str) -> bytes:
    """Return the line of a repetition of a denial."""
    common = close_line(open_common(decision_of(denial(Reason.FORBIDDEN))), None)
    return to_repeated_line(common, (DecisionId("d-1"), Instant(0.0), 0.1, request_id, ""))


@pytest.mark.parametrize("request_id", ['","outcome":"allow', "\\", "é", "7d9f1c8e-5b0a", "a" * 65])
def test_a_repetition_records_any_request_id_as_text(request_id: str) -> None:
    """Its line is put together from pieces, so nothing in an id may end the text that it stands in."""
    line = repeated(request_id)
    record = json.loads(line)
    assert line.count(b"\n") == 1
    assert (record["outcome"], record["cached"], record["request_id"]) == ("deny", True, request_id)


def test_a_repetition_records_no_token_as_request_id() -> None:
    """As the first record does not."""
    assert JWT.encode() not in repeated(JWT)


def test_time_is_utc() -> None:
    """The time is written with microseconds and `Z`, whatever the machine's zone."""
    decision = dataclasses.replace(decision_of(ALLOW), at=Instant(0.0))
    assert recorded(decision)["time"] == "1970-01-01T00:00:00.000000Z"


def test_what_policy_decided_on_is_recorded() -> None:
    """So that the decision can be made again under another policy; the narrowing of the route included, and no more."""
    party = dataclasses.replace(IDENTITY.subject, roles=frozenset({"b", "a"}))
    identity = dataclasses.replace(
        IDENTITY,
        subject=party,
        scopes=frozenset({"y", "x"}),
        groups=frozenset({"g"}),
        amr=("otp",),
        acr="strong",
        auth_time=Instant(1_700_000_000.0),
        binding=Binding.MTLS,
    )
    context = {"extauthz.tenant": "acme", "note": "mine"}
    source = dataclasses.replace(REQUEST.source, principal="spiffe://a/b", sni="api.example.com")
    request = dataclasses.replace(REQUEST, upgrade="websocket", preflight_method="PUT", context=context, source=source)
    target = dataclasses.replace(
        TARGET, verify="default", credential="bearer", read_from=(("environment", "body.environment"),)
    )
    record = recorded(decision_of(ALLOW, request=request, target=target, identity=identity))
    assert record["subject"]["roles"] == ["a", "b"]
    assert {name: record[name] for name in ("scopes", "groups", "amr", "acr", "auth_time", "binding")} == {
        "scopes": ["x", "y"],
        "groups": ["g"],
        "amr": ["otp"],
        "acr": "strong",
        "auth_time": "2023-11-14T22:13:20.000000Z",
        "binding": "mtls",
    }
    assert (record["verify"], record["credential"], record["read_from"]) == (
        "default",
        "bearer",
        {"environment": "body.environment"},
    )
    assert (record["principal"], record["sni"]) == ("spiffe://a/b", "api.example.com")
    assert (record["upgrade"], record["preflight"]) == ("websocket", "PUT")
    assert record["context"] == {"extauthz.tenant": "acme"}


def test_long_lists_are_cut_and_say_so() -> None:
    """A record stays small however many scopes a token has; a reader knows that some are missing."""
    many = frozenset(f"s{number:04}" for number in range(MAX_RECORDED_LIST + 1))
    party = dataclasses.replace(IDENTITY.subject, roles=many)
    record = recorded(decision_of(ALLOW, identity=dataclasses.replace(IDENTITY, subject=party, scopes=many)))
    assert (len(record["scopes"]), record["cut"]) == (MAX_RECORDED_LIST, ["scopes"])
    assert (len(record["subject"]["roles"]), record["subject"]["cut"]) == (MAX_RECORDED_LIST, ["roles"])
    both = recorded(decision_of(ALLOW, identity=dataclasses.replace(IDENTITY, scopes=many, groups=many)))
    assert both["cut"] == ["scopes", "groups"]
    assert [name for name in both if name in {"scopes", "cut", "groups"}] == ["scopes", "cut", "groups"]
    fewer = dataclasses.replace(IDENTITY, scopes=frozenset(sorted(many)[1:]))
    assert "cut" not in recorded(decision_of(ALLOW, identity=fewer))
