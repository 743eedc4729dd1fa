"""Signals of a process that has no supervisor over it, and its garbage collector: what being a process takes."""

from __future__ import annotations

import gc
import signal
from queue import SimpleQueue
from typing import Final

_YOUNG_OBJECTS: Final = 5_000
"""Objects made and not freed before the collector looks; the default of 700 is reached by a handful of decisions.

A look halts every decision: for so many a millisecond or two, because they still are in the processor's caches. Kept
decisions add up to ten times as many soon, and a look at those took 20 to 100 milliseconds."""

_LOOKS: Final = 200
"""Looks at young objects, at least, before one at all that outlived theirs: a million, for a third of a second."""

_OBJECTS_KEPT: Final = 25
"""Objects of a kept decision, and some to spare."""


def receive_signals() -> SimpleQueue[int]:
    """Return a queue of SIGTERM, SIGINT and SIGHUP as they arrive from now on.

    A handler runs in the middle of whatever the main thread does; putting into this kind of queue is the one thing that
    is safe there, where an event or a lock could wait for itself.
    """
    received: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: received.put(number))
    return received


def end_at_the_next() -> None:
    """Let a further SIGTERM or SIGINT end the process at once."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def calm_collector(kept: int) -> None:
    """Have the garbage collector leave alone what stays, and look at little at a time.

    Everything loaded by now (modules, policy, models) lives as long as the process; frozen, it is not walked again and
    again. Deciding makes many objects and no cycles, so reference counts free them; the collector is for the rest.

    Args:
        kept: decisions that will be kept at most; for them alone it shall not look at what has outlived a look.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, max(_LOOKS, kept * _OBJECTS_KEPT // _YOUNG_OBJECTS), 50)
