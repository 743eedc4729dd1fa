"""A worker that never notices that a fact has changed: the negative control of what must not be stale."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from extauthz.processes import child
from extauthz.server.epochs import Epochs

if TYPE_CHECKING:
    from extauthz.model.state import StateName


def _unchanged(self: Epochs, names: tuple[StateName, ...]) -> tuple[int, ...]:
    del self
    return (0,) * len(names)


if __name__ == "__main__":
    Epochs.read_epochs = _unchanged  # type: ignore[method-assign] # the fault that is simulated
    os._exit(child.main())
