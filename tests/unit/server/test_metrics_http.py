"""The small HTTP server for machines that look after us."""

from __future__ import annotations

import http.client
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from extauthz.errors import ConfigError
from extauthz.server.metrics_http import MetricsServer, Readiness

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def serving(state: Readiness, address: str = "127.0.0.1:0") -> Iterator[MetricsServer]:
    """Yield a running server."""
    server = MetricsServer(address, lambda: b"some_metric 1\n", lambda: state)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def get(server: MetricsServer, path: str, method: str = "GET") -> tuple[int, str]:
    """Return status and body."""
    host, _, port = server.address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=20)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_metrics_and_life_are_told(address: str) -> None:
    """On IPv4 and IPv6; a query does not matter."""
    with serving(Readiness(ready=False), address) as server:
        assert get(server, "/metrics?x=1") == (200, "some_metric 1\n")
        assert get(server, "/livez") == get(server, "/healthz") == (200, "alive\n")


def test_readiness_tells_what_is_missing() -> None:
    """503 until we answer on the merits; an issuer that is away is named, but others are served."""
    with serving(Readiness(ready=False, why_not="no policy is in force")) as server:
        status, body = get(server, "/readyz")
        assert (status, json.loads(body)["why_not"]) == (503, "no policy is in force")
    with serving(Readiness(ready=True, unavailable_issuers=("https://i",), silent_streams=("idp",))) as server:
        status, body = get(server, "/readyz")
        assert (status, json.loads(body)["unavailable_issuers"]) == (200, ["https://i"])
        assert json.loads(body)["silent_streams"] == ["idp"]


def test_anything_else_is_not_there() -> None:
    """Paths and methods."""
    with serving(Readiness(ready=True)) as server:
        assert get(server, "/")[0] == 404
        assert get(server, "/metrics", "POST")[0] == 501


def test_wrong_addresses_are_refused() -> None:
    """Unix sockets, and ports that are taken."""
    with pytest.raises(ConfigError, match="not a TCP address"):
        MetricsServer("unix:/x", lambda: b"", lambda: Readiness(ready=True))
    with serving(Readiness(ready=True)) as server, pytest.raises(ConfigError, match="cannot listen on"):
        MetricsServer(server.address, lambda: b"", lambda: Readiness(ready=True))


def test_a_server_that_never_started_can_be_stopped() -> None:
    """A start that failed halfway stops everything."""
    MetricsServer("127.0.0.1:0", lambda: b"", lambda: Readiness(ready=True)).stop()
