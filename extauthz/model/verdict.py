"""What policy says: a closed sum of allow and deny, with what would repair a denial."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, assert_never

from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.ids import RuleId
    from extauthz.model.spend import Spend


@dataclass(frozen=True, slots=True)
class ObtainScopes:
    """Ask for a token with these scopes as well.

    Attributes:
        scopes: every scope the action needs, those already held included, sorted (one round trip repairs all).
    """

    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepUp:
    """Sign in again, more strongly or more recently (RFC 9470).

    Attributes:
        acr_values: acceptable authentication contexts in order of preference; empty when any will do.
        max_age: seconds since the last active authentication; None when its age does not matter.
    """

    acr_values: tuple[str, ...] = ()
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class UseMethod:
    """Use one of these methods (RFC 9110 section 15.5.6; it becomes the `allow` header).

    Attributes:
        methods: sorted, upper case.
    """

    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Come again later (RFC 9110 section 10.2.3; it becomes the `retry-after` header).

    Attributes:
        opens_at: the first instant at which the same may be allowed; not a promise that it will be.
    """

    opens_at: Instant


@dataclass(frozen=True, slots=True)
class SeekApproval:
    """Have somebody approve it.

    Attributes:
        id: names what is to be approved: the same for the same thing, the same caller and the same approvers.
    """

    id: str


@dataclass(frozen=True, slots=True)
class PresentTicket:
    """Name a ticket that covers it.

    Attributes:
        attribute: the attribute of the resource that holds the id of the ticket.
        state: in which the ticket must be; empty when any will do.
        names: attributes of the resource that the ticket must name, sorted.
    """

    attribute: str
    state: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportPosture:
    """Have the state of the device or workload reported.

    Attributes:
        of: `device` or `workload`.
        max_age: seconds that a report may be old.
    """

    of: str
    max_age: int


@dataclass(frozen=True, slots=True)
class BeginTask:
    """Begin a task that this is part of."""


Remedy = ObtainScopes | StepUp | UseMethod | WaitUntil | SeekApproval | PresentTicket | ReportPosture | BeginTask


def to_published(remedy: Remedy) -> dict[str, object]:  # noqa: PLR0911 — one for each kind of remedy
    """Return the JSON form of a remedy, one for problem bodies and decision records; `kind` tells which it is."""
    match remedy:
        case ObtainScopes(scopes):
            return {"kind": "scopes", "scopes": list(scopes)}
        case UseMethod(methods):
            return {"kind": "method", "methods": list(methods)}
        case StepUp(acr_values, max_age):
            age = {} if max_age is None else {"max_age": max_age}
            return {"kind": "step_up", "acr_values": list(acr_values), **age}
        case WaitUntil(opens_at):
            return {"kind": "window", "opens_at": to_moment(opens_at)}
        case SeekApproval(name):
            return {"kind": "approval", "id": name}
        case PresentTicket(attribute, state, names):
            return {"kind": "ticket", "attribute": attribute, "state": state, "names": list(names)}
        case ReportPosture(of, seconds):
            return {"kind": "posture", "of": of, "max_age": seconds}
        case BeginTask():
            return {"kind": "task"}
        case _:
            assert_never(remedy)


def to_moment(at: Instant) -> str:
    """Return an instant in UTC for people and machines, whole seconds rounded up (RFC 3339)."""
    return datetime.fromtimestamp(-(-at // 1), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Which rules took part, for the record.

    Attributes:
        met: guards that applied and held, permits that granted.
        unmet: guards, forbids and permits that applied and stood in the way, with failed ones.
        would_deny: observed forbids and guards that would have denied, and rules that hold although an observed
            requirement of theirs does not.
        would_allow: observed permits that would have granted.
    """

    met: tuple[RuleId, ...] = ()
    unmet: tuple[RuleId, ...] = ()
    would_deny: tuple[RuleId, ...] = ()
    would_allow: tuple[RuleId, ...] = ()


NO_TRAIL = Trail()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """Let the request through.

    Attributes:
        reason: the stable code, always the same one.
        rule: the permit that granted; the first in file order.
        spends: what its requirements, those of guards and those that lifted a forbid use up.
    """

    reason: ClassVar[Reason] = Reason.ALLOWED

    rule: RuleId
    spends: tuple[Spend, ...] = ()
    trail: Trail = NO_TRAIL


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """Refuse the request.

    Attributes:
        reason: the stable code; it fixes status and title (`model/reason.py`).
        detail: a sentence for the client that names the fix; empty when the title says it all.
        remedies: how to become allowed, all at once; empty when nothing the client can do would help, or when saying so
            would reveal more than it helps.
        rule: the rule that decided, when one did.
        inner: what happened, for the record only.
        schemes: authentication schemes that the client tried, where the resource does not say which one counts.
    """

    reason: Reason
    detail: str = ""
    remedies: tuple[Remedy, ...] = ()
    rule: RuleId | None = None
    trail: Trail = NO_TRAIL
    inner: str = ""
    schemes: tuple[str, ...] = ()


Verdict = Allow | Deny
