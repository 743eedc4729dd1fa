"""`extauthz config --metadata`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml
from typer.testing import CliRunner

from extauthz.cli.main import app

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
policy: [policy.yaml]
issuers: [{issuer: "https://issuer.example.com", keys: {file: keys.json}}]
profiles: {default: {issuers: ["https://issuer.example.com"], audience: "https://api.example.com", metadata: METADATA}}
"""


def test_routes_are_printed_and_nothing_else(tmp_path: Path) -> None:
    """What is printed is YAML that can be pasted; notes would be in the way."""
    path = tmp_path / "extauthz.yaml"
    path.write_text(SETTINGS.replace("METADATA", "{}"))
    result = CliRunner().invoke(app, ["config", "--metadata", "--config", str(path)])
    assert result.exit_code == 0
    (route,) = yaml.safe_load(result.stdout)
    assert route["match"]["path"] == "/.well-known/oauth-protected-resource"


def test_a_document_that_is_too_long_is_said_with_its_remedy(tmp_path: Path) -> None:
    """One line, and the exit code of wrong settings."""
    path = tmp_path / "extauthz.yaml"
    path.write_text(
        SETTINGS.replace("METADATA", f"{{scopes_supported: [{', '.join(f'scope-{n}' for n in range(900))}]}}")
    )
    result = CliRunner().invoke(app, ["config", "--metadata", "--config", str(path)])
    assert result.exit_code == 2
    assert result.stdout == ""
