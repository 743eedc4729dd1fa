"""The page about the state file says what is in it, which settings there are, and what commands print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from extauthz.cli.state import state_app
from extauthz.config.load import load_settings
from extauthz.state.store import open_store
from tests.simulators.barestate import memory_state

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "state.md").read_text(encoding="utf-8")


def tables_in(page: str) -> set[str]:
    """Return the tables that a page's table names."""
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def tables_of_the_schema() -> AbstractSet[str]:
    """Return the tables that are there, but for SQLite's own and the counter of rows."""
    with memory_state() as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return {name for name in names if not name.startswith("sqlite_")} - {"spend_rows"}


def test_every_table_is_on_the_page() -> None:
    """And nothing that is not there."""
    assert tables_in(PAGE) == tables_of_the_schema()
    assert tables_in("| `facts`, `nothing` | what |") == {"facts", "nothing"}  # The control.


def test_the_settings_and_commands_of_the_page_work(tmp_path: Path) -> None:
    """As they are written, but for the folders."""
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    settings = block.replace("/var/lib/extauthz/", f"{tmp_path}/")
    (file := tmp_path / "settings.yaml").write_text(f"policy: [p.yaml]\n{settings}")
    state = load_settings(file).state
    assert state is not None
    assert state.path == tmp_path / "state.db"
    assert state.keep_revocations == 30 * 86400
    open_store(state.path)
    commands = re.findall(r"^\$ extauthz state (\w+)(.*)$", PAGE, re.MULTILINE)
    assert {name for name, _ in commands} == {"check", "backup"}
    for name, rest in commands:
        words = rest.replace("/backup/", f"{tmp_path}/").replace("settings.yaml", str(file)).split()
        done = CliRunner().invoke(state_app, [name, *words])
        assert done.exit_code == 0, done.output
        if name == "check":
            for sort in ("API keys", "lifted restrictions", "facts"):
                assert f"{sort}: 0 sealed by us, 0 not" in done.stdout
                assert re.search(rf"^{sort}: \d+ sealed by us, 0 not$", PAGE, re.MULTILINE)
