"""Facts that change by themselves or by somebody's hand, as requirements look for them; `model/state.py` names them.

Whoever collects them puts them in place as these values. What is not there is not known, and what is not known never
lets anything through.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """Somebody who approved.

    Attributes:
        issuer: who vouched for the approver.
        subject: unique within the issuer.
        roles: at the time.
        groups: at the time.
    """

    issuer: str = ""
    subject: str
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A grant; kind `approval`, of the digest that `SeekApproval` names.

    Attributes:
        approvers: who approved.
        approved_at: when.
        until: first instant at which it counts no longer.
        task: the only task that it is for; empty for any.
    """

    approvers: tuple[Approver, ...]
    approved_at: Instant
    until: Instant
    task: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket of a change system; kind `ticket`, of its id.

    Attributes:
        state: as the change system calls it.
        names: what it is about, by name.
        until: first instant at which it counts no longer.
    """

    state: str
    names: Mapping[str, str] = field(default_factory=dict)
    until: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """The state of a device or workload; kind `posture`, of `device ID` or `workload KEY`.

    Attributes:
        compliant: whether it is as it should be.
        observed_at: when that was seen.
    """

    compliant: bool
    observed_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a caller is about to do; kind `task`, of the workload key.

    Attributes:
        id: names it.
        may: what is part of it: `resource.action`, or `resource.*`.
        names: values that attributes of resources may have, by attribute.
        until: first instant at which it is over.
    """

    id: str
    may: frozenset[str]
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    until: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUse:
    """How a session is used; kind `session`, of `ISSUER SESSION`.

    Attributes:
        started_at: when it began.
        seen_at: when it was last used.
        longest_pause: seconds of the longest time that it was not used, between two uses.
        sources: addresses that it is used from.
    """

    started_at: Instant
    seen_at: Instant
    longest_pause: float = 0.0
    sources: frozenset[str] = frozenset()


class RiskLevel(StrEnum):
    """How much risk, in words; the order is that of the definition."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


SCORES: Final[Mapping[RiskLevel, int]] = {RiskLevel.LOW: 0, RiskLevel.MEDIUM: 50, RiskLevel.HIGH: 100}
"""The score of a level, where only the level is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The risk of somebody; kind `risk`, of `ISSUER SUBJECT`.

    Attributes:
        score: 0 to 100.
        level: the same in words.
        until: first instant at which it is not known any more.
    """

    score: int
    level: RiskLevel
    until: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Familiarity:
    """Whether a caller is known to do something; kind `familiar`, of `WORKLOAD RESOURCE.ACTION`."""

    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowPlace:
    """Where a caller is in a declared workflow; kind `workflow`, of `NAME WORKLOAD`.

    Attributes:
        next: the steps that may come now.
        until: first instant at which the workflow is over.
    """

    next: frozenset[str]
    until: Instant
