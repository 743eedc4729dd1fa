"""Asking a running server how it is."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from typer.testing import CliRunner

from extauthz.cli.health import health_app
from extauthz.demo.issuer import Issuer
from extauthz.server.probe import CHECK_SERVICE, find_health

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def reporter() -> Iterator[tuple[health.HealthServicer, str]]:
    """Run a gRPC server with the standard health service."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.mark.parametrize(("status", "found"), [(SERVING, "SERVING"), (NOT_SERVING, "NOT_SERVING")])
def test_health_is_what_the_server_says(reporter: tuple[health.HealthServicer, str], status: int, found: str) -> None:
    """The probe reports the Check service's own status."""
    servicer, address = reporter
    servicer.set(CHECK_SERVICE, status)
    assert find_health(address, 5) == found


def test_server_without_the_service_is_not_serving_it(reporter: tuple[health.HealthServicer, str]) -> None:
    """A server that knows nothing of the Check service is some other server."""
    assert find_health(reporter[1], 5) == "NOT_FOUND"


def test_nobody_there() -> None:
    """No listener, over gRPC and over HTTP, is told apart from a server that is not ready."""
    assert find_health("127.0.0.1:1", 1) == "UNREACHABLE"
    assert find_health("http://127.0.0.1:1/", 1) == "UNREACHABLE"


def test_http_health_is_a_200() -> None:
    """An HTTP server is healthy when it answers 200, and only then."""
    with Issuer() as issuer:
        assert find_health(f"{issuer.url}/healthz", 5) == "SERVING"
        assert find_health(f"{issuer.url}/nothing", 5) == "HTTP 404"


def test_command_exits_by_health() -> None:
    """`extauthz health` prints what it found and exits with 0 only for SERVING."""
    runner = CliRunner()
    with Issuer() as issuer:
        good = runner.invoke(health_app, [f"{issuer.url}/healthz"])
        bad = runner.invoke(health_app, [f"{issuer.url}/nothing"])
    assert (good.exit_code, good.output.strip()) == (0, "SERVING")
    assert (bad.exit_code, bad.output.strip()) == (1, "HTTP 404")
