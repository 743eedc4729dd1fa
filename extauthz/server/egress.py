"""Settings → the way out: which hosts, which networks, which authorities."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from extauthz.errors import ConfigError, Problem
from extauthz.server.fetch import Egress, EgressRules, host_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.clock import Clock
    from extauthz.config.egress import EgressSettings
    from extauthz.config.issuers import IssuerSettings
    from extauthz.config.settings import Settings
    from extauthz.config.signals import StreamSettings


def egress_of(settings: Settings, clock: Clock, others: frozenset[str] = frozenset()) -> Egress:
    """Return the one way out; `others` are hosts that may be called besides those that the settings name.

    Raises:
        ConfigError: the file with authorities cannot be used.
    """
    rules = rules_of(settings)
    return Egress(clock, replace(rules, hosts=rules.hosts | others), _tls_of(settings.egress))


def rules_of(settings: Settings) -> EgressRules:
    """Return what may be called: the hosts that the settings name anywhere, and nothing else."""
    egress = settings.egress
    urls = [url for issuer in settings.issuers for url in _urls_of(issuer)]
    urls += [url for stream in settings.signals.streams for url in _urls_of_stream(stream)]
    urls += [point.url for point in settings.decision_points.values()]
    proxy = None
    if egress.proxy is not None:
        host, _, port = egress.proxy.removeprefix("http://").rpartition(":")
        proxy = (host.strip("[]"), int(port))
    return EgressRules(
        hosts=frozenset({*(name.lower() for name in egress.hosts), *(host for url in urls for host in hosts_of(url))}),
        networks=tuple(ipaddress.ip_network(network) for network in egress.private_networks),
        proxy=proxy,
    )


def _urls_of(issuer: IssuerSettings) -> Iterator[str]:
    if issuer.keys is not None and issuer.keys.url is not None:
        yield issuer.keys.url
    asked = issuer.introspection
    if asked is not None and asked.endpoint is not None:
        yield asked.endpoint
    if (issuer.keys is not None and issuer.keys.discovery) or (asked is not None and asked.discovery):
        yield issuer.issuer
    if issuer.status_list is not None:
        yield from issuer.status_list.uris


def _urls_of_stream(stream: StreamSettings) -> Iterator[str]:
    if stream.keys.url is not None:
        yield stream.keys.url
    if stream.keys.discovery or stream.verify_every is not None:
        yield stream.issuer
    if stream.poll is not None:
        yield stream.poll.url


def hosts_of(url: str) -> Iterator[str]:
    """Yield the host of a URL; nothing when there is none, since it cannot be called then."""
    try:
        target = parse_url(url)
    except LocationParseError:
        return
    if target.host:
        yield host_of(target)


def _tls_of(egress: EgressSettings) -> ssl.SSLContext | None:
    if egress.ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(egress.ca_file))
    except (OSError, ssl.SSLError) as error:
        message = f"the authorities cannot be read ({type(error).__name__})"
        raise ConfigError([Problem(str(egress.ca_file), 0, 0, message, "give a PEM file in egress.ca_file")]) from error
