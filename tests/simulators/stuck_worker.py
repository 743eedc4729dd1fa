"""A worker in which whoever decides about the path `/stuck` never comes back: run instead of the product's child."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from extauthz.processes import child
from extauthz.server.check import Checker

if TYPE_CHECKING:
    from extauthz.request.bounds import Proxy
    from extauthz.server.engine import Pending

_decide = Checker.try_check


def _hang(self: Checker, raw: bytes, proxy: Proxy | None, **rest: Any) -> bytes | Pending:
    if b"/stuck" in raw:
        threading.Event().wait()
    return _decide(self, raw, proxy, **rest)


if __name__ == "__main__":
    Checker.try_check = _hang  # type: ignore[method-assign] # the fault that is simulated
    os._exit(child.main())
