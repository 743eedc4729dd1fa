"""The page on running it: its settings are settings, and what it says about endpoints is so."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from extauthz.config.settings import Settings
from extauthz.processes.endpoints import find_endpoints, to_worker_settings
from extauthz.processes.ward import Pace

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
(TEXT,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
SETTINGS = Settings.model_validate({"policy": ["policy.yaml"], **yaml.safe_load(TEXT)})


def test_endpoints_are_where_the_page_says() -> None:
    """In the comments beside the settings."""
    workers = [to_worker_settings(SETTINGS, worker) for worker in range(SETTINGS.server.workers)]
    (addresses,) = find_endpoints(SETTINGS)
    assert f"# workers: {', '.join(str(address.port) for address in addresses)}" in TEXT
    metrics = [str(worker.telemetry.metrics).rpartition(":")[2] for worker in workers]
    assert f"workers: {', '.join(metrics)}" in TEXT
    records = [Path(worker.records.path).name for worker in workers]
    assert f"# {records[0]} … {records[-1]}" in TEXT


def test_the_page_says_how_patient_the_supervisor_is() -> None:
    """Whoever waits for a restart should know how long."""
    pace = Pace()
    assert f"unanswered for {pace.patience:g} s" in PAGE
    assert f"replaced after {pace.first_pause:g} s; the pause doubles up to {pace.longest_pause:g} s" in PAGE
    assert f"short again after {pace.steady_after:g} s of life" in PAGE.replace("\n", " ")
