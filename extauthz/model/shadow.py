"""What a policy that only looks on says about a decision: told later than the answer, or never."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.ids import PolicyRevision


class ShadowChange(StrEnum):
    """How the shadow differs from the answer that was given."""

    NONE = "none"
    """It would have answered the same."""
    REASON = "reason"
    """It would have denied for another reason."""
    OPENS = "deny_to_allow"
    CLOSES = "allow_to_deny"
    UNTOLD = "untold"
    """It asks for a credential that was not proven."""
    FAILED = "failed"
    """It could not be evaluated, by our own fault."""
    SKIPPED = "skipped"
    """Too many decisions were waiting for it."""


@dataclass(frozen=True, slots=True)
class ShadowOutcome:
    """What the shadow says.

    Attributes:
        change: how that differs from the answer.
        outcome: `allow`, `deny`, `untold` or `failed`.
        policy: revision of the shadow.
        reason: reason code of a denial, or what would be needed to tell.
        rule: that would decide; empty for none.
    """

    change: ShadowChange
    outcome: str
    policy: PolicyRevision
    reason: str = ""
    rule: str = ""


class Shadow(Protocol):
    """The place where the outcome appears when it is known."""

    @property
    def outcome(self) -> ShadowOutcome | None:
        """Return what the shadow says; None while that is not known."""
        ...

    def hear(self, listener: Callable[[ShadowOutcome], object]) -> None:
        """Call `listener` with the outcome: now, or as soon as it is known."""
        ...
