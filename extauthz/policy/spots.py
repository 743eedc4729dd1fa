"""Declarations → the index of routes. What shares host, path and method must be told apart by something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.policy.attributes import FromForm
from extauthz.policy.index import Index
from extauthz.policy.matching import Fork, are_disjoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extauthz.errors import Problem
    from extauthz.policy.declaration import Declaration
    from extauthz.policy.index import Shape
    from extauthz.policy.ruleset import Route

Declared = tuple["Declaration", "Route"]
"""A declaration, and its route with rules."""


def build_spots(
    declarations: Sequence[Declaration], routes: Sequence[Route]
) -> tuple[Index[Route | Fork], list[Problem]]:
    """Return the index, and where two declarations could mean the same request.

    Args:
        declarations: every declared resource.
        routes: the route of each.
    """
    spots: dict[tuple[str, Shape, str], list[Declared]] = {}
    for declared in zip(declarations, routes, strict=True):
        each = declared[0]
        for host, method in dict.fromkeys((host, method) for host in each.hosts for method in each.methods):
            spots.setdefault((host, each.template.shape, method), []).append(declared)
    index: Index[Route | Fork] = Index()
    problems: dict[Problem, None] = {}
    forks: dict[tuple[int, ...], Route | Fork] = {}
    for (host, _, method), there in spots.items():
        problems.update(dict.fromkeys(_clashes(there)))
        together = tuple(id(route) for _, route in there)
        if together not in forks:
            forks[together] = _entry(there)
        index.add(host, there[0][0].template, method, forks[together])
    return index, list(problems)


def _entry(there: Sequence[Declared]) -> Route | Fork:
    first, route = there[0]
    if len(there) == 1 and not first.distinctions:
        return route
    body = next((each.body for each, _ in there if each.body is not None), None)
    return Fork(tuple((each.distinctions, its_route) for each, its_route in there), body)


def _clashes(there: Sequence[Declared]) -> Iterator[Problem]:
    for position, (each, _) in enumerate(there):
        for other, _ in there[:position]:
            place = other.written.problem("")
            if not are_disjoint(other.distinctions, each.distinctions):
                message = f"{place.file}:{place.line} declares the same host, path and method"
                fix = "change one, or tell them apart by different values of the same header, parameter or member"
                yield each.written.problem(message, fix)
            elif each.body and other.body and isinstance(each.body, FromForm) is not isinstance(other.body, FromForm):
                message = f"{place.file}:{place.line} reads the body of the same requests otherwise"
                yield each.written.at("body").problem(message, "declare the same `body`")
