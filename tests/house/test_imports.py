"""The import contracts hold, and each of them notices the import it is there to forbid."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.house.tree import ROOT

VIOLATIONS = {
    "layers": ("extauthz/ports.py", "from extauthz.jose import compact"),
    "stages": ("extauthz/response/status.py", "from extauthz.identity import rules"),
    "pure-policy": ("extauthz/policy/rules.py", "from extauthz import ports"),
    "side-packages": ("extauthz/audit/record.py", "from extauthz.response import status"),
    "sans-io": ("extauthz/request/path.py", "import socket"),
    "generated": ("extauthz/policy/combine.py", "from extauthz.gen.envoy.type.v3 import http_status_pb2"),
    "demo": ("extauthz/server/check.py", "from extauthz.demo import tour"),
    "client": ("extauthz/server/check.py", "from extauthz import client"),
    "one-egress": ("extauthz/server/check.py", "import urllib3"),
    "push": ("extauthz/receiver/push_http.py", "from extauthz.state import store"),
    "one-redis": ("extauthz/server/check.py", "import redis"),
}
"""Contract → a file and the line that breaks it, and that breaks no other but the layers."""


def _contracts() -> dict[str, str]:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {contract["id"]: contract["name"] for contract in tool["contracts"]}


def _lint(folder: Path) -> tuple[int, dict[str, str]]:
    """Run the linter in `folder`; return its exit status and the verdict on each contract by name."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    summary = " ".join(done.stdout.split("dependencies.")[1].split("Contracts:")[0].split()).lstrip("- ")
    return done.returncode, dict(re.findall(r"(.+?) (KEPT|BROKEN)\s*", summary))


def test_contracts_hold() -> None:
    """Nobody imports what the contracts forbid."""
    status, verdicts = _lint(ROOT)
    assert verdicts == dict.fromkeys(_contracts().values(), "KEPT")
    assert status == 0


def test_each_contract_notices_its_violation(tmp_path: Path) -> None:
    """With one forbidden import per contract added to a copy of the source, every contract is broken."""
    assert VIOLATIONS.keys() == _contracts().keys()
    shutil.copytree(ROOT / "extauthz", tmp_path / "extauthz", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path, line in VIOLATIONS.values():
        source = tmp_path / path
        source.write_text(f"{source.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    status, verdicts = _lint(tmp_path)
    assert verdicts == dict.fromkeys(_contracts().values(), "BROKEN")
    assert status != 0
