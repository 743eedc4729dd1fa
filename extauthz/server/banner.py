"""What a person reads on standard error when the server starts: what runs, and loudly what weakens it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extauthz import __version__
from extauthz.config.insecure import cautions, weakenings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.config.settings import ListenerSettings, Settings
    from extauthz.policy.ruleset import Ruleset


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A process that answers questions.

    Attributes:
        name: which of several; empty for the only one.
        addresses: bound, in the order of the listeners.
        engine: which gRPC engine serves.
        policy: which policy is in force; see `name_policy`.
    """

    name: str = ""
    addresses: tuple[str, ...]
    engine: str
    policy: str


def banner(settings: Settings, serving: Sequence[Serving], metrics: str | None) -> str:
    """Return the lines to print.

    Args:
        settings: in force.
        serving: who answers questions.
        metrics: bound address of the metrics, None when they are off.
    """
    lines = [f"extauthz {__version__}"]
    for each in serving:
        for address, listener in zip(each.addresses, settings.listeners, strict=True):
            lines.append(f"  listening  {address} ({_protection(listener)}{each.name and f', {each.name}'})")
    lines += [f"  engine     {engine}" for engine in dict.fromkeys(each.engine for each in serving)]
    lines += [f"  policy     {policy}" for policy in dict.fromkeys(each.policy for each in serving)]
    lines.append(f"  proxies    {', '.join(proxy.name for proxy in settings.proxies) or 'none'}")
    lines.append(f"  issuers    {', '.join(issuer.issuer for issuer in settings.issuers) or 'none'}")
    lines.append(f"  records    {_records(settings)}")
    lines.append(f"  metrics    {f'http://{metrics}/metrics' if metrics else 'off'}")
    lines += [f"  WEAKENED   {sentence}" for sentence in weakenings(settings)]
    lines += [f"  note       {sentence}" for sentence in cautions(settings)]
    return "\n".join(lines) + "\n"


def name_policy(ruleset: Ruleset | None) -> str:
    """Return what people are told about the policy in force; None when it was kept out."""
    if ruleset is None:
        return "NONE: everything is denied until the problems above are mended"
    return f"{ruleset.revision} ({ruleset.counts})"


def _records(settings: Settings) -> str:
    if settings.records.path == "-":
        return "standard output"
    return f"{settings.records.path}{', a file for each worker' if settings.server.workers else ''}"


def _protection(listener: ListenerSettings) -> str:
    if listener.tls is None:
        return "plaintext"
    return "mTLS" if listener.tls.client_ca is not None else "TLS"
