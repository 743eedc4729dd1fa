"""Putting remedies together: one answer names everything, and nothing that would not suffice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.model.verdict import (
    BeginTask,
    ObtainScopes,
    PresentTicket,
    Remedy,
    ReportPosture,
    SeekApproval,
    StepUp,
    WaitUntil,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.clock import Instant

_ORDER: Final[tuple[type[Remedy], ...]] = (
    StepUp,
    ObtainScopes,
    SeekApproval,
    PresentTicket,
    WaitUntil,
    ReportPosture,
    BeginTask,
)
"""In which order remedies are named: what a client can do by itself and at once comes first."""


def merge_remedies(remedies: Sequence[Remedy | None]) -> tuple[Remedy, ...] | None:
    """Return remedies that together repair all of what was missing, step-up first, or None when that is impossible.

    Scopes are united. Of several step-ups an authentication context must satisfy all, the shortest age counts; of
    several instants to wait for the last.

    Args:
        remedies: one per missing requirement; None for one that the client cannot repair.
    """
    if not remedies:
        return None
    scopes: set[str] = set()
    step_up: StepUp | None = None
    opens_at: Instant | None = None
    merged: dict[Remedy, None] = {}
    for remedy in remedies:
        match remedy:
            case ObtainScopes():
                scopes.update(remedy.scopes)
            case StepUp():
                step_up = remedy if step_up is None else _both(step_up, remedy)
                if step_up is None:
                    return None
            case WaitUntil():
                opens_at = remedy.opens_at if opens_at is None else max(opens_at, remedy.opens_at)
            case SeekApproval() | PresentTicket() | ReportPosture() | BeginTask():
                merged[remedy] = None
            case _:  # None, and what is no remedy of a policy
                return None
    if step_up is not None:
        merged[step_up] = None
    if scopes:
        merged[ObtainScopes(tuple(sorted(scopes)))] = None
    if opens_at is not None:
        merged[WaitUntil(opens_at)] = None
    return tuple(sorted(merged, key=lambda each: _ORDER.index(type(each))))


def _both(first: StepUp, second: StepUp) -> StepUp | None:
    """Return the step-up that satisfies both; None when no authentication context does."""
    ages = [age for age in (first.max_age, second.max_age) if age is not None]
    max_age = min(ages, default=None)
    if not first.acr_values or not second.acr_values:
        return StepUp(first.acr_values or second.acr_values, max_age)
    common = tuple(value for value in first.acr_values if value in second.acr_values)
    return StepUp(common, max_age) if common else None
