"""Lines about actions: valid against their schema, on the disk at once, left out by readers of decision records."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from structlog.testing import capture_logs

import extauthz.audit
from extauthz.audit.actions import ACTION_START, MAX_LISTED, ActionLog, to_action_record
from extauthz.clock import Instant
from extauthz.config.settings import RecordSettings
from extauthz.model.receipt import Action, Receipt
from extauthz.model.restriction import Effect, Form, Mark, Restriction
from extauthz.policytools.records import lines_of, read_line

SCHEMA = json.loads((Path(extauthz.audit.__file__).parent / "action.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
AT = Instant(1_900_000_000.25)
ACTION = Action(id="a1", source="operator", kind="revoke", received_at=AT, by="ann", reason="laptop stolen")
RECEIPT = Receipt(id="a1", at=AT, number=7, changed=1, workers=4, of_workers=4, sessions=12, streams=("feed",))


def _restriction(value: str = "alice", **changes: Any) -> Restriction:
    mark = Mark(Form.SUBJECT, "https://issuer.example", value)
    told: dict[str, Any] = {"mark": mark, "effect": Effect.REVOKED, "source": "operator", "event_at": AT}
    return Restriction(**told | changes)


def _written(**changes: Any) -> dict[str, Any]:
    record = json.loads(json.dumps(to_action_record(ACTION, "in_force", **changes)))
    VALIDATOR.validate(record)
    return dict(record)


def test_the_schema_is_a_schema() -> None:
    """The published schema is valid itself."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_a_line_says_who_what_why_and_where_it_is_in_force() -> None:
    """Everything that an auditor asks for is there."""
    also = (Mark(Form.DEVICE, "https://issuer.example", "laptop-1"),)
    record = _written(subject="alice", restrictions=[_restriction(also=also)], receipt=RECEIPT)
    assert (record["by"], record["reason"], record["kind"]) == ("ann", "laptop stolen", "revoke")
    assert record["receipt"]["at"] == "2030-03-17T17:46:40.250000Z"
    assert record["receipt"]["workers"] == 4
    (listed,) = record["restrictions"]
    assert listed["value"] == "alice"
    assert listed["also"] == [{"form": "device", "issuer": "https://issuer.example", "value": "laptop-1"}]


def test_a_line_stays_short() -> None:
    """Of an action about very many only the first are listed, and the line says so."""
    many = [_restriction(str(number)) for number in range(MAX_LISTED + 1)]
    assert len(_written(restrictions=many)["restrictions"]) == MAX_LISTED
    assert _written(restrictions=many)["cut"] == ["restrictions"]
    assert "cut" not in _written(restrictions=many[:MAX_LISTED])


def test_an_instant_that_is_none_costs_no_line() -> None:
    """What an event claims about time may be nonsense."""
    assert _written(restrictions=[_restriction(event_at=Instant(1e18))])["restrictions"][0]["event_at"].startswith(
        "1970"
    )


def test_tokens_never_reach_the_file() -> None:
    """A reason in which somebody pasted a token is redacted."""
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl"
    action = Action(id="a2", source="operator", kind="revoke", received_at=AT, reason=f"leaked: {token}")
    assert "c2lnbmF0dXJl" not in json.dumps(to_action_record(action, "in_force"))


def test_a_line_is_appended_whole_and_the_file_may_be_moved_away(tmp_path: Path) -> None:
    """Two lines are two lines; after a rotation by renaming the next is in a new file."""
    file = tmp_path / "records.jsonl.actions"
    log = ActionLog(file)
    assert log.write(to_action_record(ACTION, "in_force"))
    assert log.write(to_action_record(ACTION, "lifted"))
    assert [json.loads(line)["outcome"] for line in file.read_bytes().splitlines()] == ["in_force", "lifted"]
    assert file.read_bytes().startswith(ACTION_START)
    file.rename(tmp_path / "old")
    assert log.write(to_action_record(ACTION, "held"))
    assert [json.loads(line)["outcome"] for line in file.read_bytes().splitlines()] == ["held"]


def test_standard_output_takes_them_too(capfd: pytest.CaptureFixture[str]) -> None:
    """Where the settings say `-`."""
    assert ActionLog("-").write(to_action_record(ACTION, "in_force"))
    assert json.loads(capfd.readouterr().out)["outcome"] == "in_force"


def test_what_cannot_be_written_is_logged(tmp_path: Path) -> None:
    """A full disk costs no revocation, and the line is in the log."""
    with capture_logs() as logged:
        assert not ActionLog(tmp_path / "nowhere" / "file").write(to_action_record(ACTION, "in_force"))
    (entry,) = logged
    assert entry["action"]["reason"] == "laptop stolen"


def test_readers_of_decision_records_leave_them_out() -> None:
    """In one stream with decision records they are no line without a record, and never one."""
    action = json.dumps(to_action_record(ACTION, "in_force", receipt=RECEIPT), separators=(",", ":")).encode()
    decision = b'{"time":"2030-01-01T00:00:00Z","outcome":"allow","reason":"allowed"}'
    assert list(lines_of(io.BytesIO(action + b"\n" + decision + b"\n"))) == [decision + b"\n"]
    assert read_line(action) is None
    assert read_line(decision) is not None


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ({}, "-"),
        ({"path": Path("/var/log/d.jsonl")}, Path("/var/log/d.jsonl.actions")),
        ({"path": Path("/var/log/d.jsonl"), "actions": "-"}, "-"),
        ({"actions": Path("/var/log/a.jsonl")}, Path("/var/log/a.jsonl")),
    ],
)
def test_where_they_go(settings: dict[str, Any], target: object) -> None:
    """Beside the decision records unless told otherwise."""
    assert RecordSettings(**settings).actions_target == target
