"""`extauthz identities`: tables, JSON, warnings, exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from extauthz.cli.main import app
from tests.integration.running import POLICY

if TYPE_CHECKING:
    from pathlib import Path

RUNNER = CliRunner()
REGISTRY = """\
identities:
  - name: deployer
    match: {issuer: https://issuer.example, subject: deployer}
    owner: team-release
    purpose: deploys
    kind: ci
    environment: staging
    networks: [192.0.2.0/24]
    review_by: 2026-03-01
  - name: forgotten
    match: {issuer: https://isuer.example, client: old}
    expires: 2026-01-01
  - name: bad
    match: {issuer: https://issuer.example, workload: w}
    owner: team-x
    standing: quarantined
    expires: 2026-01-01
bindings:
  - {who: deployer, role: releaser, where: {environment: staging}, until: 2026-02-01}
  - {who: deployer, role: reader}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a settings file with a registry."""
    (tmp_path / "registry.yaml").write_text(REGISTRY)
    (tmp_path / "policy.yaml").write_text(POLICY)
    (path := tmp_path / "settings.yaml").write_text(
        "policy: [policy.yaml]\nregistry: {paths: [registry.yaml]}\n"
        "issuers: [{issuer: https://issuer.example, keys: {url: https://issuer.example/jwks}}]\n"
        "profiles: {default: {issuers: [https://issuer.example], audience: a}}\n"
    )
    return path


def run(*arguments: str, code: int = 0) -> tuple[str, str]:
    """Return what a command prints on standard output and error."""
    done = RUNNER.invoke(app, ["identities", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout, done.stderr


def test_the_list_has_a_line_for_each_entry(config: Path) -> None:
    """Status as a caller would meet it; only roles that hold; warnings one by one on standard error."""
    out, err = run("list", "--config", str(config), "--at", "2026-02-15")
    rows = [line.split() for line in out.splitlines()]
    assert [row[:2] for row in rows[1:]] == [["deployer", "active"], ["forgotten", "expired"], ["bad", "quarantined"]]
    assert rows[1][2:] == ["ci", "team-release", "staging", "never", "2026-03-01", "reader", "1"]
    assert "warning: deployer: the role `releaser` has ended" in err
    assert "warning: forgotten: it has expired" in err
    assert "warning: forgotten: it has no owner" in err
    assert "the issuer `https://isuer.example` is not configured" in err
    assert "no resource has an attribute `environment`" in err


def test_an_overdue_review_is_warned_of(config: Path) -> None:
    """From its day on."""
    assert "review is overdue" not in run("list", "--config", str(config), "--at", "2026-02-28")[1]
    assert "warning: deployer: its review is overdue" in run("list", "--config", str(config), "--at", "2026-03-01")[1]


def test_the_list_is_json_for_programs(config: Path) -> None:
    """Everything that is declared, instants in UTC."""
    found = json.loads(run("list", "--config", str(config), "--json", "--at", "2026-01-15")[0])
    assert found[0] == {
        "name": "deployer",
        "match": {"issuer": "https://issuer.example", "subject": "deployer"},
        "status": "active",
        "owner": "team-release",
        "purpose": "deploys",
        "kind": "ci",
        "environment": "staging",
        "networks": ["192.0.2.0/24"],
        "peer_group": None,
        "expires": None,
        "review_by": "2026-03-01T00:00:00Z",
        "bindings": [
            {
                "role": "releaser",
                "where": {"environment": "staging"},
                "until": "2026-02-01T00:00:00Z",
                "status": "active",
            },
            {"role": "reader", "where": {}, "until": None, "status": "active"},
        ],
        "warnings": [],
    }


def test_one_entry_is_shown(config: Path) -> None:
    """For people and for programs."""
    out, _ = run("show", "deployer", "--config", str(config), "--at", "2026-02-15")
    assert "match       issuer https://issuer.example, subject deployer" in out
    assert "role        releaser where environment is staging, until 2026-02-01T00:00:00Z (ended)" in out
    assert "role        reader everywhere" in out
    assert "warning     the role `releaser` has ended" in out
    as_json = json.loads(run("show", "bad", "--config", str(config), "--json")[0])
    assert as_json["match"] == {"issuer": "https://issuer.example", "workload": "w"}


def test_a_misspelt_name_is_suggested(config: Path) -> None:
    """Exit code 1."""
    assert "did you mean `deployer`?" in run("show", "deploier", "--config", str(config), code=1)[1]


def test_without_a_registry_there_is_nothing_to_show(tmp_path: Path) -> None:
    """Exit code 2, with the setting to write."""
    (path := tmp_path / "s.yaml").write_text("policy: [p.yaml]\n")
    assert "registry.paths" in run("list", "--config", str(path), code=2)[1]


def test_what_is_wrong_is_told_by_line(config: Path) -> None:
    """Settings, registry and the command line itself: exit code 2. A wrong policy only costs some warnings."""
    assert "--at: write a day" in run("list", "--config", str(config), "--at", "soon", code=2)[1]
    (config.parent / "policy.yaml").write_text("resources: 3\n")
    assert "note: the policy cannot be read" in run("list", "--config", str(config))[1]
    (config.parent / "registry.yaml").write_text("identities: [{nam: x}]\n")
    done = RUNNER.invoke(app, ["identities", "list", "--config", str(config)])
    assert done.exit_code == 2
