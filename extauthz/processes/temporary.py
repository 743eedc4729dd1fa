"""`state: {memory: true}`: a state file like any other, in a folder that goes with the process."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.config.settings import Settings


@contextmanager
def with_state_file(settings: Settings) -> Iterator[Settings]:
    """Yield the settings with a state file that all processes can open, whatever they say about memory.

    A file of this kind is gone afterwards, unless we are killed: then the folder stays, readable by us alone.
    """
    state = settings.state
    if state is None or state.path is not None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="extauthz-state-") as folder:
        kept = state.model_copy(update={"path": Path(folder) / "state.db", "memory": False})
        yield settings.model_copy(update={"state": kept})
