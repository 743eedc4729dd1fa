"""What would change: decisions before and after, grouped and counted in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_GROUPS: Final = 2_000
"""Groups that are counted apart; a log with more is counted on, but what is beyond them only in sum."""

MAX_EXAMPLES: Final = 3
"""Examples that are kept of each group."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request was, or would be, answered.

    Attributes:
        allowed: it goes through.
        reason: reason code.
    """

    allowed: bool
    reason: str

    def __str__(self) -> str:
        """Return `allow`, or `deny` with the reason."""
        return "allow" if self.allowed else f"deny {self.reason}"


@dataclass(frozen=True, slots=True)
class Group:
    """Decisions that change in the same way.

    Attributes:
        target: `resource.action`; empty when the request means none.
        kind: of the subject; empty when it is not known.
        client: of the caller; empty when it is not known.
        before: the outcome before.
        after: the outcome afterwards.
    """

    target: str
    kind: str
    client: str
    before: Outcome
    after: Outcome

    @property
    def change(self) -> str:
        """Return `opened`, `closed`, or `reason` when only the reason changes."""
        if self.before.allowed is self.after.allowed:
            return "reason"
        return "opened" if self.after.allowed else "closed"


@dataclass(slots=True)
class Counted:
    """How often something occurred, with its first examples."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one more."""
        self.count += 1
        if example and len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example)


@dataclass(slots=True)
class Tally:
    """Decisions before and after, counted.

    Attributes:
        same: decisions that stay as they are.
        groups: those that change.
        beyond: changes outside the groups that are counted apart.
        untold: decisions of which nobody can tell, by what is missing.
        unreadable: lines that are no decision record.
    """

    same: int = 0
    groups: dict[Group, Counted] = field(default_factory=dict)
    beyond: int = 0
    untold: dict[str, Counted] = field(default_factory=dict)
    unreadable: int = 0

    def add(self, group: Group, example: str) -> None:
        """Count a decision that could be told."""
        if group.before == group.after:
            self.same += 1
        elif group in self.groups or len(self.groups) < MAX_GROUPS:
            self.groups.setdefault(group, Counted()).add(example)
        else:
            self.beyond += 1

    def add_untold(self, missing: str, example: str) -> None:
        """Count a decision of which nobody can tell; the names of what can be missing are few."""
        self.untold.setdefault(missing, Counted()).add(example)

    @property
    def changed(self) -> int:
        """Return how many decisions change."""
        return sum(counted.count for counted in self.groups.values()) + self.beyond

    @property
    def total(self) -> int:
        """Return how many decisions were looked at."""
        return self.same + self.changed + self.untold_count

    @property
    def untold_count(self) -> int:
        """Return of how many decisions nobody can tell."""
        return sum(counted.count for counted in self.untold.values())

    def count_of(self, change: str) -> int:
        """Return how many decisions change in this way (see `Group.change`)."""
        return sum(counted.count for group, counted in self.groups.items() if group.change == change)

    def ordered(self) -> Iterator[tuple[Group, Counted]]:
        """Yield the groups: what would open first, then what would close, the largest first."""
        rank = {"opened": 0, "closed": 1, "reason": 2}
        found = sorted(self.groups.items(), key=lambda entry: (rank[entry[0].change], -entry[1].count, entry[0].target))
        yield from found

    def to_json(self) -> dict[str, Any]:
        """Return all of it for machines."""
        return {
            "total": self.total,
            "same": self.same,
            "changed": self.changed,
            "opened": self.count_of("opened"),
            "closed": self.count_of("closed"),
            "other_reason": self.count_of("reason"),
            "beyond_groups": self.beyond,
            "unreadable": self.unreadable,
            "untold": {name: {"count": each.count, "examples": each.examples} for name, each in self.untold.items()},
            "groups": [
                {
                    "change": group.change,
                    "target": group.target,
                    "kind": group.kind,
                    "client": group.client,
                    "before": str(group.before),
                    "after": str(group.after),
                    "count": counted.count,
                    "examples": counted.examples,
                }
                for group, counted in self.ordered()
            ],
        }
