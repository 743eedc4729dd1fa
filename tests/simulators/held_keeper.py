"""A server whose keeper starts only when a test lets it: run instead of the product's child.

While the file that `HOLD` names is there, a keeper that was started does not come up; everybody else does.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extauthz.processes import child

if TYPE_CHECKING:
    from extauthz.processes.handover import Handover
    from extauthz.processes.part import Part

HOLD: Final = "HELD_KEEPER_FILE"
"""Variable of the environment."""

_TURN_SECONDS: Final = 0.02

_make_part = child._make_part


def _make_when_let(handover: Handover) -> Part:
    while handover.kind == "keeper" and Path(os.environ[HOLD]).exists():
        threading.Event().wait(_TURN_SECONDS)
    return _make_part(handover)


if __name__ == "__main__":
    os._exit(child.main(_make_when_let))
