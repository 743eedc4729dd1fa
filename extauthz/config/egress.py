"""Settings of the way out: which hosts may be called, and how."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from extauthz.config.section import Section

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
"""A name or an address in lower case, without brackets, port and final dot."""


def _host(value: str) -> str:
    if _HOST.fullmatch(value) is None or (value.count(":") == 1):
        message = "write only the name in lower case, for example www.example.com"
        raise ValueError(message)
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        message = "not a network; write for example 10.0.0.0/8 or fd00::/8"
        raise ValueError(message) from None


def _proxy(value: str) -> str:
    host, colon, port = value.removeprefix("http://").rpartition(":")
    if not (value.startswith("http://") and colon and port.isdecimal() and host.strip("[]")) or set(host) & set("/@?#"):
        message = "write it as http://HOST:PORT, without a user or a path"
        raise ValueError(message)
    return value


class EgressSettings(Section):
    """The way out for everything that is fetched: keys, introspection, status lists."""

    hosts: tuple[Annotated[str, AfterValidator(_host)], ...] = Field(
        default=(),
        description="Hosts that may be called besides those of the configured issuers and URLs, for example where a "
        "discovery document leads. Exact names, lower case, without a port.",
    )
    private_networks: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        default=(),
        description="Networks whose addresses may be called although they are not public (CIDR). Link-local, multicast "
        "and metadata addresses are refused all the same.",
    )
    proxy: Annotated[str, AfterValidator(_proxy)] | None = Field(
        default=None,
        description="`http://HOST:PORT` of a proxy for every call beyond loopback; the proxy then resolves names, so "
        "addresses are its affair. Proxies of the environment are never used.",
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file: authorities that servers are verified by, instead of the system's."
    )
