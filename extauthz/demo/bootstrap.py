"""Turns a file of `envoy/` into the bootstrap of one demo or test run: other addresses and paths, every setting kept.

No I/O. What is moved: where Envoy listens, where its clusters are, where its TLS files and its access log lie.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TLS_FOLDER: Final = "/etc/envoy/tls/"
"""Where the files of `envoy/` expect certificates."""

_FILE_LOG: Final = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
_STDOUT_LOG: Final = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
_EXT_AUTHZ: Final = "envoy.filters.http.ext_authz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where things are in this run; everything on loopback.

    Attributes:
        listener: port of Envoy's listener, 0 for any free one.
        admin: port of Envoy's admin interface, 0 for any free one.
        clusters: port of each cluster by name; each cluster of the file must be named.
        access_log: file for what the bootstrap logs to standard output.
        tls: folder with the files that the bootstrap expects in `TLS_FOLDER`; None where it has no TLS.
    """

    listener: int = 0
    admin: int = 0
    clusters: Mapping[str, int] = field(default_factory=dict)
    access_log: Path
    tls: Path | None = None


def adapt(bootstrap: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Return a copy of `bootstrap` with its addresses and paths moved to `places`.

    Raises:
        KeyError: the bootstrap lacks a listener, an admin interface or a cluster's endpoint, or has a cluster that
            `places` does not name.
    """
    moved = copy.deepcopy(dict(bootstrap))
    _move_address(moved["admin"], places.admin)
    for listener in moved["static_resources"]["listeners"]:
        _move_address(listener, places.listener)
    for cluster in moved["static_resources"]["clusters"]:
        port = places.clusters[cluster["name"]]
        for locality in cluster["load_assignment"]["endpoints"]:
            for endpoint in locality["lb_endpoints"]:
                _move_address(endpoint["endpoint"], port)
    _move_paths(moved, places)
    return moved


def find_ext_authz(bootstrap: Mapping[str, Any]) -> dict[str, Any]:
    """Return the (live) settings of the ext_authz filter.

    Raises:
        LookupError: there is none.
    """
    for filter_ in find_connection_manager(bootstrap)["http_filters"]:
        if filter_["name"] == _EXT_AUTHZ:
            settings: dict[str, Any] = filter_["typed_config"]
            return settings
    raise LookupError(_EXT_AUTHZ)


def find_connection_manager(bootstrap: Mapping[str, Any]) -> dict[str, Any]:
    """Return the (live) settings of the first listener's connection manager."""
    chain = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]
    settings: dict[str, Any] = chain["filters"][0]["typed_config"]
    return settings


def uses_tls(bootstrap: Mapping[str, Any]) -> bool:
    """Return whether the first listener speaks TLS."""
    return "transport_socket" in bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]


def _move_address(holder: dict[str, Any], port: int) -> None:
    holder["address"] = {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _move_paths(part: Any, places: Places) -> None:
    if isinstance(part, list):
        for item in part:
            _move_paths(item, places)
        return
    if not isinstance(part, dict):
        return
    if part.get("@type") == _STDOUT_LOG:
        part.update({"@type": _FILE_LOG, "path": str(places.access_log)})
    filename = part.get("filename")
    if places.tls is not None and isinstance(filename, str) and filename.startswith(TLS_FOLDER):
        part["filename"] = str(places.tls / filename.removeprefix(TLS_FOLDER))
    for item in part.values():
        _move_paths(item, places)
