"""Decision logs as the server writes them: cases of policy tests, decided and recorded by the code that serves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from extauthz.audit.record import to_record
from extauthz.policytools.suite import judge_case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from extauthz.policy.ruleset import Ruleset
    from extauthz.policytools.casefile import Case


def record_of(case: Case, ruleset: Ruleset) -> dict[str, Any]:
    """Return the record of a case as it stands in a log."""
    return to_record(judge_case(case, ruleset).decision, 0.001)


def log_of(cases: Iterable[Case], ruleset: Ruleset) -> list[bytes]:
    """Return the log of cases, a line each; ids are `d-` and the case's position."""
    lines = []
    for position, case in enumerate(cases):
        record = {**record_of(case, ruleset), "decision_id": f"d-{position}"}
        lines.append(json.dumps(record).encode() + b"\n")
    return lines


def repeated(lines: list[bytes], count: int) -> Iterator[bytes]:
    """Yield `count` lines, over and over the same ones under ids of their own."""
    for position in range(count):
        yield lines[position % len(lines)].replace(b'"decision_id": "d-', b'"decision_id": "d-%d-' % position, 1)
