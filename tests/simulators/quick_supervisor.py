"""`extauthz serve` with workers and little patience: `python -m tests.simulators.quick_supervisor SETTINGS [PROGRAM]`.

PROGRAM is the module that children run instead of the product's.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from extauthz.cli.problems import or_exit
from extauthz.clock import SystemClock
from extauthz.config.load import load_settings
from extauthz.processes.supervisor import Supervisor, supervise
from extauthz.processes.ward import PROGRAM, Pace

QUICK = Pace(ping_every=0.1, patience=6.0, first_pause=0.05, longest_pause=1.0, steady_after=5.0)


def main(settings: str, program: str = PROGRAM) -> int:
    """Serve until told to stop."""
    make = partial(Supervisor, pace=QUICK, program=program)
    return or_exit(lambda: supervise(load_settings(Path(settings)), SystemClock(), os.environ, make))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
