"""What Envoy shows extauthz and what extauthz tells Envoy: headers, bodies, metadata, gRPC clients, certificates."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from extauthz.demo.ask import HOST, Ask, Edge
from extauthz.demo.bootstrap import find_ext_authz
from extauthz.demo.certificates import CLIENT_NAME
from extauthz.demo.run import find_record, walk
from extauthz.demo.stage import Script, Stage
from extauthz.demo.table import to_differences
from extauthz.demo.tour import REPORT, TOUR, deploy
from tests.e2e.asks import await_record, eventually, lines_of, read_report, with_token
from tests.e2e.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.envoy

STAGING = deploy('{"environment": "staging"}')


@pytest.fixture(scope="module")
def other_shape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run an Envoy that sends the older shape: merged headers in a map, and the body as text."""

    def change(bootstrap: dict[str, Any]) -> None:
        settings = find_ext_authz(bootstrap)
        settings["encode_raw_headers"] = False
        settings["with_request_body"]["pack_as_bytes"] = False

    with Stage(Script(root=ROOT, folder=tmp_path_factory.mktemp("shape"), change_bootstrap=change)) as running:
        yield running


def test_both_shapes_are_decided_alike(other_shape: Stage) -> None:
    """The whole tour has the same outcome with `headers`/`body` as with `header_map`/`raw_body`."""
    assert to_differences(list(walk(other_shape, TOUR, hardened=False))) == []


@pytest.mark.parametrize(
    "name",
    [
        "x-extauthz-subject",
        "X-Extauthz-Subject",
        "x_extauthz_subject",
        "x-extauthz_subject",
        "X_EXTAUTHZ-SUBJECT",
        "x-extauthz-actor",
        "x_extauthz_actor",
        "x-extauthz-roles",
    ],
)
@pytest.mark.parametrize("shape", ["stage", "other_shape"])
def test_no_spoofed_identity_survives(name: str, shape: str, request: pytest.FixtureRequest) -> None:
    """Whatever a client writes into our header names and their twins, the upstream sees our value alone."""
    stage: Stage = request.getfixturevalue(shape)
    ask = replace(REPORT, headers=((name, "admin"), (name, "root")))
    answer = stage.edge.send(with_token(ask, stage.issuer.mint("reporting")))
    assert answer.status == 200
    assert lines_of(answer, "x-extauthz-subject") == ["reporting"]
    values = [value for key, value in answer.read_echo()["headers"] if "extauthz" in key]
    assert not {"admin", "root", "admin,root", "admin, root"} & set(values)


def test_upstream_learns_who_asked(stage: Stage) -> None:
    """Subject, actor, client, kind, tenant, issuer and decision id reach the upstream once each."""
    answer = stage.edge.send(with_token(REPORT, stage.issuer.mint("assistant")))
    assert answer.status == 200
    wanted = {
        "subject": "alice",
        "actor": "assistant",
        "client": "assistant",
        "kind": "user",
        "tenant": "acme",
        "issuer": stage.issuer.url,
    }
    for name, value in wanted.items():
        assert lines_of(answer, f"x-extauthz-{name}") == [value], name
    [decision_id] = lines_of(answer, "x-extauthz-decision-id")
    assert decision_id.startswith("d-")


def test_other_credentials_do_not_go_on(stage: Stage) -> None:
    """Credentials that the resource does not declare are gone before the upstream sees the request."""
    extra = (("cookie", "session=1"), ("x-api-key", "k"), ("x-vault-token", "v"), ("impersonate-user", "root"))
    answer = stage.edge.send(with_token(replace(REPORT, headers=extra), stage.issuer.mint("reporting")))
    assert answer.status == 200
    for name, _ in extra:
        assert lines_of(answer, name) == [], name


def test_refusal_is_a_problem_document(stage: Stage) -> None:
    """A refusal carries RFC 9457 JSON with reason, decision id and remedy, and must not be cached."""
    answer = stage.edge.send(with_token(REPORT, stage.issuer.mint("pipeline", scope="deploy:production")))
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = json.loads(answer.body)
    assert problem["status"] == 403
    assert problem["reason"] == answer.reason == "insufficient_scope"
    assert problem["decision_id"] == answer.headers["x-extauthz-decision-id"]
    assert problem["remedies"] == [{"kind": "scopes", "scopes": ["reports:read"]}]


def test_head_is_answered_as_get(stage: Stage) -> None:
    """HEAD is allowed where GET is, and refused without a body where GET is refused."""
    token = stage.issuer.mint("reporting")
    allowed = stage.edge.send(with_token(replace(REPORT, method="HEAD"), token))
    assert (allowed.status, allowed.body) == (200, b"")
    assert stage.upstream.seen[-1]["method"] == "HEAD"
    refused = stage.edge.send(replace(REPORT, method="HEAD"))
    assert (refused.status, refused.reason, refused.body) == (401, "no_credentials", b"")


def test_body_rule_needs_the_whole_body(stage: Stage) -> None:
    """A body that Envoy hands over in part decides nothing, although its first bytes would be enough."""
    long = deploy('{"environment": "staging", "notes": "' + "x" * 70_000 + '"}')
    answer = stage.edge.send(with_token(long, stage.issuer.mint("pipeline")))
    assert answer.reason == "unreadable_body"


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b"", "application/json", ""),
        (b'{"environment": "staging"', "application/json", ""),
        (b'{"environment": "staging"}', "text/plain", ""),
        (b'{"environment": "staging"}', "application/json", "gzip"),
        (b'{"environment": ["staging"]}', "application/json", ""),
        (b'{"environment": "prod"}', "application/json", ""),
    ],
    ids=["absent", "cut off", "no JSON", "compressed", "wrong type", "unknown value"],
)
def test_unreadable_body_is_refused(stage: Stage, body: bytes, content_type: str, encoding: str) -> None:
    """Where a rule reads the body, a body that cannot be read is a refusal, never a rule that did not match."""
    headers = [("content-type", content_type)] + ([("content-encoding", encoding)] if encoding else [])
    ask = Ask(method="POST", path="/v1/projects/web/deployments", headers=tuple(headers), body=body)
    answer = stage.edge.send(with_token(ask, stage.issuer.mint("pipeline")))
    assert answer.status == 400
    assert answer.reason in {"unreadable_body", "malformed_request"}


def test_body_that_is_not_sent_decides_nothing(folder: Path) -> None:
    """When Envoy is not configured to send bodies, what depends on them is refused and the rest goes on."""

    def change(bootstrap: dict[str, Any]) -> None:
        del find_ext_authz(bootstrap)["with_request_body"]

    with Stage(Script(root=ROOT, folder=folder, change_bootstrap=change)) as stage:
        answer = stage.edge.send(with_token(STAGING, stage.issuer.mint("pipeline")))
        assert answer.reason == "unreadable_body"
        assert read_report(stage).status == 200


def find_logged(stage: Stage, decision_id: str) -> dict[str, Any]:
    """Return the access-log entry of one decision."""

    def found() -> dict[str, object] | None:
        return find_record(stage.envoy.read_access_log(), decision_id)

    assert eventually(lambda: found() is not None)
    return found() or {}


def test_access_log_tells_what_was_decided(hardened: Stage) -> None:
    """Envoy's own log names decision, caller, tenant, resource, action, reason and rule, on allow and on refusal."""
    allowed = read_report(hardened)
    entry = find_logged(hardened, lines_of(allowed, "x-extauthz-decision-id")[0])
    wanted = {"subject": "reporting", "tenant": "acme", "resource": "report", "action": "read"}
    assert entry | wanted | {"status": 200, "reason": "allowed", "rule": "readers-read-reports"} == entry
    production = deploy('{"environment": "production"}')
    token = hardened.issuer.mint("pipeline", scope="")
    refused = hardened.edge.send(with_token(production, token))
    entry = find_logged(hardened, refused.headers["x-extauthz-decision-id"])
    wanted = {"subject": "pipeline", "tenant": "acme", "resource": "deployment", "action": "deploy"}
    rule = "production-needs-its-own-scope"
    assert entry | wanted | {"status": 403, "reason": "insufficient_scope", "rule": rule} == entry


def test_record_and_access_log_tell_the_same(hardened: Stage) -> None:
    """The decision record of a request has the id, the caller and the request id of Envoy's log."""
    answer = read_report(hardened)
    decision_id = lines_of(answer, "x-extauthz-decision-id")[0]
    entry = find_logged(hardened, decision_id)
    record = await_record(hardened, decision_id)
    assert record["request_id"] == entry["request_id"]
    assert record["outcome"] == "allow"


def test_route_and_policy_must_agree(hardened: Stage) -> None:
    """A route that Envoy binds to one resource refuses whatever the policy takes for another."""
    token = hardened.issuer.mint("pipeline", scope="")
    assert hardened.edge.send(with_token(STAGING, token)).status == 200

    def bind_wrongly(bootstrap: dict[str, Any]) -> None:
        text = json.dumps(bootstrap).replace("deployment.deploy", "report.read")
        bootstrap.clear()
        bootstrap.update(json.loads(text))

    script = replace(hardened.script, folder=hardened.folder / "wrong", change_bootstrap=bind_wrongly)
    with Stage(script) as wrong:
        answer = wrong.edge.send(with_token(STAGING, wrong.issuer.mint("pipeline", scope="")))
        assert (answer.status, answer.reason) == (403, "proxy_out_of_bounds")


def test_proxy_may_ask_only_about_its_hosts(stage: Stage) -> None:
    """A request for a host outside the proxy's bounds is refused before anything else is looked at."""
    ask = replace(REPORT, headers=(("host", "admin.example.com"),))
    answer = stage.edge.send(ask)
    assert (answer.status, answer.reason) == (403, "proxy_out_of_bounds")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/payments/7/approval", grpc.StatusCode.UNAUTHENTICATED),
        ("/v1/nowhere/7", grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_grpc_client_sees_the_mapped_status(stage: Stage, path: str, code: grpc.StatusCode) -> None:
    """Envoy turns our 401 and 403 into the gRPC codes that clients understand, and the reason arrives as metadata."""
    options = [("grpc.default_authority", HOST), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{stage.edge.port}", options=options) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
        refused: Any = call.future(b"", timeout=30)  # its type lacks what it inherits
        assert isinstance(refused.exception(), grpc.RpcError)
        metadata = {**dict(refused.initial_metadata() or ()), **dict(refused.trailing_metadata() or ())}
    assert refused.code() is code
    assert metadata["x-extauthz-reason"]


def test_client_certificate_is_shown_to_extauthz(hardened: Stage, folder: Path) -> None:
    """A rule about the connection's certificate holds with the certificate and not without, whatever a header says."""
    rule = folder.parent / "certificate.yaml"
    rule.write_text(
        "guards:\n"
        "  - id: from-the-reporting-workload\n"
        "    on: report.read\n"
        f"    require: [{{cel: 'source.principal == \"{CLIENT_NAME}\"'}}]\n"
    )

    def change(settings: dict[str, Any]) -> None:
        settings["policy"].append(str(rule))

    with Stage(replace(hardened.script, folder=folder, change_settings=change)) as stage:
        forged = replace(REPORT, headers=(("x-forwarded-client-cert", f"URI={CLIENT_NAME}"),))
        ask = with_token(forged, stage.issuer.mint("reporting"))
        answer = stage.edge.send(ask)
        assert answer.status == 200
        assert lines_of(answer, "x-forwarded-client-cert") == []
        anonymous = Edge(stage.edge.port, stage.edge.tls, certificate=False)
        assert anonymous.send(ask).status != 200
