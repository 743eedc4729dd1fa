"""The clusters that Envoy is given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from extauthz.cli.main import app
from extauthz.config.settings import Settings
from extauthz.processes.clusters import to_clusters

if TYPE_CHECKING:
    from pathlib import Path

TLS = {"certificate": "c.pem", "key": "k.pem"}


def clusters(*listeners: dict[str, Any], workers: int = 2) -> list[dict[str, Any]]:
    """Return the clusters for these listeners."""
    document = {"policy": ["p"], "listeners": listeners, "server": {"workers": workers}}
    return to_clusters(Settings.model_validate(document))


def places(cluster: dict[str, Any]) -> list[Any]:
    """Return the addresses of a cluster."""
    (locality,) = cluster["load_assignment"]["endpoints"]
    return [endpoint["endpoint"]["address"] for endpoint in locality["lb_endpoints"]]


def test_every_worker_is_an_endpoint() -> None:
    """By address, by socket, and by name; a listener is a cluster."""
    one, other, named = clusters(
        {"address": "127.0.0.1:9191"}, {"address": "unix:/run/x/check.sock"}, {"address": "authz.internal:9300"}
    )
    assert places(one) == [{"socket_address": {"address": "127.0.0.1", "port_value": port}} for port in (9191, 9192)]
    assert places(other) == [{"pipe": {"path": f"/run/x/check-{worker}.sock"}} for worker in (0, 1)]
    assert [cluster["name"] for cluster in (one, other, named)] == ["extauthz", "extauthz-2", "extauthz-3"]
    assert [cluster["type"] for cluster in (one, other, named)] == ["STATIC", "STATIC", "STRICT_DNS"]
    assert {cluster["lb_policy"] for cluster in (one, other, named)} == {"LEAST_REQUEST"}


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_is_spoken_where_the_listener_has_it(mutual: bool) -> None:
    """With a client certificate where one is asked for."""
    plain, secured = clusters(
        {"address": "127.0.0.1:9191"},
        {"address": "127.0.0.1:9300", "tls": TLS | ({"client_ca": "ca.pem"} if mutual else {})},
    )
    assert "transport_socket" not in plain
    context = secured["transport_socket"]["typed_config"]["common_tls_context"]
    assert ("tls_certificates" in context, "validation_context" in context) == (mutual, True)


def test_the_command_line_prints_them(tmp_path: Path) -> None:
    """As YAML to be pasted; endpoints that meet are told with their fix."""
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"policy": ["p"], "server": {"workers": 3}}))
    printed = CliRunner().invoke(app, ["config", "--envoy", "--config", str(settings)])
    assert printed.exit_code == 0
    (cluster,) = yaml.safe_load(printed.output)["clusters"]
    assert len(places(cluster)) == 3
    settings.write_text(json.dumps({"policy": ["p"], "server": {"workers": 3}, "telemetry": {"metrics": "a:65535"}}))
    refused = CliRunner().invoke(app, ["config", "--envoy", "--config", str(settings)])
    assert refused.exit_code == 2
