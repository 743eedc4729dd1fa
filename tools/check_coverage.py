"""Fail unless the decision path is covered, branches included. Reads the JSON report of coverage.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

DECISION_PATH = (
    "request/",
    "identity/",
    "policy/",
    "decision/",
    "response/",
    "jose/",
    "registry/",
    "signals/",
    "pipeline.py",
    "guard.py",
    "observing.py",
    "ledger.py",
)
REQUIRED_PERCENT = 100.0


def main(report: Path) -> int:
    """Print every file of the decision path that falls short; return the exit status."""
    files = json.loads(report.read_text())["files"]
    short = []
    for name, figures in sorted(files.items()):
        if name.removeprefix("extauthz/").startswith(DECISION_PATH) and "/gen/" not in name:
            percent = figures["summary"]["percent_covered"]
            if percent < REQUIRED_PERCENT:
                lines = figures["missing_lines"] or [f"{start}->{end}" for start, end in figures["missing_branches"]]
                short.append(f"{name}: {percent:.1f} % covered, missing {lines}")
    print("\n".join(short) or "the decision path is covered, branches included")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
