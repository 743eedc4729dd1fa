"""`approval: {by: [support-leads], covers: request, lasts: 15m}`: somebody who may has approved exactly this.

What is approved has a name, a digest of:

1. what is asked: the whole request but for its headers (`request`), the action on this resource (`action`), or the
   resource whatever is done with it (`resource`); attributes always belong to it;
2. who asks: everybody involved, and the client;
3. what else it is bound to: the session, or the key that the credential is bound to;
4. who may approve.

So a grant never fits another request, caller or rule. One that is bound to a task says which, and holds in that only.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, StrictInt

from extauthz.durations import Duration
from extauthz.model.identity import Binding, Credential
from extauthz.model.reason import Reason
from extauthz.model.request import BodyState
from extauthz.model.spend import Spend
from extauthz.model.standing_facts import Approval, Approver, Task
from extauthz.model.state import StateName
from extauthz.model.verdict import SeekApproval
from extauthz.policy.document import Part, Words
from extauthz.policy.requirements.form import listed, read_part, require_counting
from extauthz.policy.requirements.standing import digest_of, known, party_key, target_of
from extauthz.policy.rules import Failed, Finding, Met, Unmet

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.model.facts import Facts
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

Party = Literal["requester", "owner"]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


class ApprovalPart(Part):
    """Who may approve what, and for how long."""

    by: Words
    never: Annotated[tuple[Party, ...], BeforeValidator(_one_or_many, json_schema_input_type=Party | list[Party])] = (
        "requester",
        "owner",
    )
    covers: Literal["request", "action", "resource"]
    bound_to: Literal["session", "task", "key"] | None = None
    uses: Annotated[StrictInt, Field(ge=1)] | None = None
    lasts: Duration


_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_EMPTY: Final = "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Somebody has approved it.

    Attributes:
        by: roles and groups, of which an approver has one.
        never: who does not count as an approver.
        covers: what one approval is for.
        bound_to: what else must stay the same; empty for nothing.
        uses: how often an approval can be used; None for as often as one likes.
        lasts: seconds from the approval on.
    """

    by: tuple[str, ...]
    never: frozenset[str]
    covers: str
    bound_to: str
    uses: int | None
    lasts: float
    reads: frozenset[str] = frozenset({"resource.name", "resource.action", "identity.subject", "identity.client"})
    kind: str = "approval"

    def needs(self, facts: Facts) -> tuple[StateName, ...]:
        """Return the approval, and the task that it may be bound to."""
        asked = self._asked(facts)
        if isinstance(asked, Failed | Unmet):
            return ()
        names = (StateName("approval", asked),)
        return (*names, _task_name(facts)) if self.bound_to == "task" else names

    def find(self, facts: Facts) -> Finding:
        """Return whether there is an approval that holds now."""
        asked = self._asked(facts)
        if isinstance(asked, Failed | Unmet):
            return asked
        grant = known(facts, StateName("approval", asked), Approval)
        if grant is not None and self._holds(grant, facts):
            return Met(self._spends(asked, grant))
        detail = f"Have it approved by {listed(self.by)}."
        if self.bound_to == "task" and _task(facts) is None:
            return Unmet(Reason.APPROVAL_REQUIRED, detail="Approvals for this are bound to a task; begin one.")
        return Unmet(Reason.APPROVAL_REQUIRED, SeekApproval(asked), detail)

    def changes_at(self, facts: Facts) -> float:
        """Return when an approval ends."""
        asked = self._asked(facts)
        if isinstance(asked, Failed | Unmet):
            return math.inf
        edges: list[float] = []
        grant = known(facts, StateName("approval", asked), Approval)
        if grant is not None:
            edges = [grant.approved_at, self._ends(grant)]
        task = _task(facts)
        if self.bound_to == "task" and task is not None:
            edges.append(task.until)
        return min((edge for edge in edges if edge > facts.at), default=math.inf)

    def _holds(self, grant: Approval, facts: Facts) -> bool:
        task = _task(facts)
        if self.bound_to == "task" and (task is None or not grant.task or grant.task != task.id):
            return False
        return grant.approved_at <= facts.at < self._ends(grant) and any(
            self._counts(approver, facts.identity) for approver in grant.approvers
        )

    def _ends(self, grant: Approval) -> float:
        return min(grant.until, grant.approved_at + self.lasts)

    def _counts(self, approver: Approver, identity: Identity) -> bool:
        """Return whether somebody may approve this; whoever is involved in asking is a requester."""
        if not (approver.roles | approver.groups).intersection(self.by):
            return False
        names = {approver.subject, f"{approver.issuer} {approver.subject}"}
        if "requester" in self.never and any(names & {party.subject, party_key(party)} for party in identity.involved):
            return False
        owner = identity.registration.owner if identity.registration is not None else ""
        return "owner" not in self.never or owner not in names

    def _spends(self, asked: str, grant: Approval) -> tuple[Spend, ...]:
        if self.uses is None:
            return ()
        return (
            Spend(
                kind="approval",
                key=digest_of(asked, grant.approved_at),
                limit=self.uses,
                until=grant.until,
                refused=Reason.APPROVAL_REQUIRED,
                detail="The approval is used up; ask for another.",
            ),
        )

    def _asked(self, facts: Facts) -> str | Failed | Unmet:
        """Return the name of what is to be approved, or why there is none."""
        bound = self._bound(facts.identity)
        if not bound:
            return Unmet(
                Reason.APPROVAL_REQUIRED, detail=f"Approvals for this are bound to a {self.bound_to}; have one."
            )
        what = self._what(facts)
        if isinstance(what, Failed):
            return what
        parties = [[party.issuer, party.subject] for party in facts.identity.involved]
        return digest_of(self.covers, what, parties, facts.identity.client, self.bound_to, bound, sorted(self.by)).hex()

    def _bound(self, identity: Identity) -> str:
        match self.bound_to:
            case "session":
                return identity.session
            case "key":
                return _key_of(identity)
            case _:
                return "-"

    def _what(self, facts: Facts) -> list[object] | Failed:
        attributes = dict(facts.attributes)
        if self.covers == "resource":
            return [facts.variables.get("resource.name"), attributes]
        if self.covers == "action":
            return [target_of(facts), attributes]
        request = facts.request
        if request.body.state is BodyState.PARTIAL or (
            request.body.state is BodyState.ABSENT and _may_have_body(request)
        ):
            return Failed("the body that an approval would cover is not shown")
        body = hashlib.sha256(request.body.raw).hexdigest()
        return [target_of(facts), attributes, request.method, request.host, request.path, list(request.query), body]


def compile_approval(argument: Any, written: Written, surroundings: Surroundings) -> Approved:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it does not say who approves what for how long.
    """
    part = read_part(ApprovalPart, argument, written)
    if part.uses is not None:
        require_counting(written.at("uses"), surroundings)
    if part.lasts < 1:
        written.at("lasts").refuse("must be at least one second", "write for example 15m")
    return Approved(
        by=part.by,
        never=frozenset(part.never),
        covers=part.covers,
        bound_to=part.bound_to or "",
        uses=part.uses,
        lasts=part.lasts,
    )


def _may_have_body(request: Request) -> bool:
    """Return whether a request of which no body was shown may have one; any method can, if its headers say so."""
    length = request.headers.first("content-length")
    if length is not None:
        return length != _EMPTY
    return request.method in _WITH_BODY or bool(request.headers.all("transfer-encoding"))


def _key_of(identity: Identity) -> str:
    """Return what names the key that the caller has proven to hold; empty when it has proven none."""
    if identity.credential in {Credential.CERTIFICATE, Credential.API_KEY}:
        return identity.token_id
    confirmation = identity.claims.get("cnf")
    if identity.binding is Binding.NONE or not isinstance(confirmation, dict):
        return ""
    return digest_of(confirmation).hex()


def _task_name(facts: Facts) -> StateName:
    return StateName("task", facts.identity.workload)


def _task(facts: Facts) -> Task | None:
    """Return the caller's task, if one goes on."""
    task = known(facts, _task_name(facts), Task)
    return task if task is not None and _goes_on(task, facts.at) else None


def _goes_on(task: Task, at: Instant) -> bool:
    return at < task.until
