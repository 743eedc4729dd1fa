"""The guided tour, as a newcomer runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from extauthz.demo.run import walk
from extauthz.demo.table import to_differences
from extauthz.demo.tour import TOUR, Expect
from tests.e2e.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.demo.stage import Stage

pytestmark = pytest.mark.envoy


@pytest.mark.parametrize("envoy_file", ["minimal", "hardened"])
def test_demo_command_passes(envoy_file: str, tmp_path: Path) -> None:
    """`extauthz demo` exits with 0, says that every answer was as expected, and leaves the decision records."""
    command = [sys.executable, "-m", "extauthz", "demo", "--envoy-config", envoy_file, "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(TOUR)} of {len(TOUR)} answers as expected" in done.stdout
    assert "WRONG" not in done.stdout
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert len(records) >= len(TOUR)


def test_wrong_expectation_is_found(stage: Stage) -> None:
    """A tour that expects an allow where extauthz refuses, or a refusal where it allows, is not passed."""
    reads, asks = TOUR[2], TOUR[1]
    stops = [replace(reads, expect=Expect(status=403, reason="no_permit")), replace(asks, expect=Expect(status=200))]
    visits = list(walk(stage, stops, hardened=False))
    assert [bool(visit.differences) for visit in visits] == [True, True]
    assert any("status 200 instead of 403" in line for line in to_differences(visits))


def test_records_hold_no_token(stage: Stage) -> None:
    """After the tour neither the decision records nor any log holds a token or the proxy's secret."""
    list(walk(stage, TOUR, hardened=False))
    token = stage.issuer.mint("reporting")
    start = token.split(".")[0][:16]
    for file in (stage.records, stage.extauthz.log, stage.envoy.child.log, stage.envoy.access_log):
        text = file.read_text()
        assert start not in text, file
        assert stage.proxy_token not in text, file
