"""Doubts about rules: those that never apply, permits that nobody can meet or needs, resources that nothing permits."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Final

from extauthz.clock import Instant
from extauthz.model.facts import Facts
from extauthz.model.identity import ANONYMOUS, Credential, Kind
from extauthz.model.request import Request
from extauthz.policy.attributes import Fixed
from extauthz.policy.document import ForbidPart, PermitPart
from extauthz.policy.doubtful_paths import literal_values
from extauthz.policy.involves import Both, Involves
from extauthz.policy.names import FactType
from extauthz.policy.requirements.identity import IdentityIs
from extauthz.policy.rules import ConditionFailed, Forbid, Guard, Permit, Who

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from extauthz.errors import Problem
    from extauthz.ids import RuleId
    from extauthz.policy.declaration import Declaration
    from extauthz.policy.rulebook import Added
    from extauthz.policy.rules import Condition
    from extauthz.policy.ruleset import Route

_MOST_COMBINATIONS: Final = 512
"""Combinations of closed values for which one condition is tried; with more it is taken to hold somewhere."""

_NOWHERE: Final = Request(method="", host="", path="", segments=())
_PROVEN: Final = frozenset(kind.value for kind in Kind if kind is not Kind.ANONYMOUS)
_ANONYMOUS: Final = frozenset({Kind.ANONYMOUS.value})

Values = tuple[object, ...]


def doubt_rules(
    declarations: Sequence[Declaration], routes: Sequence[Route], added: Sequence[Added]
) -> Iterator[Problem]:
    """Yield warnings about rules.

    Args:
        declarations: every declared resource.
        routes: the route of each, with rules.
        added: every rule as written.
    """
    seen = _Seen()
    for declaration, route in zip(declarations, routes, strict=True):
        seen.look(declaration, route)
        if all(rule.observe for rule in route.rules.permits):
            fix = "write a permit for it, or remove it"
            yield declaration.written.problem("no permit speaks of this, so it is always refused", fix)
    for each in added:
        yield from _doubt(each, seen)


@dataclass(slots=True)
class _Seen:
    """What was seen of rules at any of their targets.

    Attributes:
        alive: rules whose condition may hold somewhere.
        met: permits that some kind of caller can meet somewhere.
        fates: whether a rule is banned, spare or needed at its targets.
        instead: the rule that bans it or makes it spare.
    """

    alive: set[RuleId] = field(default_factory=set)
    met: set[RuleId] = field(default_factory=set)
    fates: dict[RuleId, set[str]] = field(default_factory=dict)
    instead: dict[RuleId, RuleId] = field(default_factory=dict)

    def look(self, declaration: Declaration, route: Route) -> None:
        """Look at every rule of one target."""
        rules = route.rules
        ban = next((rule.id for rule in rules.forbids if _is_unconditional(rule)), None)
        grant = next((rule.id for rule in rules.permits if _is_unconditional(rule)), None)
        every: tuple[Forbid | Guard | Permit, ...] = (*rules.forbids, *rules.guards, *rules.permits)
        for rule in every:
            if rule.id not in self.alive and _may_apply(rule, declaration, route):
                self.alive.add(rule.id)
            if isinstance(rule, Permit) and rule.id not in self.met and _has_caller(rule, route):
                self.met.add(rule.id)
            if ban not in {None, rule.id}:
                self._note(rule.id, "banned", ban)
            elif isinstance(rule, Permit) and grant not in {None, rule.id}:
                self._note(rule.id, "spare", grant)
            else:
                self._note(rule.id, "needed", None)

    def _note(self, rule: RuleId, fate: str, instead: RuleId | None) -> None:
        self.fates.setdefault(rule, set()).add(fate)
        if instead is not None:
            self.instead.setdefault(rule, instead)


def _doubt(each: Added, seen: _Seen) -> Iterator[Problem]:
    fates = seen.fates.get(each.id, set())
    if isinstance(each.part, PermitPart) and each.id not in seen.met:
        fix = "compare `who` with its requirements, its guards and `credential`"
        yield each.written.at("who").problem("no kind of caller can meet this permit", fix)
    elif each.id not in seen.alive:
        verb = "fires" if isinstance(each.part, ForbidPart) else "applies"
        message = f"the rule never {verb}: its condition is false for every value that there can be"
        yield each.written.at("when").problem(message, "change the condition, or remove the rule")
    elif fates == {"banned"}:
        message = f"the rule is never reached: `{seen.instead[each.id]}` forbids all that it speaks of"
        yield each.written.problem(message, "remove one of the two")
    elif fates == {"spare"}:
        message = f"the permit is never needed: `{seen.instead[each.id]}` permits the same to everyone"
        yield each.written.problem(message, "remove one of the two")


def _is_unconditional(rule: Forbid | Permit) -> bool:
    """Return whether a rule decides everything at its targets whatever the facts."""
    if rule.when is not None or rule.observe:
        return False
    return not rule.unless if isinstance(rule, Forbid) else not rule.require and rule.who == Who()


def _has_caller(permit: Permit, route: Route) -> bool:
    """Return whether some kind of caller could meet a permit, as far as kinds tell."""
    subject = acting = _ANONYMOUS if route.credential is Credential.NONE else _PROVEN
    who = permit.who
    if subject is _ANONYMOUS and (who.issuers or who.clients or who.subjects or who.roles):
        return False
    if who.kinds:
        acting &= who.kinds
        subject &= subject if who.actor_only else who.kinds
    asked = (*permit.require, *_sure(route.rules.guards))
    for requirement in asked:
        if isinstance(requirement, IdentityIs) and requirement.kinds:
            subject &= requirement.kinds if requirement.of in {"everyone", "subject"} else subject
            acting &= requirement.kinds if requirement.of in {"everyone", "actor"} else acting
    return bool(subject and acting)


def _sure(guards: Sequence[Guard]) -> Iterator[object]:
    """Yield what guards require of every request."""
    for guard in guards:
        if guard.when is None and not guard.observe:
            yield from guard.require


def _may_apply(rule: Forbid | Guard | Permit, declaration: Declaration, route: Route) -> bool:
    if rule.when is None:
        return True
    anonymous = route.credential is Credential.NONE
    kinds: frozenset[str] = _ANONYMOUS if anonymous else _PROVEN
    if isinstance(rule, Permit) and rule.who.kinds and not rule.who.actor_only:
        kinds &= rule.who.kinds
    return _may_hold(rule.when, _closed_values(declaration, route, kinds), anonymous=anonymous)


def _closed_values(declaration: Declaration, route: Route, kinds: frozenset[str]) -> dict[str, Values]:
    """Return for each fact whose values are all known what they are. One that may be missing is not here."""
    closed: dict[str, Values] = {
        **literal_values(declaration),
        "identity.kind": tuple(sorted(kinds)),
        "resource.name": (route.target.resource,),
        "resource.action": (route.target.action,),
    }
    for attribute in route.attributes:
        name = f"resource.{attribute.name}"
        if attribute.optional and attribute.default is None:
            continue
        if isinstance(attribute.origin, Fixed):
            closed[name] = (attribute.origin.value,)
        elif attribute.one_of:
            closed[name] = attribute.one_of
        elif attribute.type is FactType.FLAG:
            closed[name] = (False, True)
    return closed


def _may_hold(when: Condition, closed: Mapping[str, Values], *, anonymous: bool) -> bool:
    """Return whether a condition holds or fails for some values; False only when it is false for all of them.

    Facts that are not closed are left out. An expression that would need one fails then, unless the others settle it.
    """
    if isinstance(when, Both):
        return all(_may_hold(part, closed, anonymous=anonymous) for part in (when.first, when.second))
    if isinstance(when, Involves):
        return not anonymous or when.holds(_facts({}))
    reads = when.reads | ({"identity.kind"} if "identity.human" in when.reads else frozenset())
    names = sorted(reads & closed.keys())
    if prod(len(closed[name]) for name in names) > _MOST_COMBINATIONS:
        return True
    combinations = product(*(closed[name] for name in names))
    return any(_holds_or_fails(when, dict(zip(names, values, strict=True))) for values in combinations)


def _holds_or_fails(when: Condition, values: dict[str, object]) -> bool:
    if "identity.kind" in values:  # `identity.human` says whether this is `user`
        values["identity.human"] = values["identity.kind"] == Kind.USER.value
    try:
        return when.holds(_facts(values))
    except ConditionFailed:
        return True


def _facts(values: Mapping[str, object]) -> Facts:
    return Facts(request=_NOWHERE, identity=ANONYMOUS, at=Instant(0.0), variables=values)
