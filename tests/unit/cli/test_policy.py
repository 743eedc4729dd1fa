"""`extauthz policy check` says what is wrong, where, and how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.testing import CliRunner

from extauthz.cli.policy import policy_app
from tests.simulators.policies import RESOURCE

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

SETTINGS = """\
policy: [policy.yaml]
issuers:
  - {issuer: "https://issuer.example", keys: {file: keys.json}}
profiles:
  partners: {issuers: ["https://issuer.example"], audience: "https://api.example.com"}
"""


def check(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(policy_app, ["check", *arguments])


def test_a_good_policy_is_summed_up(tmp_path: Path) -> None:
    """With counts and revision."""
    (tmp_path / "p.yaml").write_text(RESOURCE)
    result = check(str(tmp_path))
    assert (result.exit_code, "ok: 1 resource, 0 guards" in result.output) == (0, True)
    assert "revision" in result.output


def test_every_problem_is_printed_with_place_and_fix(tmp_path: Path) -> None:
    """In the form that editors link, and the exit code says so."""
    path = tmp_path / "p.yaml"
    path.write_text(RESOURCE + "permits: [{id: p, who: anyone, may: order.reed}]\nguards: 7\n")
    result = check(str(path))
    assert result.exit_code == 1
    assert f"{path}:6:37: `order.reed` is not declared — did you mean `order.read`?" in result.output
    assert "2 problems" in result.output


def test_an_empty_policy_is_warned_about(tmp_path: Path) -> None:
    """It is allowed, and refuses everything."""
    (tmp_path / "p.yaml").write_text("")
    result = check(str(tmp_path))
    assert (result.exit_code, "warning" in result.output) == (0, True)


def test_settings_name_the_policy_and_its_profiles(tmp_path: Path) -> None:
    """With `--config` profiles are checked too, and the paths are those of the settings unless given."""
    config = tmp_path / "extauthz.yaml"
    config.write_text(SETTINGS)
    (tmp_path / "policy.yaml").write_text(RESOURCE)
    result = check("--config", str(config))
    assert (result.exit_code, "no verification profile `default`" in result.output) == (1, True)
    (tmp_path / "policy.yaml").write_text(RESOURCE.replace("action: read", "action: read\n    verify: partners"))
    assert check("--config", str(config)).exit_code == 0


def test_a_kind_of_a_plug_in_needs_settings(tmp_path: Path) -> None:
    """Without them nothing says what it is; with them, that they do not name it."""
    guard = "guards: [{id: g, on: order.read, require: [{acme.color: red}]}]\n"
    (tmp_path / "policy.yaml").write_text(
        RESOURCE.replace("action: read", "action: read\n    verify: partners") + guard
    )
    (config := tmp_path / "extauthz.yaml").write_text(SETTINGS)
    alone, named = check(str(tmp_path / "policy.yaml")), check("--config", str(config))
    assert "comes from a plug-in, which settings name — say which with --config" in alone.output
    assert "name it under `plugins` in the settings" in named.output
    assert (alone.exit_code, named.exit_code) == (1, 1)


def test_wrong_usage_is_told_apart_from_a_wrong_policy(tmp_path: Path) -> None:
    """Nothing to check, or settings that cannot be read, exit with 2."""
    assert check().exit_code == 2
    assert check("--config", str(tmp_path / "missing.yaml")).exit_code == 2
