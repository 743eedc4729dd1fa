"""Decision logs under another policy: what would have come out, counted while the log streams by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.judge import NotRecorded, judge
from extauthz.policytools.changes import Group, Outcome
from extauthz.policytools.records import read_line, to_given, unchangeable
from extauthz.policytools.suite import judge_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from extauthz.judge import Judged
    from extauthz.policy.ruleset import Ruleset
    from extauthz.policytools.casefile import Case
    from extauthz.policytools.changes import Tally
    from extauthz.policytools.records import Recorded


def replay(
    lines: Iterable[bytes], ruleset: Ruleset, tally: Tally, progress: Callable[[int], object] = lambda _: None
) -> None:
    """Count what would change if a policy had decided what a log records.

    Args:
        lines: of the log.
        ruleset: the other policy.
        tally: where it is counted.
        progress: told of the bytes of each line.
    """
    _compare(lines, lambda recorded: recorded.outcome, lambda recorded: outcome_of(recorded, ruleset), tally, progress)


def compare_policies(
    lines: Iterable[bytes],
    before: Ruleset,
    after: Ruleset,
    tally: Tally,
    progress: Callable[[int], object] = lambda _: None,
) -> None:
    """Count how two policies differ about what a log records; arguments as for `replay`."""
    _compare(
        lines,
        lambda recorded: outcome_of(recorded, before),
        lambda recorded: outcome_of(recorded, after),
        tally,
        progress,
    )


def _compare(
    lines: Iterable[bytes],
    before: Callable[[Recorded], Outcome],
    after: Callable[[Recorded], Outcome],
    tally: Tally,
    progress: Callable[[int], object],
) -> None:
    for line in lines:
        progress(len(line))
        recorded = read_line(line)
        if recorded is None:
            tally.unreadable += 1
            continue
        try:
            first, second = before(recorded), after(recorded)
        except NotRecorded as missing:
            tally.add_untold(missing.what, recorded.example())
            continue
        group = Group(recorded.target, recorded.kind, recorded.client, first, second)
        tally.add(group, recorded.example())


def compare_cases(cases: Iterable[Case], before: Ruleset, after: Ruleset, tally: Tally) -> None:
    """Count how two policies differ about the requests of policy tests; what these expect does not matter."""
    for case in cases:
        first, second = judge_case(case, before).decision, judge_case(case, after).decision
        target = first.target or second.target
        subject = case.identity.subject if case.identity is not None else None
        group = Group(
            f"{target.resource}.{target.action}" if target is not None else "",
            subject.kind or "" if subject is not None else "",
            (subject.client or subject.subject) if subject is not None else "",
            Outcome(first.allowed, first.reason.value),
            Outcome(second.allowed, second.reason.value),
        )
        tally.add(group, case.name)


def outcome_of(recorded: Recorded, ruleset: Ruleset) -> Outcome:
    """Return how a policy would have answered what was recorded.

    Raises:
        NotRecorded: that depends on what the record does not hold.
    """
    if unchangeable(recorded):
        return recorded.judged
    judged = judge_recorded(recorded, ruleset)
    if judged.missing:
        raise NotRecorded(judged.missing)
    decision = judged.decision
    return Outcome(decision.allowed, decision.reason.value)


def judge_recorded(recorded: Recorded, ruleset: Ruleset) -> Judged:
    """Return what a policy decides about what was recorded.

    Raises:
        NotRecorded: the record does not say enough to begin with.
    """
    return judge(to_given(recorded), ruleset)
