"""Policy files → one immutable ruleset, or every problem in them.

1. Read every part by itself (`reading.py`).
2. Declare the resources: names, paths, attributes (`declaration.py`); the same name and action has the same attributes.
3. Compile every rule for the targets that it speaks of (`rulebook.py`).
4. Index the resources; two that a request could not tell apart are an error.

Nothing of a policy with a problem is used.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from extauthz.errors import PolicyError, Problem
from extauthz.ids import PolicyRevision
from extauthz.policy.attributes import Fixed, FromContext, FromHeader, FromPath
from extauthz.policy.declaration import Declaration, ProfileFace, declare
from extauthz.policy.document import ForbidPart, GuardPart, PermitPart
from extauthz.policy.doubts import find_doubts
from extauthz.policy.mcpmessage import HEADERS_READ
from extauthz.policy.names import FACTS, OWN_NAME, PREFLIGHT_RULE, Fact
from extauthz.policy.precedence import find_taken
from extauthz.policy.reading import read_parts
from extauthz.policy.requirements.revalidate import smallest_max_age, unaskable
from extauthz.policy.rulebook import Rulebook
from extauthz.policy.ruleset import Counts, Route, Ruleset
from extauthz.policy.spots import build_spots
from extauthz.policy.surroundings import Surroundings
from extauthz.policy.targets import TargetTable
from extauthz.policy.written import collecting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from extauthz.model.facts import AttributeValue
    from extauthz.policy.document import ResourcePart
    from extauthz.policy.homes import Ground
    from extauthz.policy.reading import Parts
    from extauthz.policy.requirements.plugin import AddedKind
    from extauthz.policy.rulebook import Rule
    from extauthz.policy.targets import TargetName
    from extauthz.policy.written import Written

__all__ = ["PolicyContext", "ProfileFace", "compile_policy", "revision_of"]

_REVISION_DIGITS: Final = 16
_VISIBLE: Final = (FromPath, FromContext, Fixed)
"""Where attributes come from that are no secret (`policy/names.py: Fact.visible`)."""


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What the settings say that policies refer to.

    Attributes:
        profiles: verification profiles by name; None leaves the names in policies unchecked.
        acr: for each authentication context the others that also satisfy it.
        spends: whether there is a state, in which uses are counted.
        plugins: kinds of requirements that plug-ins add; None when there are no settings, which name them.
        decision_points: names of others who can be asked; None when there are no settings, which name them.
        enforced_namespaces: namespaces that settings enforce while everything else is observed; they must be there.
    """

    profiles: Mapping[str, ProfileFace] | None = None
    acr: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spends: bool = True
    plugins: Mapping[str, AddedKind] | None = None
    decision_points: Collection[str] | None = None
    enforced_namespaces: tuple[str, ...] = ()


def compile_policy(files: Mapping[str, bytes], context: PolicyContext) -> Ruleset:
    """Return the ruleset that the files state together.

    Args:
        files: content by name; the order of the names is the order of the rules.
        context: what policies may refer to.

    Raises:
        PolicyError: something is wrong; every problem that could be found is listed, by file and line.
    """
    parts = read_parts(files)
    problems = list(parts.problems)
    declarations = _declare(parts, context, problems)
    problems.extend(_missing_namespaces(parts, context, min(files, default="policy")))
    problems.extend(_inconsistencies(declarations))
    problems.extend(find_taken(declarations))
    rulebook = _compile_rules(parts, declarations, context)
    problems.extend(rulebook.problems)
    routes = [_route(each, rulebook) for each in declarations]
    problems.extend(_unaskable(declarations, routes, context))
    index, clashes = build_spots(declarations, routes)
    problems.extend(clashes)
    if problems:
        raise PolicyError(sorted(set(problems)))
    return Ruleset(
        revision=revision_of(files),
        index=index,
        headers_read=frozenset(
            origin.name
            for declaration in declarations
            for origin in declaration.origins
            if isinstance(origin, FromHeader)
        )
        | (HEADERS_READ if any(route.mcp for route in routes) else frozenset()),
        attributes=frozenset(attribute.name for route in routes for attribute in route.attributes),
        streams=frozenset(route.target.resource for route in routes if route.upgrades),
        namespaces=parts.namespaces,
        counts=_counts(parts),
        warnings=tuple(find_doubts(min(files, default="policy"), declarations, routes, rulebook)),
    )


def revision_of(files: Mapping[str, bytes]) -> PolicyRevision:
    """Return the name of a policy's content: names and bytes of its files, each after its length."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for piece in (name.encode("utf-8", "surrogateescape"), files[name]):
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    return PolicyRevision(digest.hexdigest()[:_REVISION_DIGITS])


def _missing_namespaces(parts: Parts, context: PolicyContext, file: str) -> Iterator[Problem]:
    """Yield the namespaces that settings enforce and that are not there: nothing of them would be enforced."""
    for name in context.enforced_namespaces:
        if name not in parts.namespaces:
            message = f"the settings enforce the namespace `{name}`, which no root policy declares"
            yield Problem(file, 0, 0, message, "declare it, or remove it from `enforced_namespaces`")


def _declare(parts: Parts, context: PolicyContext, problems: list[Problem]) -> list[Declaration]:
    declarations: list[Declaration] = []
    for part, written in parts.resources:
        before = len(problems)
        with collecting(problems):
            ground = parts.ground_of(written)
            _require_own(part, ground, written)
            declarations.append(declare(part, written, context.profiles, ground))
        if len(problems) > before:
            parts.damaged.append((part.name, part.action))
    return declarations


def _require_own(part: ResourcePart, ground: Ground, written: Written) -> None:
    """Refuse a team's resource on hosts of others, or under our own name."""
    if ground.namespace and part.name == OWN_NAME:
        written.at("name").refuse(f"`{OWN_NAME}` is the root's", "choose another name")
    for host in part.match.host:
        if not ground.may_declare(host):
            fix = "name one of its hosts: " + ", ".join(ground.hosts or ())
            written.at("match", "host").refuse(f"`{host}` is not a host of the namespace `{ground.namespace}`", fix)


def _inconsistencies(declarations: Sequence[Declaration]) -> list[Problem]:
    """Return where the same resource and action is declared with other attributes, or a resource by two namespaces.

    Rules could not speak of both.
    """
    first: dict[TargetName, Declaration] = {}
    named: dict[str, Declaration] = {}
    problems = []
    for each in declarations:
        other = first.setdefault(each.target, each)
        if other.signature != each.signature:
            there = other.written.problem("")
            message = f"`{'.'.join(each.target)}` has other attributes at {there.file}:{there.line}"
            problems.append(each.written.problem(message, "declare the same names, types and values, or rename one"))
        same = named.setdefault(each.target[0], each)
        if same.ground.namespace != each.ground.namespace:
            there = same.written.problem("")
            message = f"the resource `{each.target[0]}` is another namespace's at {there.file}:{there.line}"
            problems.append(each.written.at("name").problem(message, "choose another name"))
    return problems


def _compile_rules(parts: Parts, declarations: Sequence[Declaration], context: PolicyContext) -> Rulebook:
    targets = [(each.target, each.ground.namespace) for each in declarations]
    rulebook = Rulebook(
        TargetTable([*((target, "") for target in parts.damaged), *targets]),
        _surroundings(declarations, context, parts.damaged),
        parts.constants,
        parts.windows,
        {part.id: written.at("id") for part, written in parts.rules if not parts.ground_of(written).namespace},
    )
    for part, written in parts.rules:
        rulebook.add(part, written, parts.ground_of(written))
    return rulebook


def _route(declaration: Declaration, rulebook: Rulebook) -> Route:
    """Return a declaration's route with its rules, whose they are, and whose allows are sampled."""
    rules = rulebook.rules_of(declaration.target)
    home = declaration.ground.home
    every: tuple[Rule, ...] = (*rules.guards, *rules.forbids, *rules.permits)
    homes = {rule.id: rulebook.homes[rule.id] for rule in every}
    said = {permit.id: {rulebook.recorded[permit.id], declaration.record} for permit in rules.permits}
    said[PREFLIGHT_RULE] = {declaration.record}
    target = replace(
        declaration.route.target,
        home=home,
        homes={rule: its for rule, its in homes.items() if its != home},
        sampled=frozenset(rule for rule, words in said.items() if "sampled" in words and "always" not in words),
    )
    return replace(
        declaration.route,
        target=target,
        rules=rules,
        revalidate=smallest_max_age(rules),
        mcp=any(requirement.kind == "mcp" for requirement in rules.requirements),
    )


def _unaskable(
    declarations: Sequence[Declaration], routes: Sequence[Route], context: PolicyContext
) -> Iterator[Problem]:
    """Yield where an issuer's word is asked for that nobody can get."""
    for declaration, route in zip(declarations, routes, strict=True):
        face = (context.profiles or {}).get(route.verify or "")
        problem = unaskable(declaration, face) if route.revalidate is not None else None
        if problem is not None:
            yield problem


def _surroundings(
    declarations: Sequence[Declaration], context: PolicyContext, damaged: Sequence[TargetName]
) -> dict[TargetName, Surroundings]:
    names = [*(declaration.target for declaration in declarations), *damaged]
    shared: dict[str, Fact] = {
        **FACTS,
        "resource.name": replace(FACTS["resource.name"], vocabulary=tuple(dict.fromkeys(name for name, _ in names))),
        "resource.action": replace(FACTS["resource.action"], vocabulary=tuple(dict.fromkeys(act for _, act in names))),
    }
    if context.profiles is not None:
        shared["identity.profile"] = replace(FACTS["identity.profile"], vocabulary=tuple(context.profiles))
    fixed = _fixed_values(declarations)
    hidden = {
        (each.target, attribute.name)
        for each in declarations
        for attribute in each.route.attributes
        if not isinstance(attribute.origin, _VISIBLE)
    }
    known: dict[object, Surroundings] = {}
    found: dict[TargetName, Surroundings] = {}
    for each in declarations:
        attributes = tuple(
            (name, kind, choices or fixed.get((each.target, name), ()), (each.target, name) not in hidden)
            for name, kind, choices in each.signature
        )
        if attributes not in known:
            own = {
                f"resource.{name}": Fact(kind, tuple(str(choice) for choice in choices), visible)
                for name, kind, choices, visible in attributes
            }
            known[attributes] = Surroundings(
                ".".join(each.target),
                {**shared, **own},
                context.acr,
                spends=context.spends,
                plugins=context.plugins,
                decision_points=context.decision_points,
            )
        found.setdefault(each.target, known[attributes])
    return found


def _fixed_values(declarations: Sequence[Declaration]) -> dict[tuple[TargetName, str], tuple[AttributeValue, ...]]:
    """Return the values of attributes that the policy states wherever a target is declared: a closed vocabulary too."""
    found: dict[tuple[TargetName, str], dict[AttributeValue, None]] = {}
    open_ones: set[tuple[TargetName, str]] = set()
    for each in declarations:
        for attribute in each.route.attributes:
            key = (each.target, attribute.name)
            if isinstance(attribute.origin, Fixed):
                found.setdefault(key, {})[attribute.origin.value] = None
            else:
                open_ones.add(key)
    return {key: tuple(values) for key, values in found.items() if key not in open_ones}


def _counts(parts: Parts) -> Counts:
    kinds = [type(part) for part, _ in parts.rules]
    return Counts(
        resources=len(parts.resources),
        guards=kinds.count(GuardPart),
        forbids=kinds.count(ForbidPart),
        permits=kinds.count(PermitPart),
    )
