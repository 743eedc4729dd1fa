"""What a process and its children use, read from `/proc`."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """Return `pid` and all its descendants that live."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time that `pid` and its descendants have used so far, ended and awaited ones included."""
    ticks = 0
    for one in family(pid):
        if fields := _stat(one):
            ticks += sum(int(value) for value in fields[11:15])  # utime, stime, cutime, cstime
    return ticks / _TICKS


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of `pid` and its descendants; pages that they share count once for each."""
    return sum(int(fields[21]) for one in family(pid) if (fields := _stat(one))) * _PAGE / 1e6


def cores() -> tuple[int, int]:
    """Return the core of the server and the core of everything else; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def accepts(port: int) -> bool:
    """Return whether somebody listens on a loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
    except OSError:
        return False


def _stat(pid: int) -> list[str]:
    """Return the fields of `/proc/PID/stat` after the name (state first), empty when the process has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
