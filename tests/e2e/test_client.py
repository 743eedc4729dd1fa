"""The client and the metadata behind a real Envoy: refusals that a program acts on until it is let through."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from extauthz.client import Patience, Response, Session, Token, TokenRequest
from extauthz.demo.ask import HOST, Ask
from extauthz.demo.bootstrap import find_connection_manager
from extauthz.demo.stage import Script, Stage
from extauthz.demo.visitor import EdgeTransport, TokenDesk
from tests.e2e.asks import eventually, lines_of, replace_text
from tests.e2e.conftest import ROOT
from tests.simulators.dpop import ORIGIN, ProofMaker
from tests.unit.response.auth_params import parse_challenge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from extauthz.demo.ask import Answer

pytestmark = pytest.mark.envoy

API: Final = f"https://{HOST}"
MCP: Final = f"{API}/mcp"
WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
LOGIN: Final = "https://login.example.com"
POLICY: Final = """\
windows:
  soon: {rules: ["FREQ=DAILY;BYHOUR=%H;BYMINUTE=%M;BYSECOND=%S"], starts: 2026-01-01T00:00, lasts: 1h, zone: UTC}
resources:
  - {name: report, action: read, match: {host: api.example.com, path: "/v1/reports/{r}", methods: [GET]}}
  - {name: payment, action: approve, match: {host: api.example.com, path: /v1/payment, methods: [POST]}}
  - {name: release, action: make, match: {host: api.example.com, path: /v1/release, methods: [POST]}}
  - {name: order, action: read, match: {host: api.example.com, path: /v1/order, methods: [GET]}, credential: dpop}
  - {name: tools, action: call, match: {host: api.example.com, path: /mcp, methods: [POST]}, verify: mcp}
guards:
  - {id: strong, on: payment.approve, require: [{step_up: {acr: [phishing-resistant], max_age: 5m}}]}
  - {id: later, on: release.make, require: [{change_window: soon}]}
  - {id: tools-write, on: tools.call, require: [{scopes: ["deploy:production"]}]}
permits:
  - {id: readers, who: anyone, may: [report.read, order.read, tools.call], require: [{scopes: ["reports:read"]}]}
  - {id: approvers, who: anyone, may: [payment.approve], require: [{scopes: ["payments:approve"]}]}
  - {id: releasers, who: anyone, may: [release.make]}
"""


def write_policy(folder: Path, opens_in: int) -> int:
    """Put a policy in place whose window opens in so many seconds; return when that is."""
    opens = int(time.time()) + opens_in
    replace_text(folder / "policy.yaml", datetime.fromtimestamp(opens, UTC).strftime(POLICY))
    return opens


def settle(settings: dict[str, Any], folder: Path) -> None:
    """Publish metadata of two resources on one host; DPoP with nonces."""
    write_policy(folder, opens_in=3600)
    settings["policy"] = [str(folder / "policy.yaml")]
    settings["state"] = {"path": str(folder / "state.db")}
    profile = settings["profiles"]["default"]
    published = {"authorization_servers": [LOGIN], "scopes_supported": ["reports:read"]}
    settings["profiles"]["default"] = {
        **profile,
        "metadata": published,
        "dpop": {"origin": ORIGIN, "nonce": "required"},
    }
    settings["profiles"]["mcp"] = {"issuers": list(profile["issuers"]), "audience": MCP, "metadata": {}}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run everything, with the routes that the command line prints for these settings."""
    folder = tmp_path_factory.mktemp("client")

    def publish(bootstrap: dict[str, Any]) -> None:
        command = [sys.executable, "-m", "extauthz", "config", "--metadata", "--config", str(folder / "settings.yaml")]
        printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
        (host,) = find_connection_manager(bootstrap)["route_config"]["virtual_hosts"]
        host["routes"] = [*yaml.safe_load(printed), *host["routes"]]

    script = Script(
        root=ROOT,
        folder=folder,
        change_settings=lambda settings: settle(settings, folder),
        change_bootstrap=publish,
    )
    with Stage(script) as running:
        yield running


def ask(api: Stage, path: str, method: str = "GET", **headers: str) -> Answer:
    """Send a request without the client."""
    return api.edge.send(Ask(method=method, path=path, headers=tuple(headers.items())))


def test_envoy_publishes_the_metadata_of_each_resource(api: Stage) -> None:
    """As JSON, to everybody; extauthz is not asked and the upstream not reached."""
    for path, resource, servers in (("", API, [LOGIN]), ("/mcp", MCP, [api.issuer.url])):
        answer = ask(api, WELL_KNOWN + path)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        document = json.loads(answer.body)
        assert (document["resource"], document["authorization_servers"]) == (resource, servers)
        assert answer.read_echo() == {}
    assert ask(api, f"{WELL_KNOWN}?x=y", host="API.example.com").status == 200
    text = api.records.read_text() if api.records.exists() else ""
    assert WELL_KNOWN not in text


@pytest.mark.parametrize(
    ("path", "method", "host"),
    [
        (WELL_KNOWN, "POST", HOST),
        (WELL_KNOWN, "GET", "other.example.com"),
        (f"{WELL_KNOWN}/other", "GET", HOST),
        (f"{WELL_KNOWN}/../../v1/reports/7", "GET", HOST),
        (f"{WELL_KNOWN}/", "GET", HOST),
    ],
)
def test_everything_else_is_decided(api: Stage, path: str, method: str, host: str) -> None:
    """Other methods, hosts and paths are extauthz's, which refuses them."""
    answer = ask(api, path, method, host=host)
    assert answer.status in {400, 403}
    assert answer.headers["x-extauthz-decision-id"]


@pytest.mark.parametrize(
    ("path", "scheme", "url"),
    [
        ("/v1/reports/7", "Bearer", f"{API}{WELL_KNOWN}"),
        ("/v1/order", "DPoP", f"{API}{WELL_KNOWN}"),
    ],
)
def test_challenges_point_to_the_metadata(api: Stage, path: str, scheme: str, url: str) -> None:
    """In both schemes, and what is there says so."""
    found, parameters = parse_challenge(ask(api, path).challenge)
    assert (found, parameters["resource_metadata"]) == (scheme, url)
    assert json.loads(ask(api, url.removeprefix(API)).body)["resource"] == API


class Desk:
    """A token desk that notes what it is asked for.

    Attributes:
        asked: every request so far.
    """

    def __init__(self, api: Stage, client: str, scope: str = "") -> None:
        self._desk = TokenDesk(api.issuer, client, scope)
        self.asked: list[TokenRequest] = []

    def __call__(self, request: TokenRequest) -> Token | None:
        """Return what the issuer grants."""
        self.asked.append(request)
        return self._desk(request)


def talk(api: Stage, desk: Any, resource: str = API, **patience: Any) -> tuple[Session, list[Answer]]:
    """Return a session through Envoy, and the list of what comes back."""
    transport = EdgeTransport(api.edge)
    return Session(resource, desk, transport=transport, patience=Patience(**patience)), transport.answers


def subject_of(answer: Response) -> str:
    """Return whom the upstream saw."""
    return str(dict(json.loads(answer.body)["headers"])["x-extauthz-subject"])


def test_a_machine_gets_the_scope_that_it_lacks(api: Stage) -> None:
    """Refused, told which, and where tokens come from; let through with a new token, and from then on at once."""
    desk = Desk(api, "pipeline", "deploy:production")
    session, answers = talk(api, desk)
    answer = session.request("GET", "/v1/reports/7")
    assert (answer.status, subject_of(answer)) == (200, "pipeline")
    assert [one.status for one in answers] == [403, 200, 200]
    assert (desk.asked[1].scopes, desk.asked[1].authorization_servers) == (("reports:read",), (LOGIN,))
    assert session.request("GET", "/v1/reports/8").status == 200
    assert len(answers) == 4


def test_a_machine_that_is_not_granted_the_scope_stops(api: Stage) -> None:
    """One refusal, and no second attempt with a token that is no better."""
    session, answers = talk(api, Desk(api, "reporting"))
    assert session.request("POST", "/v1/payment").status == 403
    assert session.last_refusal is not None
    assert session.last_refusal.reason == "step_up_required"
    assert session.last_refusal.challenges == ()
    assert len(answers) == 1


def test_a_person_signs_in_and_gets_the_scope_in_one_step(api: Stage) -> None:
    """One 401 names both."""
    desk = Desk(api, "alice-laptop", "reports:read")
    session, answers = talk(api, desk)
    assert session.request("POST", "/v1/payment").status == 200
    assert [one.status for one in answers] == [401, 200, 200]
    assert (desk.asked[1].acr_values, desk.asked[1].max_age) == (("phishing-resistant",), 300)
    assert desk.asked[1].scopes == ("payments:approve",)


def test_a_tool_server_names_all_scopes_of_the_operation(api: Stage) -> None:
    """403 with what guard and permit need and the metadata of its own resource; one new token, and it goes through."""
    desk = Desk(api, "pipeline")
    session, answers = talk(api, desk, MCP)
    assert session.request("POST", "/mcp", headers={"content-type": "application/json"}, body=b"{}").status == 200
    refused = answers[0]
    scheme, parameters = parse_challenge(refused.challenge)
    assert (refused.status, scheme, parameters["error"]) == (403, "Bearer", "insufficient_scope")
    assert parameters["scope"] == "deploy:production reports:read"
    assert parameters["resource_metadata"] == f"{API}{WELL_KNOWN}/mcp"
    assert len(desk.asked) == 2


def test_a_token_for_another_resource_is_replaced_and_then_given_up(api: Stage) -> None:
    """A session for the API at the tool server's address: its tokens are refused there, twice, and no more."""
    session, answers = talk(api, Desk(api, "pipeline", "deploy:production reports:read"))
    assert session.request("POST", "/mcp").status == 401
    assert session.last_refusal is not None
    assert session.last_refusal.reason == "audience_mismatch"
    assert [one.status for one in answers] == [401, 401]


def test_a_client_with_a_key_learns_the_nonce(api: Stage) -> None:
    """A first proof without, a second with it; later requests have it from the start."""
    client = ProofMaker()

    def sign(claims: Mapping[str, Any]) -> str:
        said = dict(claims)
        return client.prove("", said.pop("htm"), said.pop("htu"), now=said.pop("iat"), **said)

    def mint(_request: TokenRequest) -> Token:
        return Token(api.issuer.mint("reporting", cnf={"jkt": client.thumbprint}), sign)

    session, answers = talk(api, mint)
    assert session.request("GET", "/v1/order").status == 200
    assert [(one.status, one.reason) for one in answers] == [(401, "proof_nonce_required"), (200, "")]
    assert session.request("GET", "/v1/order").status == 200
    assert lines_of(answers[-1], "x-extauthz-subject") == ["reporting"]
    assert len(answers) == 3


def test_a_window_is_waited_for(api: Stage) -> None:
    """The refusal says when it opens; who may not wait so long is refused, who may is let through."""
    hasty, refusals = talk(api, Desk(api, "pipeline"), wait_up_to=60.0)
    assert hasty.request("POST", "/v1/release").status == 403
    assert hasty.last_refusal is not None
    assert hasty.last_refusal.reason == "outside_change_window"
    assert 60 < (hasty.last_refusal.retry_after or 0) <= 3600
    assert len(refusals) == 1
    answers: list[Answer] = []
    for opens_in in (4, 8, 16, 32):  # A machine that is very slow may ask only after it has opened.
        opens = write_policy(api.folder, opens_in)
        assert eventually(partial(_is_in_force_or_late, api, opens))
        patient, answers = talk(api, Desk(api, "pipeline"), wait_up_to=60.0)
        assert patient.request("POST", "/v1/release").status == 200
        if len(answers) > 1:
            break
    assert (answers[0].status, answers[-1].status) == (403, 200)


def _is_in_force_or_late(api: Stage, opens: int) -> bool:
    """Return whether the window that opens then is refused for now, or it is too late to see that."""
    session, _ = talk(api, Desk(api, "pipeline"))
    refused = session.request("POST", "/v1/release").status != 200
    soon = session.last_refusal is not None and (session.last_refusal.retry_after or 60) < 60
    return (refused and soon) or time.time() > opens


def test_a_resource_of_somebody_elses_is_not_believed(api: Stage) -> None:
    """A document that names another resource does not count, wherever it came from."""
    desk = Desk(api, "pipeline", "deploy:production")
    transport = EdgeTransport(api.edge)

    def swapped(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        answer = transport(method, url, headers, body)
        return (
            replace(answer, body=answer.body.replace(API.encode(), b"https://evil.example"))
            if WELL_KNOWN in url
            else answer
        )

    assert Session(API, desk, transport=swapped).request("GET", "/v1/reports/7").status == 200
    assert desk.asked[1].authorization_servers == ()
