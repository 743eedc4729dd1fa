"""The clusters by which Envoy reaches every worker, from the settings: to be pasted, so that none is forgotten."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

import yaml

from extauthz.processes.endpoints import find_endpoints

if TYPE_CHECKING:
    from extauthz.config.settings import ListenerSettings, Settings
    from extauthz.server.listen import Address

_HTTP: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TLS: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"

_HEADING: Final = """\
# Clusters for Envoy, one for each listener of extauthz and in it an endpoint for each of its workers.
# Name one of them in the ext_authz filter: grpc_service: {envoy_grpc: {cluster_name: extauthz}}.
"""


def to_clusters(settings: Settings) -> list[dict[str, Any]]:
    """Return the clusters as Envoy's static resources have them.

    Raises:
        ConfigError: an address is wrong, or two workers would share one.
    """
    return [
        _cluster("extauthz" if position == 0 else f"extauthz-{position + 1}", listener, addresses)
        for position, (listener, addresses) in enumerate(zip(settings.listeners, find_endpoints(settings), strict=True))
    ]


def to_clusters_page(settings: Settings) -> str:
    """Return the clusters as YAML.

    Raises:
        ConfigError: as `to_clusters`.
    """
    return _HEADING + yaml.safe_dump({"clusters": to_clusters(settings)}, sort_keys=False, width=120)


def _cluster(name: str, listener: ListenerSettings, addresses: tuple[Address, ...]) -> dict[str, Any]:
    numeric = all(address.path is not None or _is_numeric(address.host) for address in addresses)
    cluster: dict[str, Any] = {
        "name": name,
        "type": "STATIC" if numeric else "STRICT_DNS",
        "lb_policy": "LEAST_REQUEST",  # A worker that is slow for a moment gets less.
        "connect_timeout": "0.25s",
        "typed_extension_protocol_options": {
            _HTTP: {
                "@type": f"type.googleapis.com/{_HTTP}",
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}
                },
            }
        },
        "circuit_breakers": {
            "thresholds": [{"max_connections": 64, "max_pending_requests": 256, "max_requests": 1024, "max_retries": 0}]
        },
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "5s",
                "no_traffic_interval": "5s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "grpc_health_check": {"service_name": "envoy.service.auth.v3.Authorization"},
            }
        ],
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _place(address)}} for address in addresses]}],
        },
    }
    if listener.tls is not None:
        cluster["transport_socket"] = _transport(mutual=listener.tls.client_ca is not None)
    return cluster


def _place(address: Address) -> dict[str, Any]:
    if address.path is not None:
        return {"pipe": {"path": str(address.path)}}
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def _transport(*, mutual: bool) -> dict[str, Any]:
    """Return TLS towards extauthz; the files are where `envoy/` has them."""
    folder = "/etc/envoy/tls"
    context: dict[str, Any] = {"validation_context": {"trusted_ca": {"filename": f"{folder}/extauthz-ca.pem"}}}
    if mutual:
        own = {name: {"filename": f"{folder}/envoy-{name}.pem"} for name in ("certificate_chain", "private_key")}
        context["tls_certificates"] = [own]
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": _TLS, "common_tls_context": context},
    }


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
