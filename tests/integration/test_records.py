"""A whole server whose decisions cannot be recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.server import app
from tests.integration.running import running, seconds_of_patience
from tests.simulators.grpc_client import outcome_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_long_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is not waited for at the end."""
    monkeypatch.setattr(app, "RECORDS_SECONDS", 0.1)


FULL: dict[str, Any] = {"path": "/dev/full", "queue": 1}


def test_an_allow_that_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    """With the disk full and the queue full nobody gets in unseen; denials stay what they are."""
    with running(tmp_path, records=FULL) as server:
        seconds_of_patience(lambda: outcome_of(server.ask(path="/ping")) == (503, "overloaded"))
        assert outcome_of(server.ask(path="/ping")) == (503, "overloaded")
        assert outcome_of(server.ask()) == (401, "no_credentials")


def test_records_may_be_dropped_where_the_settings_say_so(tmp_path: Path) -> None:
    """The weakening switch: the same full disk, and access goes on."""
    with running(tmp_path, records={**FULL, "overflow": "drop"}) as server:
        outcomes = {outcome_of(server.ask(path="/ping")) for _ in range(20)}
        assert outcomes == {(200, "allowed")}
        assert server.application._parts.records.counts().dropped > 0


def test_a_rotated_file_is_opened_anew(tmp_path: Path) -> None:
    """Rename, reload: what comes after is in a new file, and nothing is lost."""
    with running(tmp_path) as server:
        first = server.ask(path="/ping").dynamic_metadata.fields["decision_id"].string_value
        seconds_of_patience(lambda: len(server.records()) == 1)
        (tmp_path / "records.jsonl").rename(tmp_path / "records.1")
        server.application.reload()
        seconds_of_patience((tmp_path / "records.jsonl").exists)
        second = server.ask(path="/ping").dynamic_metadata.fields["decision_id"].string_value
        seconds_of_patience(lambda: len(server.records()) == 1)
        assert first in (tmp_path / "records.1").read_text()
        assert [record["decision_id"] for record in server.records()] == [second]
