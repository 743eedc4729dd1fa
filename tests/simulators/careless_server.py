"""`extauthz serve` that does not wait until what it writes is on the disk: the negative control of tests that do.

`python -m tests.simulators.careless_server serve --config FILE`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.cli.main import app
from extauthz.state import store

if TYPE_CHECKING:
    import sqlite3


def _prepare_carelessly(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous=OFF")


if __name__ == "__main__":
    store._prepare = _prepare_carelessly
    app()
