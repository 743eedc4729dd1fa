"""Stages for the end-to-end tests: real Envoys, `extauthz serve` as a process, everything on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.demo.bootstrap import find_ext_authz
from extauthz.demo.stage import Script, Stage, find_root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = find_root()


def fail_open(bootstrap: dict[str, Any]) -> None:
    """Configure Envoy as we advise against: no answer lets the request through."""
    find_ext_authz(bootstrap)["failure_mode_allow"] = True


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run everything with `envoy/minimal.yaml`; tests that share it must not break it."""
    with Stage(Script(root=ROOT, folder=tmp_path_factory.mktemp("minimal"))) as running:
        yield running


@pytest.fixture(scope="session")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run everything with `envoy/hardened.yaml`; tests that share it must not break it."""
    with Stage(Script(root=ROOT, folder=tmp_path_factory.mktemp("hardened"), envoy_file="hardened")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for one stage."""
    return tmp_path / "stage"
