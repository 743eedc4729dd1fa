"""Rules as written → the rules of every target, precomputed, so that a request is judged by its own rules only.

A rule is compiled once for all targets with the same attributes, and once more for others: `resource.environment` may
be text with two values here and not exist there, which is an error for a rule that reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from extauthz.errors import PolicyError
from extauthz.ids import RuleId
from extauthz.policy.document import ForbidPart, GuardPart, PermitPart
from extauthz.policy.homes import ANYWHERE, Ground
from extauthz.policy.involves import compile_when
from extauthz.policy.names import OWN_NAME, PREFLIGHT_RULE, RESERVED_RULE_PREFIX
from extauthz.policy.requirements.registry import compile_requirement
from extauthz.policy.rules import Condition, Forbid, Guard, Observed, Permit, Requirement, RouteRules, Who
from extauthz.policy.written import collecting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extauthz.errors import Problem
    from extauthz.model.decision import Home
    from extauthz.model.facts import AttributeValue
    from extauthz.policy.document import Clause, Record
    from extauthz.policy.reading import RulePart
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.targets import TargetName, TargetTable
    from extauthz.policy.windows import Window
    from extauthz.policy.written import Written

_RULE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")

Rule = Guard | Forbid | Permit


@dataclass(frozen=True, slots=True)
class Added:
    """A rule without problems, as written, its full id and its targets."""

    part: RulePart
    written: Written
    id: RuleId
    targets: tuple[TargetName, ...]


@dataclass(slots=True)
class Rulebook:
    """Collects compiled rules by target.

    Attributes:
        table: every target that rules may speak of.
        surroundings: what rules can see, by target; a target that is not here is damaged and gets no rules.
        constants: what conditions can name, by namespace.
        windows: change windows by name, by namespace.
        root_ids: where the rules of the root stand, by id; a team's rule is never called like one of them.
        homes: whose each rule is, by its full id.
        recorded: what permits say about records of their allows, by full id.
        problems: what is wrong with the rules.
        added: every rule with its targets, as added.
    """

    table: TargetTable
    surroundings: Mapping[TargetName, Surroundings]
    constants: Mapping[str, Mapping[str, AttributeValue]] = field(default_factory=dict)
    windows: Mapping[str, Mapping[str, Window]] = field(default_factory=dict)
    root_ids: Mapping[str, Written] = field(default_factory=dict)
    homes: dict[RuleId, Home] = field(default_factory=dict)
    recorded: dict[RuleId, Record | None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    added: list[Added] = field(default_factory=list)
    _ids: dict[str, Written] = field(default_factory=dict)
    _rules: dict[TargetName, list[Rule]] = field(default_factory=dict)
    _seen: dict[tuple[Surroundings, str], Surroundings] = field(default_factory=dict)

    def add(self, part: RulePart, written: Written, ground: Ground = ANYWHERE) -> None:
        """Compile one rule for every target that it speaks of; `ground` is where it belongs."""
        with collecting(self.problems):
            self._check_id(part.id, ground, written)
        rule_id = RuleId(ground.full_id(part.id))
        self.homes[rule_id] = ground.home
        self.recorded[rule_id] = part.record if isinstance(part, PermitPart) else None
        compiled: dict[Surroundings, Rule] = {}
        targets = self._targets(part, ground, written)
        for target in targets:
            base = self.surroundings.get(target)
            if base is None:
                continue
            around = self._with_names(base, ground.namespace)
            if around not in compiled:
                try:
                    compiled[around] = compile_rule(part, rule_id, written, around)
                except PolicyError as error:
                    self.problems.extend(error.problems)
                    return  # The same rule elsewhere would mostly repeat the same problems.
            self._rules.setdefault(target, []).append(compiled[around])
        self.added.append(Added(part, written, rule_id, targets))

    def rules_of(self, target: TargetName) -> RouteRules:
        """Return every rule that concerns `target`, in the order in which they were added."""
        rules = self._rules.get(target, [])
        return RouteRules(
            guards=tuple(rule for rule in rules if isinstance(rule, Guard)),
            forbids=tuple(rule for rule in rules if isinstance(rule, Forbid)),
            permits=tuple(rule for rule in rules if isinstance(rule, Permit)),
        )

    def _with_names(self, base: Surroundings, namespace: str) -> Surroundings:
        """Return what a rule of a namespace sees at a target."""
        constants, windows = self.constants.get(namespace, {}), self.windows.get(namespace, {})
        if not constants and not windows:
            return base
        if (base, namespace) not in self._seen:
            self._seen[base, namespace] = replace(base, constants=constants, windows=windows)
        return self._seen[base, namespace]

    def _check_id(self, rule_id: str, ground: Ground, written: Written) -> None:
        place = written.at("id")
        if _RULE_ID.fullmatch(rule_id) is None:
            place.refuse("not a rule id", "use letters, digits, `.`, `_`, `/` and `-`, at most 128")
        if rule_id == PREFLIGHT_RULE or rule_id.startswith(RESERVED_RULE_PREFIX):
            place.refuse(f"the rule id `{rule_id}` is reserved", "choose another")
        first = self._ids.setdefault(ground.full_id(rule_id), place)
        if first is not place:
            there = first.problem("")
            place.refuse(f"the rule id `{rule_id}` is taken by {there.file}:{there.line}", "choose another")
        root = self.root_ids.get(rule_id) if ground.namespace else None
        if root is not None:
            there = root.problem("")
            message = f"the root policy has a rule `{rule_id}` at {there.file}:{there.line}, which stays as it is"
            place.refuse(message, "choose another id")

    def _targets(self, part: RulePart, ground: Ground, written: Written) -> tuple[TargetName, ...]:
        key, patterns = ("on", part.on) if isinstance(part, GuardPart | ForbidPart) else ("may", part.may)
        found: dict[TargetName, None] = {}
        for position, pattern in enumerate(patterns):
            with collecting(self.problems):
                found.update(dict.fromkeys(self._select(pattern, ground, written.at(key, position))))
        return tuple(found)

    def _select(self, pattern: str, ground: Ground, place: Written) -> tuple[TargetName, ...]:
        if ground.namespace and pattern.partition(".")[0] == OWN_NAME:
            place.refuse(f"`{OWN_NAME}` is the root's", "move the rule to the root policy")
        targets = self.table.select(pattern, ground.namespace)
        if not targets:
            place.refuse(f"`{pattern}` is not declared", self.table.advice(pattern))
        for target in targets:
            owner = self.table.owner_of(target)
            if ground.namespace and owner != ground.namespace:
                message = f"`{target[0]}` belongs to {f'the namespace `{owner}`' if owner else 'the root'}"
                place.refuse(message, f"speak of resources of `{ground.namespace}`, or move the rule")
        return targets


def compile_rule(part: RulePart, rule_id: RuleId, written: Written, surroundings: Surroundings) -> Rule:
    """Return the rule that `part` states under its full id, for targets with these surroundings.

    Raises:
        PolicyError: a condition or requirement is wrong; every problem found is listed.
    """
    written = replace(written, rule=rule_id, space=rule_id.removesuffix(part.id))
    problems: list[Problem] = []
    when: Condition | None = None
    if part.when is not None:
        with collecting(problems):
            when = compile_when(part.when, written.at("when"), surroundings)
    key, clauses = ("unless", part.unless) if isinstance(part, ForbidPart) else ("require", part.require)
    requirements = _requirements(clauses, written.at(key), surroundings, problems)
    if problems:
        raise PolicyError(problems)
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
            requirement = compile_requirement(clause, place, surroundings)
            if clause.observe and written.path[-1] == "unless":
                place.refuse("what lifts a forbid cannot merely be observed", "observe the forbid, or remove `observe`")
            found.append(Observed(requirement) if clause.observe else requirement)
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
