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
from extauthz.policy.attributes import FromHeader
from extauthz.policy.declaration import Declaration, ProfileFace, declare
from extauthz.policy.document import ForbidPart, GuardPart, PermitPart
from extauthz.policy.index import build_index
from extauthz.policy.names import FACTS, Fact
from extauthz.policy.reading import read_parts
from extauthz.policy.rulebook import Rulebook
from extauthz.policy.ruleset import Counts, Route, Ruleset
from extauthz.policy.surroundings import Surroundings
from extauthz.policy.targets import TargetTable
from extauthz.policy.written import collecting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extauthz.policy.index import Index
    from extauthz.policy.reading import Parts
    from extauthz.policy.targets import TargetName

__all__ = ["PolicyContext", "ProfileFace", "compile_policy", "revision_of"]

_REVISION_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """What the settings say that policies refer to.

    Attributes:
        profiles: verification profiles by name; None leaves the names in policies unchecked.
        acr: for each authentication context the others that also satisfy it.
    """

    profiles: Mapping[str, ProfileFace] | None = None
    acr: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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
    problems.extend(_inconsistencies(declarations))
    rulebook = _compile_rules(parts, declarations, context)
    problems.extend(rulebook.problems)
    index, clashes = _index(declarations, rulebook)
    problems.extend(clashes)
    if problems:
        raise PolicyError(sorted(set(problems)))
    return Ruleset(
        revision=revision_of(files),
        index=index,
        headers_read=frozenset(
            attribute.origin.name
            for declaration in declarations
            for attribute in declaration.route.attributes
            if isinstance(attribute.origin, FromHeader)
        ),
        counts=_counts(parts),
        warnings=tuple(_warnings(files, declarations)),
    )


def revision_of(files: Mapping[str, bytes]) -> PolicyRevision:
    """Return the name of a policy's content: names and bytes of its files, each after its length."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for piece in (name.encode("utf-8", "surrogateescape"), files[name]):
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    return PolicyRevision(digest.hexdigest()[:_REVISION_DIGITS])


def _declare(parts: Parts, context: PolicyContext, problems: list[Problem]) -> list[Declaration]:
    declarations: list[Declaration] = []
    for part, written in parts.resources:
        before = len(problems)
        with collecting(problems):
            declarations.append(declare(part, written, context.profiles))
        if len(problems) > before:
            parts.damaged.append((part.name, part.action))
    return declarations


def _inconsistencies(declarations: Sequence[Declaration]) -> list[Problem]:
    """Return where the same resource and action is declared with other attributes: rules could not speak of both."""
    first: dict[TargetName, Declaration] = {}
    problems = []
    for each in declarations:
        other = first.setdefault(each.target, each)
        if other.signature != each.signature:
            there = other.written.problem("")
            message = f"`{'.'.join(each.target)}` has other attributes at {there.file}:{there.line}"
            problems.append(each.written.problem(message, "declare the same names, types and values, or rename one"))
    return problems


def _compile_rules(parts: Parts, declarations: Sequence[Declaration], context: PolicyContext) -> Rulebook:
    targets = [declaration.target for declaration in declarations]
    rulebook = Rulebook(TargetTable([*targets, *parts.damaged]), _surroundings(declarations, context, parts.damaged))
    for part, written in parts.rules:
        rulebook.add(part, written)
    return rulebook


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
    known: dict[object, Surroundings] = {}
    found: dict[TargetName, Surroundings] = {}
    for each in declarations:
        if each.signature not in known:
            attributes = {
                f"resource.{name}": Fact(kind, tuple(str(choice) for choice in choices))
                for name, kind, choices in each.signature
            }
            known[each.signature] = Surroundings(".".join(each.target), {**shared, **attributes}, context.acr)
        found.setdefault(each.target, known[each.signature])
    return found


def _index(declarations: Sequence[Declaration], rulebook: Rulebook) -> tuple[Index[Route], list[Problem]]:
    routes = [replace(each.route, rules=rulebook.rules_of(each.target)) for each in declarations]
    written = {id(route): each.written for route, each in zip(routes, declarations, strict=True)}
    index, clashes = build_index(
        (host, each.template, method, route)
        for route, each in zip(routes, declarations, strict=True)
        for host in each.hosts
        for method in each.methods
    )
    problems = []
    for first, second in clashes:
        there = written[id(first)].problem("")
        message = f"{there.file}:{there.line} declares the same host, path and method"
        problems.append(written[id(second)].problem(message, "change one, or remove it"))
    return index, problems


def _counts(parts: Parts) -> Counts:
    kinds = [type(part) for part, _ in parts.rules]
    return Counts(
        resources=len(parts.resources),
        guards=kinds.count(GuardPart),
        forbids=kinds.count(ForbidPart),
        permits=kinds.count(PermitPart),
    )


def _warnings(files: Mapping[str, bytes], declarations: Sequence[Declaration]) -> list[Problem]:
    if declarations:
        return []
    name = min(files, default="policy")
    return [Problem(name, 0, 0, "the policy declares no resource, so every request is refused", "declare `resources`")]
