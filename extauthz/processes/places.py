"""Names of the sockets in `server.run_dir`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SIGNALS: Final = "signals.sock"
"""The push receiver: events."""


def worker_socket(run_dir: Path, worker: int) -> Path:
    """Return where a worker confirms changes."""
    return run_dir / f"worker-{worker}.sock"
