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
    merged: dict[type[Remedy], dict[Remedy, None]] = {}
    for remedy in remedies:
        if remedy is None or type(remedy) not in _ORDER:
            return None
        alike = merged.setdefault(type(remedy), {})
        together = _together([*alike, remedy])
        if together is None:
            return None
        merged[type(remedy)] = dict.fromkeys(together)
    return tuple(remedy for kind in _ORDER for remedy in merged.get(kind, ()))


def _together(alike: Sequence[Remedy]) -> Sequence[Remedy] | None:
    """Return what remedies of one kind amount to; None when they cannot all be had."""
    first, second = alike[0], alike[-1]
    match first, second:
        case ObtainScopes(), ObtainScopes():
            return (ObtainScopes(tuple(sorted({*first.scopes, *second.scopes}))),)
        case StepUp(), StepUp():
            both = _both(first, second)
            return None if both is None else (both,)
        case WaitUntil(), WaitUntil():
            return (max(first, second, key=lambda each: each.opens_at),)
        case _:
            return alike


def _both(first: StepUp, second: StepUp) -> StepUp | None:
    """Return the step-up that satisfies both; None when no authentication context does."""
    ages = [age for age in (first.max_age, second.max_age) if age is not None]
    max_age = min(ages, default=None)
    if not first.acr_values or not second.acr_values:
        return StepUp(first.acr_values or second.acr_values, max_age)
    common = tuple(value for value in first.acr_values if value in second.acr_values)
    return StepUp(common, max_age) if common else None
