"""Where record lines go: a file that only grows, or standard output. Blocking I/O; only the writer's thread calls it.

The rule is that no line is torn or written twice where the operating system lets us know: `append` says how far it got,
and what is left of a line after a failure is taken back from a file before anything else is written to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from pathlib import Path

_MODE: Final = 0o640
_STDOUT: Final = 1


class LineTarget(Protocol):
    """A place for lines."""

    def append(self, lines: memoryview) -> int:
        """Write some of `lines` and return how many bytes were taken.

        Raises:
            OSError: nothing of `lines` was taken.
        """
        ...

    def recover(self, torn: int) -> bool:
        """Prepare for another attempt after a failure.

        Args:
            torn: bytes of an unfinished line that were written last.

        Returns:
            Whether that line has to be written again from its start; otherwise from where it stopped.
        """
        ...

    def reopen(self) -> None:
        """Open the place by its name again; when that fails, go on with what is open.

        Raises:
            OSError: it cannot be opened now.
        """
        ...

    def close(self) -> None:
        """Give the place back."""
        ...


class StdoutTarget:
    """Standard output. It cannot be reopened and takes nothing back, so a line goes on where it stopped.

    Args:
        turn: descriptor of a file that all processes on this standard output share; whoever has locked it writes. A
            pipe takes more than 4 KiB in pieces, between which another process's lines could come.
    """

    def __init__(self, turn: int | None = None) -> None:
        self._descriptor = os.dup(_STDOUT)
        self._turn = turn

    def append(self, lines: memoryview) -> int:
        """Write some of `lines`, return how many bytes were taken; all of them where others write too."""
        if self._turn is None:
            return os.write(self._descriptor, lines)
        fcntl.lockf(self._turn, fcntl.LOCK_EX)  # Ends with the process too, however that ends.
        try:
            return self._append_all(lines)
        finally:
            fcntl.lockf(self._turn, fcntl.LOCK_UN)

    def recover(self, torn: int) -> bool:  # noqa: ARG002 — the protocol's argument
        """Return False: the line goes on where it stopped."""
        return False

    def reopen(self) -> None:
        """Do nothing: whoever started us owns standard output."""

    def close(self) -> None:
        """Close our copy of the descriptor."""
        os.close(self._descriptor)

    def _append_all(self, lines: memoryview) -> int:
        done = os.write(self._descriptor, lines)
        while done < len(lines):
            try:
                done += os.write(self._descriptor, lines[done:])
            except OSError:
                break  # The next attempt goes on from here, and says what is wrong.
        return done


class FileTarget:
    """A file that is opened for appending, and opened anew after a failure or a rotation.

    No other process may write to it: taking back an unfinished line cuts the file's end off.

    Args:
        path: the file; created with mode 0640, its folder must exist.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._open()

    def append(self, lines: memoryview) -> int:
        """Write some of `lines`, return how many bytes were taken."""
        return os.write(self._descriptor, lines)

    def recover(self, torn: int) -> bool:
        """Take the unfinished line back and open the path anew; return whether the line starts again.

        It does, unless it could neither be taken back nor another file be opened. A file that is opened with an
        unfinished line gets a newline first, so that the piece spoils no other line.
        """
        again = not torn or self._took_back(torn)
        with contextlib.suppress(OSError):
            self.reopen()
            again = True
        return again

    def reopen(self) -> None:
        """Open the path anew; when that fails, go on with the file that is open.

        Raises:
            OSError: it cannot be opened now.
        """
        descriptor = self._open()
        os.close(self._descriptor)
        self._descriptor = descriptor

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _open(self) -> int:
        # Reading is needed for the last byte only. O_RDWR also keeps a named pipe from blocking us until it is read.
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            _finish_last_line(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _took_back(self, torn: int) -> bool:
        try:
            state = os.fstat(self._descriptor)
            os.ftruncate(self._descriptor, state.st_size - torn)
        except OSError:  # Not a regular file, or a file system that is gone.
            return False
        return True


def _finish_last_line(descriptor: int) -> None:
    """End a line that a killed process or a power cut left unfinished, so that ours start on their own."""
    state = os.fstat(descriptor)
    if stat.S_ISREG(state.st_mode) and state.st_size and os.pread(descriptor, 1, state.st_size - 1) != b"\n":
        os.write(descriptor, b"\n")
