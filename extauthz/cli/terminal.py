"""Where commands write for people: colours on terminals only, no line is broken where it goes to a file."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

_FILE_WIDTH: Final = 10_000
"""Columns where nobody's terminal says how many there are; long lines stay one line."""


def terminal(*, errors: bool = False) -> Console:
    """Return the console of standard output, or of standard error."""
    from rich.console import Console  # noqa: PLC0415 — loaded only when something is shown

    stream = sys.stderr if errors else sys.stdout
    width = None if stream.isatty() else _FILE_WIDTH
    colours = "NO_COLOR" not in os.environ
    return Console(file=stream, width=width, highlight=False, no_color=not colours, soft_wrap=True)
