"""The guided tour, as a newcomer runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from extauthz.demo.ask import Ask, Edge
from extauthz.demo.run import walk
from extauthz.demo.show import show
from extauthz.demo.table import to_differences
from extauthz.demo.tour import TOUR, Expect
from tests.e2e.asks import await_record, decision_of, eventually, read_report
from tests.e2e.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.demo.stage import Stage

pytestmark = pytest.mark.envoy


@pytest.mark.parametrize(
    ("envoy_file", "engine"), [("minimal", "native"), ("hardened", "native"), ("minimal", "grpcio")]
)
def test_demo_command_passes(envoy_file: str, engine: str, tmp_path: Path) -> None:
    """`extauthz demo` exits with 0, says that every answer was as expected, and leaves the decision records."""
    command = [sys.executable, "-m", "extauthz", "demo", "--envoy-config", envoy_file, "--folder", str(tmp_path)]
    command += ["--engine", engine]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(TOUR)} of {len(TOUR)} answers as expected" in done.stdout
    assert "WRONG" not in done.stdout
    assert re.search(
        r"revoked client reporting of http://.*\n  in force on 1/1 workers after [0-9.]+ m?s;", done.stdout
    )
    assert f"engine     {engine}" in (tmp_path / "extauthz.log").read_text()
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert len(records) >= len(TOUR)


def test_demo_with_a_wrong_answer_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tour with one wrong expectation shows it in its row and in words, and the exit code says so."""
    wrong = replace(TOUR[2], expect=Expect(status=403, reason="no_permit"))
    monkeypatch.setattr("extauthz.demo.show.TOUR", (TOUR[0], wrong))
    assert show("minimal", tmp_path) == 1
    out = capsys.readouterr().out
    assert "1 of 2 answers as expected" in out
    assert "WRONG" in out
    assert "#2 reporting reads a report: status 200 instead of 403" in out


def test_kept_demo_answers_until_it_is_told_to_end(tmp_path: Path) -> None:
    """`--keep` leaves everything running, prints commands to try, and ends everything on Ctrl-C."""
    command = [sys.executable, "-m", "extauthz", "demo", "--keep", "--folder", str(tmp_path)]
    out = tmp_path / "out"
    with out.open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
    try:
        assert eventually(lambda: "Ctrl-C ends it" in out.read_text())
        text = out.read_text()
        asked = re.search(r"^curl -si http://127\.0\.0\.1:(\d+)(/\S+)", text, re.MULTILINE)
        assert asked is not None
        edge = Edge(int(asked[1]))
        assert edge.send(Ask(path=asked[2])).reason == "no_credentials"
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(100)
    assert code == 0
    with pytest.raises(OSError, match="refused"):
        edge.send(Ask(path=asked[2]))


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
    last = decision_of(read_report(stage, token))
    await_record(stage, last)
    assert eventually(lambda: last in stage.envoy.access_log.read_text())
    start = token.split(".")[0][:16]
    for file in (stage.records, stage.extauthz.log, stage.envoy.child.log, stage.envoy.access_log):
        text = file.read_text()
        assert start not in text, file
        assert stage.proxy_token not in text, file
