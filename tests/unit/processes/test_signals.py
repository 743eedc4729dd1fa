"""What being a process takes: here the garbage collector, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

KEEPING = """
import gc, json, sys
from extauthz.processes.signals import calm_collector

decisions, objects = map(int, sys.argv[1:])
calm_collector(decisions)
looked_at = []

def note(phase, info):
    if phase == "start":
        looked_at.append(sum(len(gc.get_objects(number)) for number in range(info["generation"] + 1)))

gc.callbacks.append(note)
kept = [[number] for number in range(objects)]
print(json.dumps([len(looked_at), max(looked_at), gc.get_freeze_count()]))
"""


@pytest.mark.parametrize(("decisions", "objects"), [(10_000, 200_000), (0, 200_000), (60_000, 1_200_000)])
def test_the_collector_never_looks_at_many_objects_at_once(decisions: int, objects: int) -> None:
    """A look halts every decision; what was there at the beginning, and what has outlived a look, is left alone."""
    command = [sys.executable, "-c", KEEPING, str(decisions), str(objects)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    looks, most, frozen = json.loads(done.stdout)
    assert looks >= objects / 6_000
    assert most < 6_000
    assert frozen > 1_000


def test_what_outlives_a_look_is_looked_at_in_the_end() -> None:
    """What the cache cannot account for may be garbage."""
    command = [sys.executable, "-c", KEEPING, "0", "1200000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)[1] > 900_000
