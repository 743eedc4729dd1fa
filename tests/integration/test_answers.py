"""A whole server: every question is answered by a decided `CheckResponse`, and recorded."""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from tests.integration.running import Running, running, seconds_of_patience
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.tokens import TokenMaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a server with the usual policy."""
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


def test_a_good_token_is_let_through(server: Running) -> None:
    """With the caller's name for the upstream."""
    answer = server.ask(server.mint())
    assert outcome_of(answer) == (200, "allowed")
    headers = {option.header.key: option.header.value for option in answer.ok_response.headers}
    assert headers["x-extauthz-subject"] == "deployer"


@pytest.mark.parametrize("raw_headers", [False, True])
def test_both_header_shapes_are_decided_alike(server: Running, raw_headers: bool) -> None:
    """Merged headers, and lines with raw values."""
    assert outcome_of(server.ask(server.mint(), raw_headers=raw_headers)) == (200, "allowed")
    assert outcome_of(server.ask(raw_headers=raw_headers)) == (401, "no_credentials")


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (b"", (400, "malformed_request")),
        (b"\xff\xff\xff\xff", (400, "malformed_request")),
        (CheckRequest().SerializeToString(), (400, "malformed_request")),
        (check_request(path="/things/7")[:-7], (400, "malformed_request")),
        (check_request(path="/nothing"), (403, "no_resource")),
        (check_request(path="/things/7", method="DELETE"), (405, "method_not_allowed")),
        (check_request(host="api.elsewhere.org"), (403, "proxy_out_of_bounds")),
        (check_request(path="/ping"), (200, "allowed")),
    ],
)
def test_every_question_is_answered(server: Running, raw: bytes, outcome: tuple[int, str]) -> None:
    """Also those that are none: the RPC succeeds and the answer denies."""
    assert outcome_of(server.asker.ask(raw)) == outcome


@pytest.mark.parametrize("mebibytes", [5, 20])
def test_a_huge_question_is_denied_rather_than_an_error(server: Running, mebibytes: int) -> None:
    """Beyond what gRPC accepts by default, and far beyond."""
    raw = check_request(path="/things/7", method="POST", raw_body=b"x" * (mebibytes << 20))
    status, reason = outcome_of(server.asker.ask(raw))
    assert status == 413
    assert reason != "allowed"


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"aud": "https://other.example"}, (401, "audience_mismatch")),
        ({"iat": 1_700_000_000, "exp": 1_700_000_300}, (401, "token_expired")),
        ({"kind": "user"}, (403, "no_permit")),
    ],
)
def test_a_token_that_does_not_do_is_refused(
    server: Running, changes: dict[str, object], outcome: tuple[int, str]
) -> None:
    """Each for its own reason."""
    assert outcome_of(server.ask(server.mint(**changes))) == outcome


def test_a_forged_token_is_refused(server: Running) -> None:
    """It names a known key and is signed by another."""
    assert outcome_of(server.ask(server.maker.forge(now=time.time())))[1] == "signature_invalid"


def test_a_token_of_a_stranger_is_refused(server: Running) -> None:
    """Its issuer is not ours."""
    token = TokenMaker(issuer="https://stranger.example").mint()
    assert outcome_of(server.ask(token)) == (401, "issuer_unknown")


@pytest.mark.parametrize("token", [None, "", "wrong-token-of-that-length"])
def test_an_unknown_proxy_is_told_nothing_else(server: Running, token: str | None) -> None:
    """Even with a caller's good token."""
    raw = check_request(path="/things/7", headers={"authorization": f"Bearer {server.mint()}"})
    assert outcome_of(server.asker.ask(raw, token=token)) == (503, "proxy_unauthenticated")


def test_every_answer_is_recorded_without_its_token(server: Running) -> None:
    """One line each, by decision id."""
    token = server.mint()
    answers = [server.ask(token), server.ask(), server.asker.ask(b"")]
    wanted = {answer.dynamic_metadata.fields["decision_id"].string_value for answer in answers}
    seconds_of_patience(lambda: wanted <= {record["decision_id"] for record in server.records()})
    assert token.split(".")[2] not in (server.folder / "records.jsonl").read_text()


def test_the_metrics_count_decisions(server: Running) -> None:
    """By outcome and reason, on the address that was bound."""
    server.ask()
    address = server.application.metrics_address
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    assert 'extauthz_decisions_total{outcome="deny",reason="no_credentials",resource="thing"}' in text


def test_the_folder_holds_what_the_server_writes(server: Running, tmp_path: Path) -> None:
    """Nothing else is left behind."""
    assert {path.name for path in server.folder.iterdir()} == {"policy.yaml", "records.jsonl"}
    assert not list(tmp_path.iterdir())
