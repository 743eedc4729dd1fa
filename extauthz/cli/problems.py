"""How the command line tells about files that their author must mend: one line each, and exit code 2."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TypeVar

from extauthz.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_CONFIG: Final = 2
"""Exit code when the settings are wrong; the same as for a wrong command line."""

Result = TypeVar("Result")


def or_exit(step: Callable[[], Result]) -> Result:
    """Return what `step` returns; on a `FileError` print its problems on standard error and exit.

    Raises:
        SystemExit: with `EXIT_CONFIG`.
    """
    try:
        return step()
    except FileError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        raise SystemExit(EXIT_CONFIG) from None
