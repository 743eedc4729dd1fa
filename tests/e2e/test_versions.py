"""The same answers on every supported Envoy: header mutations and denials mean the same from 1.36 to 1.40.

The binaries are put into `.envoy/` by `make test`, by hash (`requirements/envoy-*.txt`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.demo.run import walk
from extauthz.demo.stage import Script, Stage
from extauthz.demo.table import to_differences
from extauthz.demo.tour import TOUR
from tests.e2e.asks import read_report
from tests.e2e.conftest import ROOT, fail_open

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.envoy

VERSIONS = ["1.36.4", "1.37.0", "1.38.3", "1.39.3", "1.40.0"]


def binary(version: str) -> Path:
    """Return the binary of one version; its absence fails the test, since a skipped test proves nothing."""
    path = ROOT / ".envoy" / version / "envoy" / "_bin" / "envoy"
    if not path.is_file():
        pytest.fail(f"Envoy {version} is missing: run `make test`, or `make envoys` alone")
    return path


def test_every_locked_version_is_tested() -> None:
    """The lock files and this list name the same versions."""
    locked = {path.stem.removeprefix("envoy-") for path in (ROOT / "requirements").glob("envoy-*.txt")}
    assert locked == set(VERSIONS)


@pytest.mark.parametrize("envoy_file", ["minimal", "hardened"])
@pytest.mark.parametrize("version", VERSIONS)
def test_tour_passes(version: str, envoy_file: str, folder: Path) -> None:
    """Every stop of the tour has the same outcome, spoofed headers and their twins included."""
    script = Script(root=ROOT, folder=folder, envoy_file=envoy_file, binary=binary(version))
    with Stage(script) as stage:
        assert version in stage.envoy.ask_admin("/server_info")
        visits = list(walk(stage, TOUR, hardened=envoy_file == "hardened"))
    assert to_differences(visits) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_own_failures_are_closed(version: str, folder: Path) -> None:
    """Where Envoy lets requests through without an answer, extauthz still refuses when it cannot decide."""

    def other_secret(settings: dict[str, Any]) -> None:
        settings["proxies"][0]["token"] = "another secret than Envoy shows"

    script = Script(
        root=ROOT,
        folder=folder,
        binary=binary(version),
        change_bootstrap=fail_open,
        change_settings=other_secret,
    )
    with Stage(script) as stage:
        answer = read_report(stage)
        assert (answer.status, answer.reason) == (503, "proxy_unauthenticated")
        assert not stage.upstream.seen
        stage.extauthz.stop()
        assert read_report(stage).status == 200  # the control: this Envoy does fail open
