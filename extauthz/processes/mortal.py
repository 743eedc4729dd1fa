"""A child never outlives its supervisor, however that ends, and however stuck the child is."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Final, NoReturn

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2): the signal that the kernel sends us when our parent dies. SIGKILL, since it ends a stopped process too."""


def die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends; end it now when that has happened already.

    On other systems than Linux the closed channel has to tell, which a process that is stuck does not hear.

    Args:
        parent: process id of the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        die()


def die() -> NoReturn:
    """End this process at once: there is nobody left to work for, or nothing left to trust."""
    os._exit(os.EX_SOFTWARE)
