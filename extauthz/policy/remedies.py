"""Putting remedies together: one answer names everything, and nothing that would not suffice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.model.verdict import ObtainScopes, Remedy, StepUp

if TYPE_CHECKING:
    from collections.abc import Sequence


def merge_remedies(remedies: Sequence[Remedy | None]) -> tuple[Remedy, ...] | None:
    """Return remedies that together repair all of what was missing, step-up first, or None when that is impossible.

    Scopes are united. Of several step-ups an authentication context must satisfy all, the shortest age counts.

    Args:
        remedies: one per missing requirement; None for one that the client cannot repair.
    """
    if not remedies:
        return None
    scopes: set[str] = set()
    step_up: StepUp | None = None
    for remedy in remedies:
        match remedy:
            case ObtainScopes():
                scopes.update(remedy.scopes)
            case StepUp():
                step_up = remedy if step_up is None else _both(step_up, remedy)
                if step_up is None:
                    return None
            case _:  # None, and what is no remedy of a policy
                return None
    merged: list[Remedy] = []
    if step_up is not None:
        merged.append(step_up)
    if scopes:
        merged.append(ObtainScopes(tuple(sorted(scopes))))
    return tuple(merged)


def _both(first: StepUp, second: StepUp) -> StepUp | None:
    """Return the step-up that satisfies both; None when no authentication context does."""
    ages = [age for age in (first.max_age, second.max_age) if age is not None]
    max_age = min(ages, default=None)
    if not first.acr_values or not second.acr_values:
        return StepUp(first.acr_values or second.acr_values, max_age)
    common = tuple(value for value in first.acr_values if value in second.acr_values)
    return StepUp(common, max_age) if common else None
