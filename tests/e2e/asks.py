"""Requests that several end-to-end tests send."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from extauthz.demo.child import whole_lines
from extauthz.demo.run import find_record
from extauthz.demo.tour import REPORT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from extauthz.demo.ask import Answer, Ask
    from extauthz.demo.stage import Stage

OTHER_CREDENTIALS = (
    ("cookie", "session=s3cret"),
    ("x-vault-token", "s3cret"),
    ("private-token", "s3cret"),
    ("proxy-authorization", "Basic s3cret"),
    ("x-api-key", "s3cret"),
    ("dpop", "s3cret"),
    ("txn-token", "s3cret"),
    ("x-forwarded-access-token", "s3cret"),
    ("x-amz-security-token", "s3cret"),
    ("impersonate-user", "root"),
    ("impersonate-group", "system:masters"),
    ("impersonate-extra-scopes", "s3cret"),
    ("x-forwarded-user", "root"),
    ("x-extauthz-subject", "root"),
)
"""What else a client may add that somebody behind could take for a credential or an identity: secret or `root`."""


def with_token(ask: Ask, token: str) -> Ask:
    """Return `ask` with a bearer token."""
    return replace(ask, headers=(*ask.headers, ("authorization", f"Bearer {token}")))


def read_report(stage: Stage, token: str | None = None) -> Answer:
    """Read a report; with the reporting service's token unless another is given."""
    return stage.edge.send(with_token(REPORT, token or stage.issuer.mint("reporting")))


def lines_of(answer: Answer, name: str) -> list[str]:
    """Return the values of a header's lines as the upstream saw them."""
    return [value for key, value in answer.read_echo()["headers"] if key == name]


def assert_only_carrier(answer: Answer, carrier: str, value: str = "") -> None:
    """Fail if anything of `OTHER_CREDENTIALS` reached the upstream, or the declared carrier did not; "" for none."""
    assert answer.status == 200, answer
    echo = answer.read_echo()
    assert "s3cret" not in json.dumps(echo)
    assert "root" not in json.dumps(echo)
    names = {carrier, *(name for name, _ in OTHER_CREDENTIALS), "authorization", "x-forwarded-client-cert"}
    identity = "x-extauthz-subject"
    reached = [(name, held) for name, held in echo["headers"] if name in names and name != identity]
    assert reached == ([(carrier, value)] if value else [])


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the records in a file to which the server still writes."""
    return [json.loads(line) for line in whole_lines(path)]


def await_record(stage: Stage, decision_id: str) -> dict[str, Any]:
    """Return the record of a decision as soon as it is written; whatever was decided before is written by then too."""

    def found() -> dict[str, Any] | None:
        return find_record(whole_lines(stage.records), decision_id)

    assert eventually(lambda: found() is not None)
    return found() or {}


def decision_of(answer: Answer) -> str:
    """Return the id of the decision behind an answer: a refusal says it, or the upstream has seen it."""
    return answer.headers.get("x-extauthz-decision-id") or lines_of(answer, "x-extauthz-decision-id")[0]


def replace_text(path: Path, text: str) -> None:
    """Write a file that others look at, so that nobody ever reads half of it."""
    (fresh := path.with_name(f"{path.name}.new")).write_text(text)
    fresh.replace(path)


def eventually(find: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Ask again and again until the answer is yes or time is up; return the last answer."""
    deadline = time.monotonic() + seconds
    while not find():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
