"""What the tools say about results, as plain text; colours are the terminal's business."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.policytools.suite import Result


def counted(number: int, noun: str) -> str:
    """Return for example `1 test` or `3 tests`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shown(value: object) -> str:
    """Return a value as it would be written in a file, in one line."""
    return "(not there)" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def failure_lines(result: Result) -> Iterator[str]:
    """Yield what a person needs to mend a failed test: what differs, and what was decided instead."""
    for difference in result.differences:
        place = result.case.places(difference.where)
        yield f"{place.file}:{place.line}: {'.'.join(difference.where)}"
        yield f"  - expected {shown(difference.expected)}"
        yield f"  + got      {shown(difference.got)}"
    yield f"  {decided(result)}"


def decided(result: Result) -> str:
    """Return one sentence on what was decided."""
    decision = result.judged.decision
    verdict = decision.verdict
    outcome = "allow" if decision.allowed else f"deny {decision.reason.value}"
    rule = f" by rule `{verdict.rule}`" if verdict.rule else ""
    inner = getattr(verdict, "inner", "")
    why = f" ({inner})" if inner else ""
    return f"{result.case.request} → {outcome}{rule}{why}"
