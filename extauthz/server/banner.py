"""What a person reads on standard error when the server starts: what runs, and loudly what weakens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz import __version__
from extauthz.config.insecure import cautions, weakenings

if TYPE_CHECKING:
    from extauthz.config.settings import ListenerSettings, Settings
    from extauthz.policy.ruleset import Ruleset
    from extauthz.server.engine import Engine


def banner(settings: Settings, engine: Engine, metrics: str | None, ruleset: Ruleset | None) -> str:
    """Return the lines to print.

    Args:
        settings: in force.
        engine: that serves, with its addresses bound.
        metrics: bound address of the metrics, None when they are off.
        ruleset: in force; None when the policy was kept out.
    """
    lines = [f"extauthz {__version__}"]
    for address, listener in zip(engine.addresses, settings.listeners, strict=True):
        lines.append(f"  listening  {address} ({_protection(listener)})")
    lines.append(f"  engine     {engine.name}")
    lines.append(f"  policy     {_policy(ruleset)}")
    lines.append(f"  proxies    {', '.join(proxy.name for proxy in settings.proxies) or 'none'}")
    lines.append(f"  issuers    {', '.join(issuer.issuer for issuer in settings.issuers) or 'none'}")
    lines.append(f"  records    {'standard output' if settings.records.path == '-' else settings.records.path}")
    lines.append(f"  metrics    {f'http://{metrics}/metrics' if metrics else 'off'}")
    lines += [f"  WEAKENED   {sentence}" for sentence in weakenings(settings)]
    lines += [f"  note       {sentence}" for sentence in cautions(settings)]
    return "\n".join(lines) + "\n"


def _protection(listener: ListenerSettings) -> str:
    if listener.tls is None:
        return "plaintext"
    return "mTLS" if listener.tls.client_ca is not None else "TLS"


def _policy(ruleset: Ruleset | None) -> str:
    if ruleset is None:
        return "NONE: everything is denied until the problems above are mended"
    return f"{ruleset.revision} ({ruleset.counts})"
