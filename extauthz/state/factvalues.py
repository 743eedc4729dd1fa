"""From JSON to the frozen values of facts, kind by kind. What does not fit is an error, never a smaller value."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from extauthz.clock import Instant
from extauthz.model.standing_facts import (
    Approval,
    Approver,
    Familiarity,
    Posture,
    Risk,
    RiskLevel,
    Task,
    Ticket,
    WorkflowPlace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Approver(_Value):
    issuer: str = ""
    subject: str
    roles: list[str] = []
    groups: list[str] = []

    def value(self) -> Approver:
        return Approver(
            issuer=self.issuer, subject=self.subject, roles=frozenset(self.roles), groups=frozenset(self.groups)
        )


class _Approval(_Value):
    approvers: list[_Approver]
    approved_at: FiniteFloat
    until: FiniteFloat
    task: str = ""

    def value(self) -> Approval:
        return Approval(
            approvers=tuple(approver.value() for approver in self.approvers),
            approved_at=Instant(self.approved_at),
            until=Instant(self.until),
            task=self.task,
        )


class _Ticket(_Value):
    state: str
    names: dict[str, str] = {}
    until: FiniteFloat

    def value(self) -> Ticket:
        return Ticket(state=self.state, names=MappingProxyType(dict(self.names)), until=Instant(self.until))


class _Posture(_Value):
    compliant: bool
    observed_at: FiniteFloat

    def value(self) -> Posture:
        return Posture(compliant=self.compliant, observed_at=Instant(self.observed_at))


class _Task(_Value):
    id: str
    may: list[str]
    names: dict[str, list[str]] = {}
    until: FiniteFloat

    def value(self) -> Task:
        names = {name: frozenset(values) for name, values in self.names.items()}
        return Task(id=self.id, may=frozenset(self.may), names=MappingProxyType(names), until=Instant(self.until))


class _Risk(_Value):
    score: int
    level: Literal["low", "medium", "high"]
    until: FiniteFloat

    def value(self) -> Risk:
        return Risk(score=self.score, level=RiskLevel(self.level), until=Instant(self.until))


class _Familiarity(_Value):
    known: bool

    def value(self) -> Familiarity:
        return Familiarity(known=self.known)


class _WorkflowPlace(_Value):
    next: list[str]
    until: FiniteFloat

    def value(self) -> WorkflowPlace:
        return WorkflowPlace(next=frozenset(self.next), until=Instant(self.until))


_KINDS: Final[dict[str, Callable[[Mapping[str, Any]], object]]] = {
    "approval": lambda document: _Approval.model_validate(document).value(),
    "ticket": lambda document: _Ticket.model_validate(document).value(),
    "posture": lambda document: _Posture.model_validate(document).value(),
    "task": lambda document: _Task.model_validate(document).value(),
    "risk": lambda document: _Risk.model_validate(document).value(),
    "familiar": lambda document: _Familiarity.model_validate(document).value(),
    "workflow": lambda document: _WorkflowPlace.model_validate(document).value(),
}


def to_value(kind: str, document: Mapping[str, Any]) -> object:
    """Return the frozen value of a fact.

    Raises:
        ValueError: there are no facts of this kind here, or the document is none; the message names the member.
    """
    read = _KINDS.get(kind)
    if read is None:
        message = f"there are no facts of the kind {kind!r} in the table"
        raise ValueError(message)
    try:
        return read(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = f"no fact of the kind {kind!r}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise ValueError(message) from None
