"""Why a decision came out as it did: every rule of the route, what it required, what was found, and what was read.

Nothing is judged here: each rule by itself is put to the evaluator that serves, each requirement is asked as it is
there, and the verdict is the one that was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from extauthz.audit.redact import to_recorded
from extauthz.judge import NotRecorded
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, to_published
from extauthz.policy.combine import Effect, State
from extauthz.policy.evaluate import outcome_of
from extauthz.policy.rules import ConditionFailed, Failed, Forbid, Guard, Met, Permit, RouteRules, Unmet, Who
from extauthz.policytools.values import find_values, find_values_of, to_shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extauthz.judge import Judged
    from extauthz.model.facts import Facts
    from extauthz.model.verdict import Verdict
    from extauthz.policy.rules import Condition, Requirement

Rule = Guard | Forbid | Permit

_EFFECTS: Final = {Guard: "guard", Forbid: "forbid", Permit: "permit"}
_HOLDING: Final = {Effect.GUARD: "holds", Effect.FORBID: "fires", Effect.PERMIT: "grants"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A condition, a requirement or a `who`, and what was found.

    Attributes:
        what: `when`, `who`, or the kind of requirement.
        found: `holds`, `unmet`, `failed`, or `untold` when a record does not hold what it reads.
        text: the condition as written; empty for others.
        reason: what an unmet requirement would tell the client.
        detail: a sentence; why it failed, or what would repair it.
        remedy: how the client can repair it; None when it cannot.
        values: what it reads, by flat name, secrets redacted.
    """

    what: str
    found: str
    text: str = ""
    reason: str = ""
    detail: str = ""
    remedy: Mapping[str, object] | None = None
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explained:
    """A rule and what became of it.

    Attributes:
        effect: `guard`, `forbid` or `permit`.
        id: of the rule.
        state: `does not apply`, `holds`, `unmet`, `failed`, `fires`, `lifted`, `grants` or `untold`.
        observe: it only watches.
        decided: it is the rule that the verdict names.
        asked: in the order of the rule.
    """

    effect: str
    id: str
    state: str
    observe: bool = False
    decided: bool = False
    asked: tuple[Asked, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A decision, taken apart.

    Attributes:
        request: method, host and path.
        outcome: `allow`, `deny`, or `untold`.
        reason: reason code.
        target: `resource.action`; empty when the request means none.
        policy: revision.
        caller: who asked, by field.
        attributes: of the resource.
        rules: of the route: forbids, guards, permits.
        detail: sentence for the client.
        inner: what happened inside.
        remedies: as they are published.
        why_remedies: why these are told, or none.
        missing: what a record does not hold and the decision needs.
    """

    request: str
    outcome: str
    reason: str
    target: str = ""
    policy: str = ""
    caller: Mapping[str, object] = field(default_factory=dict)
    attributes: Mapping[str, object] = field(default_factory=dict)
    rules: tuple[Explained, ...] = ()
    detail: str = ""
    inner: str = ""
    remedies: tuple[Mapping[str, object], ...] = ()
    why_remedies: str = ""
    missing: str = ""


def explain(judged: Judged) -> Explanation:
    """Return a decision taken apart."""
    decision, verdict, request = judged.decision, judged.verdict, judged.request
    denied = None if isinstance(verdict, Allow) else verdict
    target = decision.target
    rules = _explain_rules(judged.route.rules, judged.facts, verdict) if judged.route and judged.facts else ()
    return Explanation(
        request=f"{request.method} {request.host}{to_recorded(request.path)}" if request is not None else "",
        outcome="untold" if judged.missing else "allow" if denied is None else "deny",
        reason=decision.reason.value,
        target=f"{target.resource}.{target.action}" if target is not None else "",
        policy=decision.policy or "",
        caller=_caller(judged),
        attributes={name: to_shown(value) for name, value in judged.attributes.items()},
        rules=rules,
        detail=denied.detail if denied is not None else "",
        inner=denied.inner if denied is not None else "",
        remedies=tuple(to_published(remedy) for remedy in denied.remedies) if denied is not None else (),
        why_remedies=_why(verdict, rules),
        missing=judged.missing,
    )


def _explain_rules(rules: RouteRules, facts: Facts, verdict: Verdict) -> tuple[Explained, ...]:
    in_turn: tuple[Rule, ...] = (*rules.forbids, *rules.guards, *rules.permits)
    return tuple(_explain_rule(rule, facts, verdict) for rule in in_turn)


def _explain_rule(rule: Rule, facts: Facts, verdict: Verdict) -> Explained:
    asked: list[Asked] = []
    if isinstance(rule, Permit) and rule.who != Who():
        asked.append(_ask_who(rule, facts))
    if rule.when is not None:
        asked.append(_ask_condition(rule.when, facts))
    requirements = rule.unless if isinstance(rule, Forbid) else rule.require
    asked.extend(_ask(requirement, facts) for requirement in requirements)
    return Explained(
        effect=_EFFECTS[type(rule)],
        id=rule.id,
        state=_state(rule, facts, asked),
        observe=rule.observe,
        decided=verdict.rule == rule.id,
        asked=tuple(asked),
    )


def _state(rule: Rule, facts: Facts, asked: Iterable[Asked]) -> str:
    """Return what the evaluator makes of the rule, in the words of its effect."""
    try:
        outcome = outcome_of(rule, facts)
    except NotRecorded:
        return "untold"
    if outcome is None:
        applies = all(each.found == "holds" for each in asked if each.what in {"who", "when"})
        return "lifted" if isinstance(rule, Forbid) and applies else "does not apply"
    if outcome.state is State.HOLDS:
        return _HOLDING[outcome.effect]
    return str(outcome.state.value)


def _ask_who(rule: Permit, facts: Facts) -> Asked:
    """Return whether the permit is for the caller, as the evaluator sees it when nothing else is asked."""
    who = rule.who
    demands = {
        "kind": who.kinds,
        "issuers": who.issuers,
        "clients": who.clients,
        "subjects": who.subjects,
        "roles": who.roles,
    }
    text = ", ".join(f"{name}: {' or '.join(sorted(wanted))}" for name, wanted in demands.items() if wanted)
    reads = ["identity.kind", "identity.roles"]
    if who.issuers or who.clients or who.subjects:
        reads = ["identity.kind", "identity.issuer", "identity.client", "identity.subject", "identity.roles"]
    if facts.identity.actor is not None:
        reads = [*reads, *(name.replace("identity.", "actor.") for name in reads if name != "identity.roles")]
    values = find_values(reads, facts)
    try:
        outcome = outcome_of(replace(rule, when=None, require=()), facts)
    except NotRecorded as missing:
        return Asked("who", "untold", text=text, detail=f"not recorded: {missing.what}", values=values)
    if outcome is not None and outcome.state is State.HOLDS:
        return Asked("who", "holds", text=text, values=values)
    unmet = outcome.unmet if outcome is not None else ()
    reason, detail = (unmet[0].reason.value, unmet[0].detail) if unmet else ("", "")
    return Asked("who", "unmet", text=text, reason=reason, detail=detail, values=values)


def _ask_condition(when: Condition, facts: Facts) -> Asked:
    text = str(getattr(when, "text", ""))
    values = find_values(sorted(when.reads), facts)
    try:
        return Asked("when", "holds" if when.holds(facts) else "unmet", text=text, values=values)
    except ConditionFailed as failure:
        return Asked("when", "failed", text=text, detail=str(failure), values=values)
    except NotRecorded as missing:
        return Asked("when", "untold", text=text, detail=f"not recorded: {missing.what}", values=values)


def _ask(requirement: Requirement, facts: Facts) -> Asked:
    try:
        finding = requirement.find(facts)
    except NotRecorded as missing:
        values = find_values_of(requirement, facts)
        return Asked(requirement.kind, "untold", detail=f"not recorded: {missing.what}", values=values)
    values = find_values_of(requirement, facts)
    match finding:
        case Met():
            return Asked(requirement.kind, "holds", values=values)
        case Unmet():
            remedy = to_published(finding.remedy) if finding.remedy is not None else None
            return Asked(
                requirement.kind,
                "unmet",
                reason=finding.reason.value,
                detail=finding.detail,
                remedy=remedy,
                values=values,
            )
        case Failed():
            return Asked(requirement.kind, "failed", detail=finding.inner, values=values)


def _caller(judged: Judged) -> dict[str, object]:
    identity = judged.identity
    if identity is None:
        return {}
    known: dict[str, object] = {"kind": identity.subject.kind or "", "subject": identity.subject.subject}
    if identity.actor is not None:
        known |= {"actor kind": identity.actor.kind or "", "actor": identity.actor.subject}
    known |= {"client": identity.client, "tenant": identity.tenant}
    return {name: to_shown(str(value)) for name, value in known.items() if value}


def _why(verdict: Verdict, rules: Iterable[Explained]) -> str:
    """Return why a denial names remedies, or none."""
    if isinstance(verdict, Allow):
        return ""
    if verdict.remedies:
        return "everything that is missing can be repaired by the caller, so all of it is named"
    enforced = [rule for rule in rules if not rule.observe]
    if any(rule.state == "fires" for rule in enforced):
        return "a forbid fires, so nothing would help"
    failed = any(rule.state == "failed" and rule.effect != "permit" for rule in enforced)
    if failed or verdict.reason is Reason.EVIDENCE_UNAVAILABLE:
        return "a rule could not be evaluated, so nothing can be promised"
    stuck = [
        f"`{asked.what}` of `{rule.id}`"
        for rule in enforced
        for asked in rule.asked
        if rule.state == "unmet" and asked.found == "unmet" and asked.remedy is None
    ]
    if stuck:
        return "the caller cannot repair " + " and ".join(stuck)
    return "no permit is for this caller" if verdict.reason is Reason.NO_PERMIT else ""
