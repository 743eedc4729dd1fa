"""Rules as the evaluator sees them: compiled, immutable, attached to one resource and action.

`policy/compile.py` makes them, `policy/evaluate.py` asks them, `policy/combine.py` judges the outcomes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from extauthz.ids import RuleId
    from extauthz.model.facts import Facts
    from extauthz.model.spend import Spend
    from extauthz.model.state import StateName
    from extauthz.model.verdict import Remedy


class ConditionFailed(Exception):  # noqa: N818 — it is an outcome of evaluation, always caught by `evaluate`
    """A condition could not be evaluated: a fact is not known, or the expression overran its budget."""


class Condition(Protocol):
    """A compiled `when`."""

    @property
    def reads(self) -> frozenset[str]:
        """Flat names of the facts it reads."""
        ...

    def holds(self, facts: Facts) -> bool:
        """Return whether the condition holds.

        Raises:
            ConditionFailed: it could not be evaluated; that is neither true nor false.
        """
        ...


@dataclass(frozen=True, slots=True)
class Met:
    """The requirement holds.

    Attributes:
        spends: what it uses up if the request is allowed.
    """

    spends: tuple[Spend, ...] = ()


@dataclass(frozen=True, slots=True)
class Unmet:
    """The requirement does not hold.

    Attributes:
        reason: what the client is told when this one decides.
        remedy: how the client can repair it; None when it cannot.
        detail: a sentence for the client that names the fix.
    """

    reason: Reason
    remedy: Remedy | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The requirement could not be evaluated.

    Attributes:
        inner: why, for the record only.
        reason: `evaluation_failed`, or `evidence_unavailable` when somebody who has the say did not answer.
    """

    inner: str = ""
    reason: Reason = Reason.EVALUATION_FAILED


Finding = Met | Unmet | Failed
"""What one requirement says."""

MET = Met()


class Requirement(Protocol):
    """A compiled requirement."""

    @property
    def kind(self) -> str:
        """Its name in the policy language, for example `scopes`."""
        ...

    @property
    def reads(self) -> frozenset[str]:
        """Flat names of the facts it reads."""
        ...

    def find(self, facts: Facts) -> Finding:
        """Return whether the requirement holds for these facts; never raises."""
        ...

    def changes_at(self, facts: Facts) -> float:
        """Return the first instant after `facts.at` at which time alone may change the finding; `inf` for never."""
        ...

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return the changeable facts that `find` will look for in `facts.state`; usually none."""
        ...


class Stateless:
    """A requirement that looks at no changeable facts besides the caller's own."""

    __slots__ = ()

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return none."""
        del facts
        return ()


class Timeless(Stateless):
    """A requirement whose finding time alone does not change, and that looks at no changeable facts."""

    __slots__ = ()

    def changes_at(self, facts: Facts) -> float:
        """Return `inf`."""
        del facts
        return math.inf


@dataclass(frozen=True, slots=True)
class Observed:
    """A requirement that only records that it does not hold; what it asks for is asked all the same."""

    requirement: Requirement

    @property
    def kind(self) -> str:
        """Return the name of the requirement."""
        return self.requirement.kind

    @property
    def reads(self) -> frozenset[str]:
        """Return what the requirement reads."""
        return self.requirement.reads

    def find(self, facts: Facts) -> Finding:
        """Return what the requirement finds."""
        return self.requirement.find(facts)

    def changes_at(self, facts: Facts) -> float:
        """Return when the finding may change, since the record says what it is."""
        return self.requirement.changes_at(facts)

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return what the requirement looks for."""
        return self.requirement.needs(facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Whom a permit is for. An empty set asks nothing; a non-empty one asks for a member.

    Attributes:
        roles: any of them; unlike the others a missing role leaves the permit applying but unmet (`role_missing`).
        actor_only: `limit: actor`: only the acting party must match, not the subject too.
    """

    kinds: frozenset[str] = frozenset()
    issuers: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    subjects: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    actor_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Must hold whatever any permit says."""

    id: RuleId
    when: Condition | None = None
    require: tuple[Requirement, ...]
    observe: bool = False
    enforced: tuple[Requirement, ...] = field(init=False, compare=False, repr=False)
    watched: tuple[Requirement, ...] = field(init=False, compare=False, repr=False)
    """The two sorts of `require`: what must hold, and what only leaves a note."""

    def __post_init__(self) -> None:
        _tell_apart(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbid:
    """Denies when it applies, unless every requirement of `unless` holds (an empty `unless` never lifts it)."""

    id: RuleId
    when: Condition | None = None
    unless: tuple[Requirement, ...] = ()
    observe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Grants when it applies and all its requirements hold."""

    id: RuleId
    who: Who
    when: Condition | None = None
    require: tuple[Requirement, ...] = ()
    observe: bool = False
    enforced: tuple[Requirement, ...] = field(init=False, compare=False, repr=False)
    watched: tuple[Requirement, ...] = field(init=False, compare=False, repr=False)
    """As in `Guard`."""

    def __post_init__(self) -> None:
        _tell_apart(self)


def _tell_apart(rule: Guard | Permit) -> None:
    """Fill `enforced` and `watched`, once and not for each request."""
    enforced = tuple(each for each in rule.require if not isinstance(each, Observed))
    object.__setattr__(rule, "enforced", enforced)
    object.__setattr__(rule, "watched", tuple(each for each in rule.require if isinstance(each, Observed)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRules:
    """Every rule that concerns one resource and action, in file order."""

    guards: tuple[Guard, ...] = ()
    forbids: tuple[Forbid, ...] = ()
    permits: tuple[Permit, ...] = ()
    in_turn: tuple[Forbid | Guard | Permit, ...] = field(init=False, compare=False, repr=False)
    """All of them, in the order in which they are asked."""
    requirements: tuple[Requirement, ...] = field(init=False, compare=False)
    """Every requirement of every rule, also of those that may not apply."""
    stateful: tuple[Requirement, ...] = field(init=False, compare=False, repr=False)
    """Those of them that may look at changeable facts."""
    timed: tuple[Requirement, ...] = field(init=False, compare=False, repr=False)
    """Those of them whose finding time alone may change."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "in_turn", (*self.forbids, *self.guards, *self.permits))
        asked = tuple(
            chain(
                *(guard.require for guard in self.guards),
                *(forbid.unless for forbid in self.forbids),
                *(permit.require for permit in self.permits),
            )
        )
        object.__setattr__(self, "requirements", asked)
        object.__setattr__(self, "stateful", tuple(each for each in asked if not _inherits(each, Stateless, "needs")))
        object.__setattr__(self, "timed", tuple(each for each in asked if not _inherits(each, Timeless, "changes_at")))


def _inherits(requirement: Requirement, mixin: type, method: str) -> bool:
    """Return whether a requirement has the answer of a mix-in, which is the same for all facts."""
    asked = requirement.requirement if isinstance(requirement, Observed) else requirement
    return getattr(type(asked), method, None) is getattr(mixin, method)
