"""Rules as written → the rules of every target, precomputed, so that a request is judged by its own rules only.

A rule is compiled once for all targets with the same attributes, and once more for others: `resource.environment` may
be text with two values here and not exist there, which is an error for a rule that reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from extauthz.errors import PolicyError
from extauthz.ids import RuleId
from extauthz.policy.document import ForbidPart, GuardPart
from extauthz.policy.names import PREFLIGHT_RULE, RESERVED_RULE_PREFIX
from extauthz.policy.requirements.cel import compile_written
from extauthz.policy.requirements.registry import compile_requirement
from extauthz.policy.rules import Condition, Forbid, Guard, Permit, Requirement, RouteRules, Who
from extauthz.policy.written import collecting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extauthz.errors import Problem
    from extauthz.policy.document import Clause, PermitPart
    from extauthz.policy.reading import RulePart
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.targets import TargetName, TargetTable
    from extauthz.policy.written import Written

_RULE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")

Rule = Guard | Forbid | Permit


@dataclass(slots=True)
class Rulebook:
    """Collects compiled rules by target.

    Attributes:
        table: every target that rules may speak of.
        surroundings: what rules can see, by target; a target that is not here is damaged and gets no rules.
        problems: what is wrong with the rules.
    """

    table: TargetTable
    surroundings: Mapping[TargetName, Surroundings]
    problems: list[Problem] = field(default_factory=list)
    _ids: dict[str, Written] = field(default_factory=dict)
    _rules: dict[TargetName, list[Rule]] = field(default_factory=dict)

    def add(self, part: RulePart, written: Written) -> None:
        """Compile one rule for every target that it speaks of."""
        with collecting(self.problems):
            self._check_id(part.id, written)
        compiled: dict[Surroundings, Rule] = {}
        for target in self._targets(part, written):
            around = self.surroundings.get(target)
            if around is None:
                continue
            if around not in compiled:
                try:
                    compiled[around] = compile_rule(part, written, around)
                except PolicyError as error:
                    self.problems.extend(error.problems)
                    return  # The same rule elsewhere would mostly repeat the same problems.
            self._rules.setdefault(target, []).append(compiled[around])

    def rules_of(self, target: TargetName) -> RouteRules:
        """Return every rule that concerns `target`, in the order in which they were added."""
        rules = self._rules.get(target, [])
        return RouteRules(
            guards=tuple(rule for rule in rules if isinstance(rule, Guard)),
            forbids=tuple(rule for rule in rules if isinstance(rule, Forbid)),
            permits=tuple(rule for rule in rules if isinstance(rule, Permit)),
        )

    def _check_id(self, rule_id: str, written: Written) -> None:
        place = written.at("id")
        if _RULE_ID.fullmatch(rule_id) is None:
            place.refuse("not a rule id", "use letters, digits, `.`, `_`, `/` and `-`, at most 128")
        if rule_id == PREFLIGHT_RULE or rule_id.startswith(RESERVED_RULE_PREFIX):
            place.refuse(f"the rule id `{rule_id}` is reserved", "choose another")
        first = self._ids.setdefault(rule_id, place)
        if first is not place:
            there = first.problem("")
            place.refuse(f"the rule id `{rule_id}` is taken by {there.file}:{there.line}", "choose another")

    def _targets(self, part: RulePart, written: Written) -> tuple[TargetName, ...]:
        key, patterns = ("on", part.on) if isinstance(part, GuardPart | ForbidPart) else ("may", part.may)
        found: dict[TargetName, None] = {}
        for position, pattern in enumerate(patterns):
            targets = self.table.select(pattern)
            found.update(dict.fromkeys(targets))
            if not targets:
                with collecting(self.problems):
                    written.at(key, position).refuse(f"`{pattern}` is not declared", self.table.advice(pattern))
        return tuple(found)


def compile_rule(part: RulePart, written: Written, surroundings: Surroundings) -> Rule:
    """Return the rule that `part` states, for targets with these surroundings.

    Raises:
        PolicyError: a condition or requirement is wrong; every problem found is listed.
    """
    problems: list[Problem] = []
    when: Condition | None = None
    if part.when is not None:
        with collecting(problems):
            when = compile_written(part.when, written.at("when"), surroundings)
    key, clauses = ("unless", part.unless) if isinstance(part, ForbidPart) else ("require", part.require)
    requirements = _requirements(clauses, written.at(key), surroundings, problems)
    if problems:
        raise PolicyError(problems)
    rule_id = RuleId(part.id)
    if isinstance(part, GuardPart):
        return Guard(id=rule_id, when=when, require=requirements, observe=part.observe)
    if isinstance(part, ForbidPart):
        return Forbid(id=rule_id, when=when, unless=requirements, observe=part.observe)
    return Permit(id=rule_id, who=_who(part), when=when, require=requirements, observe=part.observe)


def _requirements(
    clauses: Iterable[Clause], written: Written, surroundings: Surroundings, problems: list[Problem]
) -> tuple[Requirement, ...]:
    found: list[Requirement] = []
    for position, clause in enumerate(clauses):
        place = written.at(position, clause.kind)
        if place.path not in written.file.places:
            place = written.at(clause.kind)  # One mapping instead of a list of them.
        with collecting(problems):
            found.append(compile_requirement(clause, place, surroundings))
    return tuple(found)


def _who(part: PermitPart) -> Who:
    who = part.who
    return Who(
        kinds=frozenset(who.kind),
        issuers=frozenset(who.issuers),
        clients=frozenset(who.clients),
        subjects=frozenset(who.subjects),
        roles=frozenset(who.roles),
        actor_only=part.limit == "actor",
    )
