"""`extauthz policy replay` on a long log, on a terminal, as a process of its own."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.simulators.decision_logs import log_of, repeated
from tests.simulators.policy_cases import POLICY, suite_in

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 300


def replayed_on_a_terminal(log: Path, policy: Path) -> tuple[str, str]:
    """Return what is printed on standard output and on a terminal at standard error."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "extauthz", "policy", "replay", str(log), "--policy", str(policy)]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # Linux says so when the other end is closed.
            pass
        output, _ = process.communicate(timeout=PATIENCE)
    os.close(ours)
    assert process.returncode == 0
    return output, shown.decode()


def replay_of(folder: Path, records: int) -> tuple[str, str]:
    """Return what is printed about a log with so many records under a wider policy."""
    suite = suite_in(folder)
    lines = log_of(suite.file.cases, suite.ruleset)
    (folder / "log.jsonl").write_bytes(b"".join(repeated(lines, records)))
    (folder / "wider.yaml").write_text(POLICY.replace("[user, ci]", "[user, ci, service]"))
    return replayed_on_a_terminal(folder / "log.jsonl", folder / "wider.yaml")


def test_progress_is_shown_on_a_terminal(tmp_path: Path) -> None:
    """With the records so far and the share of the log; then the rate, and the sum on standard output."""
    output, shown = replay_of(tmp_path, 6_000)
    assert re.search(r"log\.jsonl\s+[0-9,]+ records", shown)
    assert re.search(r"[1-9][0-9]*%", shown)
    assert re.search(r"6,000 records in [0-9.]+ s \([0-9,]+ a second\)", shown)
    assert "6,000 decisions: 5,000 the same, 500 changed" in output


@pytest.mark.long
@pytest.mark.timeout(PATIENCE)
def test_a_hundred_thousand_records(tmp_path: Path) -> None:
    """All of them are counted, and progress is shown on the way."""
    output, shown = replay_of(tmp_path, 100_000)
    assert "100,000 decisions: " in output
    assert len(set(re.findall(r"[0-9]+%", shown))) > 20
    print(shown.splitlines()[-1])  # noqa: T201 — the rate, for whoever runs it
