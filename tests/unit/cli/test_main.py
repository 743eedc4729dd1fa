"""The command line: version, help, lazy sub-commands, exit codes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from typer.testing import CliRunner

from extauthz import __version__
from extauthz.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

RUNNER = CliRunner()


def test_the_version_is_printed() -> None:
    """One line."""
    assert RUNNER.invoke(app, ["--version"]).output == f"extauthz {__version__}\n"


def test_help_imports_none_of_the_heavy_parts() -> None:
    """`--help` is quick: neither gRPC nor the policy engine is loaded for it."""
    script = (
        "import sys\nfrom extauthz.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'grpc', 'cel_expr_python', 'pydantic_settings', 'urllib3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "serve" in done.stdout


def test_a_misspelt_command_is_suggested() -> None:
    """Exit code 2, as for every wrong command line."""
    done = RUNNER.invoke(app, ["confg"])
    assert done.exit_code == 2
    assert "Did you mean 'config'" in done.output


def test_a_sub_command_shows_its_own_help() -> None:
    """The stub of the table is replaced by the real command."""
    assert "--reference" in RUNNER.invoke(app, ["config", "--help"], env={"TERM": "dumb", "COLUMNS": "200"}).output


def test_config_prints_the_settings_in_force(tmp_path: Path) -> None:
    """YAML with origins; weakening switches on standard error."""
    (path := tmp_path / "s.yaml").write_text("policy: [p.yaml]\nrecords: {overflow: drop}\n")
    done = RUNNER.invoke(app, ["config", "--config", str(path)])
    assert done.exit_code == 0
    assert '  overflow: "drop"  # line 2' in done.stdout
    assert "WEAKENED: records.overflow=drop" in done.stderr
    assert "note: no proxy is configured" in done.stderr


def test_config_prints_json(tmp_path: Path) -> None:
    """For programs."""
    (path := tmp_path / "s.yaml").write_text("policy: [/p.yaml]\n")
    assert '"/p.yaml"' in RUNNER.invoke(app, ["config", "--config", str(path), "--json"]).stdout


def test_config_prints_the_reference_without_settings() -> None:
    """The page needs no file."""
    assert RUNNER.invoke(app, ["config", "--reference"]).stdout.startswith("# Settings\n")


def test_config_finds_a_mapping_expression_that_is_wrong(tmp_path: Path) -> None:
    """Before the server is started with it; the line names the field."""
    path = tmp_path / "settings.yaml"
    issuer = "{issuer: https://i.example, keys: {discovery: true}, map: {tenant: {cel: claim.org}}}"
    path.write_text(f"policy: [p]\nissuers: [{issuer}]\n")
    done = RUNNER.invoke(app, ["config", "--config", str(path)])
    assert done.exit_code == 2
    assert done.stderr.startswith("issuers[https://i.example].map.tenant.cel: ")


def test_wrong_settings_end_with_2_and_one_line_each(tmp_path: Path) -> None:
    """No traceback; `serve` and `config` alike."""
    (path := tmp_path / "s.yaml").write_text("polcy: [p.yaml]\n")
    for command in ("config", "serve"):
        done = RUNNER.invoke(app, [command, "--config", str(path)])
        assert done.exit_code == 2
        assert done.stderr.splitlines() == [
            f"{path}:1:1: `policy` is missing — add it",
            f"{path}:1:1: unknown key `polcy` — did you mean `policy`?",
        ]
