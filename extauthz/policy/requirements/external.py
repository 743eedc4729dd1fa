"""`external: {ask: risk-engine, id: resource.project, send: [identity.tenant]}`: another decision point allows it too.

It is asked as OpenID AuthZEN (Authorization API 1.0) says: who (the subject, with issuer, client and whoever acts),
what (action and resource, with its attributes), and in the context what the rule lists under `send`; nothing else
leaves us. It can only refuse what our rules would allow:

1. `decision` is true, and nothing is asked of us in return: an obligation that we do not know would not be met.
2. When it is false, and names the authentication contexts that would do, a person is told to sign in with one.
3. Everything else, an answer that does not come included, is no answer: `evidence_unavailable`.

What is asked is the same as long as all that was sent is the same, so an answer counts for nothing else.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from extauthz.model.enquiry import Enquiry
from extauthz.model.reason import Reason
from extauthz.model.verdict import StepUp
from extauthz.policy.document import Part, Words
from extauthz.policy.requirements.form import read_part
from extauthz.policy.requirements.standing import digest_of
from extauthz.policy.rules import MET, Failed, Finding, Stateless, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.enquiry import Answered
    from extauthz.model.facts import Facts
    from extauthz.model.identity import Principal
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

KIND: Final = "external"
_WHOLE: Final = "*"
"""The id of the resource where the rule names no fact for it."""

_ALWAYS: Final = frozenset({"identity.subject", "identity.issuer", "resource.name", "resource.action"})


class ExternalPart(Part):
    """Who is asked, and what is sent."""

    ask: str = Field(min_length=1)
    id: str | None = None
    send: Words = ()


@dataclass(frozen=True, slots=True)
class AllowedElsewhere(Stateless):
    """Another decision point allows it.

    Attributes:
        ask: its name in the settings.
        id: the fact that tells one resource from another; empty for none.
        send: the facts that it gets as context, those that are known.
    """

    ask: str
    id: str
    send: tuple[str, ...]
    reads: frozenset[str]
    kind: str = KIND

    def find(self, facts: Facts) -> Finding:
        """Return what it has answered."""
        if self.id and self.id not in facts.variables:
            return Failed(f"{self.id} is not known, and {self.ask} would be asked about it")
        answered = self._answer(facts)
        if answered is None:
            return Failed(f"{self.ask} has not answered", Reason.EVIDENCE_UNAVAILABLE)
        said: Mapping[str, Any] = answered.said
        context = said.get("context") or {}
        if said["decision"] is not True:
            return _refused(context, facts)
        if context.get("obligations"):
            return Unmet(Reason.EXTERNAL_DENIED, detail="It would be allowed under conditions that cannot be met here.")
        return MET

    def changes_at(self, facts: Facts) -> float:
        """Return until when the answer holds; at once when there is none, and never where it was not asked for."""
        if self not in facts.said:
            return math.inf
        answered = self._answer(facts)
        return facts.at if answered is None or answered.until is None else max(answered.until, facts.at)

    def _answer(self, facts: Facts) -> Answered | None:
        if self not in facts.said:
            facts.said[self] = facts.enquiries.find_answer(self._enquiry(facts))
        found: Answered | None = facts.said[self]
        return found

    def _enquiry(self, facts: Facts) -> Enquiry:
        question = self._question(facts)
        return Enquiry(kind=KIND, of=self.ask, digest=digest_of(self.ask, question).hex(), question=question)

    def _question(self, facts: Facts) -> dict[str, Any]:
        """Return the evaluation request (AuthZEN 1.0, section 5)."""
        identity = facts.identity
        subject = _party(identity.subject)
        if identity.actor is not None:
            subject["properties"]["actors"] = [_party(party) for party in (identity.actor, *identity.chain)]
        known = {name: facts.variables[name] for name in self.send if name in facts.variables}
        return {
            "subject": subject,
            "action": {"name": facts.variables.get("resource.action", "")},
            "resource": {
                "type": facts.variables.get("resource.name", ""),
                "id": str(facts.variables[self.id]) if self.id else _WHOLE,
                "properties": dict(facts.attributes),
            },
            "context": json.loads(json.dumps(known, default=list)),
        }


def _party(party: Principal) -> dict[str, Any]:
    properties = {"issuer": party.issuer, "client": party.client}
    return {
        "type": party.kind.value if party.kind is not None else "identity",
        "id": party.subject,
        "properties": {name: text for name, text in properties.items() if text},
    }


def _refused(context: Mapping[str, Any], facts: Facts) -> Unmet:
    """Return the refusal; a person can sign in with one of the contexts that would do."""
    named = context.get("acr_values")
    contexts = named.split() if isinstance(named, str) else named
    if facts.identity.human and isinstance(contexts, list) and contexts and all(_is_context(each) for each in contexts):
        return Unmet(Reason.STEP_UP_REQUIRED, StepUp(acr_values=tuple(contexts)))
    return Unmet(Reason.EXTERNAL_DENIED)


def _is_context(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable() and not set(value) & set(' "\\')


def compile_external(argument: Any, written: Written, surroundings: Surroundings) -> AllowedElsewhere:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: settings do not name the decision point, or a fact is none.
    """
    part = read_part(ExternalPart, argument, written)
    points = surroundings.decision_points
    if points is not None and part.ask not in points:
        fix = did_you_mean(part.ask, points) if points else "name it under `decision_points` in the settings"
        written.at("ask").refuse(f"there is no decision point `{part.ask}`", fix)
    for name, place in [*zip(part.send, (("send", n) for n in range(len(part.send))), strict=True), (part.id, ("id",))]:
        if name is not None and name not in surroundings.facts:
            message = f"`{name}` is not a fact of {surroundings.label}"
            written.at(*place).refuse(message, did_you_mean(name, surroundings.facts))
    reads = frozenset({*_ALWAYS, *part.send, *([part.id] if part.id is not None else [])})
    return AllowedElsewhere(part.ask, part.id or "", part.send, reads)
