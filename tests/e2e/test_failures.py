"""What happens when something is broken, behind an Envoy that fails open: our refusals are answers, so they hold.

Each test's control is at the end: the same Envoy lets requests through once extauthz gives no answer.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from extauthz.demo.bootstrap import find_ext_authz
from extauthz.demo.issuer import Mood
from extauthz.demo.stage import Script, Stage
from extauthz.demo.tour import deploy
from extauthz.gen.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from tests.e2e.asks import eventually, read_report, replace_text, with_token
from tests.e2e.conftest import ROOT, fail_open
from tests.e2e.other_authorizer import Relay, authorizer, point_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.envoy

MEBIBYTE = 1024 * 1024

PADDING = CheckRequest(
    attributes=AttributeContext(context_extensions={"padding": "x" * 5 * MEBIBYTE})
).SerializeToString()
"""Appended to a question it makes that question longer and changes nothing else of what it asks."""


@pytest.fixture(scope="module")
def open_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run an Envoy that fails open and hands over bodies of any size."""

    def change(bootstrap: dict[str, Any]) -> None:
        fail_open(bootstrap)
        find_ext_authz(bootstrap)["with_request_body"]["max_request_bytes"] = 64 * MEBIBYTE
        bootstrap["static_resources"]["listeners"][0]["per_connection_buffer_limit_bytes"] = 64 * MEBIBYTE
        # So that a big body is not late: a question that times out is an error, and errors are let through here.
        find_ext_authz(bootstrap)["grpc_service"]["timeout"] = "20s"

    folder = tmp_path_factory.mktemp("open")
    with Stage(Script(root=ROOT, folder=folder, change_bootstrap=change)) as running:
        yield running


def impatient(settings: dict[str, Any]) -> None:
    """Let every unknown key be looked up at once, so that tests need not wait for a cool-down."""
    settings["issuers"][0]["keys"] |= {"cool_down": 0, "refresh": "1h"}


@pytest.fixture
def lookups(folder: Path) -> Iterator[Stage]:
    """Run a stage of its own, whose issuer's moods the test may change."""
    with Stage(Script(root=ROOT, folder=folder, change_bootstrap=fail_open, change_settings=impatient)) as running:
        yield running


@pytest.mark.parametrize("size", [5 * MEBIBYTE, 20 * MEBIBYTE])
def test_huge_question_is_refused(open_stage: Stage, size: int) -> None:
    """A body that makes the question larger than we decide on is refused by an answer, whatever its size."""
    before = len(open_stage.upstream.seen)
    ask = replace(deploy('{"environment": "staging"}'), body=b" " * size)
    answer = open_stage.edge.send(with_token(ask, open_stage.issuer.mint("pipeline")))
    assert answer.status == 413
    assert answer.reason
    assert len(open_stage.upstream.seen) == before


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        (lambda raw: raw, 200, ""),
        (lambda _raw: b"", 400, "malformed_request"),
        (lambda _raw: b"\xff\xff\xff nothing like a message", 400, "malformed_request"),
        (lambda raw: raw[: len(raw) // 2], 400, "malformed_request"),
        (lambda raw: raw + PADDING, 413, "request_too_large"),
    ],
    ids=["unchanged", "empty", "garbage", "cut off", "5 MiB"],
)
def test_spoiled_question_is_refused(folder: Path, change: Callable[[bytes], bytes], status: int, reason: str) -> None:
    """Bytes that are no question, spoiled between Envoy and extauthz, are refused by an answer that Envoy obeys."""
    relay = Relay(change)
    with authorizer(relay.check) as port:

        def lead_through_relay(bootstrap: dict[str, Any]) -> None:
            fail_open(bootstrap)
            find_ext_authz(bootstrap)["grpc_service"]["timeout"] = "20s"
            relay.to = point_at(bootstrap, port)

        with Stage(Script(root=ROOT, folder=folder, change_bootstrap=lead_through_relay)) as stage:
            answer = read_report(stage)
            assert (answer.status, answer.reason) == (status, reason)
            assert len(stage.upstream.seen) == (status == 200)


@pytest.mark.parametrize("mood", [Mood.DEAD, Mood.SLOW, Mood.LYING, Mood.GARBAGE])
def test_bad_issuer_costs_only_what_needs_it(lookups: Stage, mood: Mood) -> None:
    """While the issuer is dead, slow, lying or talking garbage, known keys work on and unknown ones are refused."""
    known = lookups.issuer.mint("reporting")
    assert read_report(lookups, known).status == 200
    lookups.issuer.feel(mood)
    lookups.issuer.rotate()
    reached = len(lookups.upstream.seen)
    answer = read_report(lookups, lookups.issuer.mint("reporting"))
    assert (answer.status, answer.reason) == (503, "evidence_unavailable")
    assert len(lookups.upstream.seen) == reached
    assert read_report(lookups, known).status == 200


def test_issuer_that_lies_from_the_start_is_not_believed(folder: Path) -> None:
    """With no keys at all every token is refused as undecidable; an honest answer is enough to mend that."""
    stage = Stage(Script(root=ROOT, folder=folder, change_bootstrap=fail_open, change_settings=impatient))
    stage.issuer.feel(Mood.LYING)
    with stage:
        answer = read_report(stage)
        assert (answer.status, answer.reason) == (503, "evidence_unavailable")
        assert not stage.upstream.seen
        stage.issuer.feel(Mood.HONEST)
        assert eventually(lambda: read_report(stage).status == 200)


def test_issuer_recovers(lookups: Stage) -> None:
    """Once the issuer is back, the new key is learned without a restart."""
    lookups.issuer.feel(Mood.DEAD)
    lookups.issuer.rotate()
    token = lookups.issuer.mint("reporting")
    assert read_report(lookups, token).reason == "evidence_unavailable"
    lookups.issuer.feel(Mood.HONEST)
    assert eventually(lambda: read_report(lookups, token).status == 200)


def test_storm_of_unknown_keys_is_not_passed_on(folder: Path) -> None:
    """A thousand tokens with random key names cause one look-up in a window of the issuer's, and all are refused."""

    def calm(settings: dict[str, Any]) -> None:
        settings["issuers"][0]["keys"] |= {"cool_down": "1h", "refresh": "1h"}

    with Stage(Script(root=ROOT, folder=folder, change_settings=calm)) as stage:
        assert read_report(stage).status == 200  # The first look at the keys is over.
        before = stage.issuer.asked
        tokens = [stage.issuer.forge("reporting", kid=secrets.token_hex(16)) for _ in range(1000)]
        with ThreadPoolExecutor(8) as crowd:
            answers = list(crowd.map(lambda token: read_report(stage, token), tokens))
        outcomes = {(answer.status, answer.reason) for answer in answers}
        # While the one look-up is under way, who finds no place to wait for it gets 503.
        assert {(401, "signature_invalid")} <= outcomes <= {(401, "signature_invalid"), (503, "evidence_unavailable")}
        assert stage.issuer.asked - before <= 1
        assert read_report(stage).status == 200


def test_broken_policy_refuses_everything(folder: Path) -> None:
    """With a policy that cannot be read the server runs, says where the mistake is, and refuses every request."""
    broken = folder.parent / "broken.yaml"
    broken.write_text("resources:\n  - nmae: report\n")

    def change(settings: dict[str, Any]) -> None:
        settings["policy"] = [str(broken)]

    script = Script(root=ROOT, folder=folder, change_bootstrap=fail_open, change_settings=change, ready=False)
    with Stage(script) as stage:
        answer = read_report(stage)
        assert (answer.status, answer.reason) == (503, "evaluation_failed")
        assert not stage.upstream.seen
        assert f"{broken}:2" in stage.extauthz.read_log()
        # Mending the file is enough.
        replace_text(broken, (ROOT / "examples" / "demo" / "policy.yaml").read_text())
        assert eventually(lambda: read_report(stage).status == 200)
        # Breaking it again changes nothing: the good policy stays in force.
        replace_text(broken, "resources: []\npermits: oops\n")
        assert eventually(lambda: f"{broken}:2" in stage.extauthz.read_log().split("nmae")[-1])
        assert read_report(stage).status == 200


def test_control_stopped_server_is_let_through_only_by_an_open_envoy(folder: Path) -> None:
    """Without any answer the open Envoy lets everything through, and the closed one refuses with 503."""
    with Stage(Script(root=ROOT, folder=folder / "open", change_bootstrap=fail_open)) as stage:
        assert read_report(stage, "x.y.z").status == 401
        stage.extauthz.stop()
        assert read_report(stage, "x.y.z").status == 200
    with Stage(Script(root=ROOT, folder=folder / "closed")) as stage:
        stage.extauthz.stop()
        answer = read_report(stage)
        assert (answer.status, answer.reason) == (503, "")
        assert not stage.upstream.seen


def test_control_aborted_call_is_let_through(folder: Path) -> None:
    """An authorizer that aborts its RPC, as ours never does, opens an Envoy that fails open."""

    def abort(_raw: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "denied, it believes")

    with authorizer(abort) as port:

        def change(bootstrap: dict[str, Any]) -> None:
            fail_open(bootstrap)
            point_at(bootstrap, port)

        with Stage(Script(root=ROOT, folder=folder, change_bootstrap=change)) as stage:
            assert read_report(stage, "x.y.z").status == 200
