"""A whole server whose policy is broken, mended, changed and swapped while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.integration.running import BROKEN, POLICY, Running, running, seconds_of_patience
from tests.simulators.grpc_client import SECONDS, outcome_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ALLOWED = (200, "allowed")
NO_POLICY = (503, "evaluation_failed")


def is_serving(server: Running) -> bool:
    """Return what the health service says."""
    stub = health_pb2_grpc.HealthStub(server.asker.channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    serving: bool = answer.status == health_pb2.HealthCheckResponse.SERVING
    return serving


def test_a_broken_policy_at_start_denies_everything_until_it_is_mended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The server runs, says what is wrong and where, is not healthy, and recovers by itself."""
    with running(tmp_path, policy=BROKEN) as server:
        assert outcome_of(server.ask(path="/ping")) == NO_POLICY
        assert not is_serving(server)
        assert not server.application.readiness.ready
        printed = "".join(capfd.readouterr())
        assert f"{tmp_path}/policy.yaml:3:" in printed
        assert "did you mean" in printed
        assert "everything is denied until it is mended" in printed
        server.write_policy(POLICY)
        seconds_of_patience(lambda: outcome_of(server.ask(path="/ping")) == ALLOWED)
        seconds_of_patience(lambda: is_serving(server) and server.application.readiness.ready)


def test_a_policy_that_is_not_there_denies_everything(tmp_path: Path) -> None:
    """As one that is broken."""
    with running(tmp_path, policy_paths=[str(tmp_path / "none.yaml")]) as server:
        assert outcome_of(server.ask(path="/ping")) == NO_POLICY


def test_a_policy_that_is_removed_later_stays_in_force(tmp_path: Path) -> None:
    """A file that went missing is a mistake until somebody says otherwise."""
    with running(tmp_path) as server:
        (tmp_path / "policy.yaml").unlink()
        seconds_of_patience(lambda: server.application._parts.loader.problems)
        assert outcome_of(server.ask(path="/ping")) == ALLOWED


def test_a_broken_change_is_kept_out_and_reported_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The policy before stays in force; the message names the place; looking again says nothing new."""
    with running(tmp_path) as server:
        server.write_policy(BROKEN)
        loader = server.application._parts.loader
        seconds_of_patience(lambda: loader.problems)
        assert outcome_of(server.ask(path="/ping")) == ALLOWED
        assert is_serving(server)
    loader.look()  # Once more at least; the thread that looked before has ended, and has said everything.
    printed = "".join(capfd.readouterr())
    assert "policy.yaml:3:" in printed
    assert printed.count("policy kept out") == 1
    assert "stays in force" in printed


def test_a_good_change_is_in_force_for_the_next_question(tmp_path: Path) -> None:
    """Also one that takes something away."""
    with running(tmp_path) as server:
        assert outcome_of(server.ask(path="/ping")) == ALLOWED
        server.write_policy(POLICY.replace("path: /ping", "path: /pong"))
        seconds_of_patience(lambda: outcome_of(server.ask(path="/pong")) == ALLOWED)
        assert outcome_of(server.ask(path="/ping")) == (403, "no_resource")


def test_a_swapped_link_is_noticed(tmp_path: Path) -> None:
    """The way in which Kubernetes replaces a mounted ConfigMap."""
    for name, text in (("one", POLICY), ("two", POLICY.replace("path: /ping", "path: /pong"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(text)
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "policy.yaml").symlink_to("../data/policy.yaml")
    with running(tmp_path, policy_paths=[str(tmp_path / "mounted")]) as server:
        assert outcome_of(server.ask(path="/ping")) == ALLOWED
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").replace(tmp_path / "data")
        seconds_of_patience(lambda: outcome_of(server.ask(path="/pong")) == ALLOWED)
