"""What keeps a process's view of the state file in step with the others: its locks, which are easily lost."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from extauthz.state.held import HeldConnection
from extauthz.state.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

ANOTHER = """\
import sys
from pathlib import Path
from extauthz.state.store import open_store
open_store(Path(sys.argv[1]))
"""


def log_survives(path: Path, *, careless: bool) -> bool:
    """Return whether the write-ahead log is the same after another process has come and gone.

    Args:
        path: where the state file shall be.
        careless: open and close the file by other means than SQLite first.
    """
    open_store(path)
    first, second = HeldConnection(path, wait=1), HeldConnection(path, wait=1)
    for held in (first, second):
        held.get()[0].execute("SELECT count(*) FROM meta").fetchall()
    log = path.with_name(f"{path.name}-wal")
    before = log.stat().st_ino
    if careless:
        path.read_bytes()
    subprocess.run([sys.executable, "-c", ANOTHER, str(path)], check=True, timeout=30)
    survives = log.exists() and log.stat().st_ino == before
    for held in (first, second):
        held.drop()
    return survives


def test_another_process_that_comes_and_goes_leaves_the_log(tmp_path: Path) -> None:
    """Or what we commit afterwards would be seen by nobody."""
    assert log_survives(tmp_path / "state.db", careless=False)


def test_a_file_that_is_opened_and_closed_loses_it(tmp_path: Path) -> None:
    """The negative control: closing any descriptor of a file gives up all locks that the process has on it."""
    assert not log_survives(tmp_path / "state.db", careless=True)
