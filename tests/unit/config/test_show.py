"""The settings in force as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from extauthz.config.load import load_with_origins
from extauthz.config.show import as_json, as_yaml
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TEXT = (
    "policy: [/p.yaml]\n"
    "listeners: [{address: 'unix:/s', socket_mode: 0o600}]\n"
    "proxies: [{name: a, token: s3cr3t-s3cr3t-s3cr3t}]\n"
)


def test_the_yaml_can_be_loaded_again(tmp_path: Path) -> None:
    """What is printed means what is in force, secrets apart."""
    (path := tmp_path / "s.yaml").write_text(TEXT)
    loaded = load_with_origins(path)
    printed = read_yaml("printed", as_yaml(loaded).encode()).data
    expected = json.loads(as_json(loaded))
    assert printed == expected


def test_each_value_tells_its_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of the file, a variable, or the default."""
    (path := tmp_path / "s.yaml").write_text(TEXT)
    monkeypatch.setenv("EXTAUTHZ__SERVER__THREADS", "8")
    lines = as_yaml(load_with_origins(path)).splitlines()
    assert 'policy: ["/p.yaml"]  # line 1' in lines
    assert "  threads: 8  # EXTAUTHZ__SERVER__THREADS" in lines
    assert "  backlog: 256  # default" in lines
    assert "  socket_mode: 0o600  # line 2" in lines


def test_secrets_are_masked_in_both_forms(tmp_path: Path) -> None:
    """A settings print-out may be pasted into a ticket."""
    (path := tmp_path / "s.yaml").write_text(TEXT)
    loaded = load_with_origins(path)
    assert "s3cr3t" not in as_yaml(loaded)
    assert "s3cr3t" not in as_json(loaded)
