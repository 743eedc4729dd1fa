"""Child processes of the demo."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from extauthz.demo.child import Child, ChildFailedError

if TYPE_CHECKING:
    from pathlib import Path

WAIT = "import threading; print('hello', flush=True); threading.Event().wait()"


def python(code: str, folder: Path) -> Child:
    """Return a child that runs `code`."""
    return Child("the child", [sys.executable, "-c", code], folder / "child.log", os.environ)


def test_child_is_ready_when_it_says_so_and_ends_when_told(tmp_path: Path) -> None:
    """`start` returns once ready; `stop` ends the process and tells its exit code."""
    child = python(WAIT, tmp_path)
    child.start(lambda: "hello" in child.read_log(), within=20)
    assert child.pid > 0
    assert child.stop() == -15


def test_child_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    """A process that fails to start is an error that shows what it printed."""
    child = python("raise SystemExit('no such policy')", tmp_path)
    with pytest.raises(ChildFailedError, match=r"(?s)the child ended at once.*no such policy"):
        child.start(lambda: False, within=20)


def test_child_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    """Waiting is bounded, and nothing is left running."""
    child = python(WAIT, tmp_path)
    with pytest.raises(ChildFailedError, match=r"was not ready within 0\.05 s"):
        child.start(lambda: False, within=0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_child_that_was_not_started(tmp_path: Path) -> None:
    """Stopping what never ran is fine; asking for its process id is not."""
    child = python(WAIT, tmp_path)
    assert child.stop() is None
    assert child.read_log() == ""
    with pytest.raises(ChildFailedError):
        _ = child.pid
