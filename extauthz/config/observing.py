"""Settings of observing instead of enforcing, which must mean what they say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from extauthz.config.settings import Settings

_HOST: Final = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*(:[0-9]{1,5})?|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?", re.ASCII)
"""A host, or a pattern of hosts; what is none would match nothing, and so be enforced nowhere."""


def require_observing_fits(settings: Settings) -> None:
    """Refuse hosts that are none, and lists of what is enforced where everything is.

    Raises:
        ValueError: there are some.
    """
    for host in settings.enforced_hosts:
        if _HOST.fullmatch(host) is None:
            message = f"enforced_hosts: {host!r} is no host; write a name, or `*.example.com`"
            raise ValueError(message)
    for name in ("enforced_hosts", "enforced_namespaces"):
        if getattr(settings, name) and settings.mode == "enforce":
            message = f"{name}: everything is enforced with `mode: enforce`; remove them, or set `mode: observe`"
            raise ValueError(message)
