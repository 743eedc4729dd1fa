"""Steps of situations: what is written becomes what is done, and what cannot be done is told with its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.demo.scenario_steps import AskStep, NewRegistry, Run, Seen, Signal, read_steps
from extauthz.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
requests:
  pay: {method: POST, host: api.example.com, path: /v1/payments}
identities:
  alice: {kind: user, subject: alice}
tests: [{name: pays, request: pay, identity: alice, expect: allow}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a situation with policy tests."""
    (tmp_path / "policy_test.yaml").write_text(TESTS)
    return tmp_path


def test_each_kind_of_step_is_read(folder: Path) -> None:
    """In order; a request knows the names of the policy tests."""
    steps = read_steps(
        folder,
        [
            {"name": "first", "request": "pay", "identity": "alice", "expect": "allow"},
            {"run": "revoke session s-1 --reason stolen"},
            {"signal": "session-revoked", "about": {"format": "opaque", "id": "s-1"}},
            {"registry": "after.yaml"},
            {"seen": "s-1"},
            {"name": "second", "request": "pay", "identity": "alice", "expect": "session_revoked", "new_token": True},
        ],
    )
    assert [type(step) for step in steps] == [AskStep, Run, Signal, NewRegistry, Seen, AskStep]
    first, last = steps[0], steps[-1]
    assert isinstance(first, AskStep)
    assert isinstance(last, AskStep)
    assert (first.new_token, last.new_token) == (False, True)
    assert first.case.identity == last.case.identity
    assert last.case.expect.reason == "session_revoked"
    assert read_steps(folder, []) == ()


@pytest.mark.parametrize(
    "step",
    [
        {"rum": "revoke"},
        {"run": ""},
        {"signal": "session-revoked"},
        {"name": "who", "request": "pay", "identity": "nobody", "expect": "allow"},
        {"name": "what", "request": "pay", "identity": "alice"},
        "revoke",
    ],
)
def test_what_is_no_step(folder: Path, step: object) -> None:
    """The problem names the file."""
    with pytest.raises(FileError) as raised:
        read_steps(folder, [step])
    assert "scenario.yaml" in str(raised.value.problems[0])
