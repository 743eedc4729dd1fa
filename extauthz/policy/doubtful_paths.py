"""Doubts about resources: paths that nobody reaches or that cross, bodies that one looks at and another does not."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from extauthz.policy.attributes import FromPath

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from extauthz.errors import Problem
    from extauthz.policy.declaration import Declaration
    from extauthz.policy.index import Shape

_WITH_BODY: Final = ("POST", "PUT", "PATCH")

_MOST_COMPARED: Final = 200
"""Templates of one host and first literal that are compared with each other; more are a generated policy."""

Spots = dict[tuple[str, "Shape"], list["Declaration"]]


def doubt_paths(declarations: Sequence[Declaration]) -> Iterator[Problem]:
    """Yield warnings about resources."""
    spots: Spots = {}
    for each in declarations:
        for host in dict.fromkeys(each.hosts):
            spots.setdefault((host, each.template.shape), []).append(each)
    yield from _unread_bodies(spots)
    yield from _shadowed(declarations, spots)
    yield from _crossing(spots)


def _unread_bodies(spots: Spots) -> Iterator[Problem]:
    """Where one resource is decided by the body, another on the same path should hardly ignore it."""
    for there in spots.values():
        reader = next((each for each in there if each.body is not None), None)
        if reader is None:
            continue
        place = reader.written.problem("")
        for each in there:
            if each.body is None and set(each.methods) & set(_WITH_BODY):
                message = f"{place.file}:{place.line} is decided by the body on the same path, this is not"
                yield each.written.problem(message, "add an attribute from the body, or another path")


def _shadowed(declarations: Sequence[Declaration], spots: Spots) -> Iterator[Problem]:
    """A parameter with closed values is never reached when each value has a literal path of its own."""
    for each in declarations:
        for attribute in each.route.attributes:
            origin = attribute.origin
            if not isinstance(origin, FromPath) or origin.rest or not attribute.one_of:
                continue
            shape = each.template.shape
            literal = [
                (*shape[: origin.position], str(value), *shape[origin.position + 1 :]) for value in attribute.one_of
            ]
            if all(_is_declared(spots, host, path, each.methods) for host in each.hosts for path in literal):
                message = f"every value of `{attribute.name}` has a path of its own, so this is never meant"
                yield each.written.at("match", "path").problem(message, "remove it, or one of the others")


def _is_declared(spots: Spots, host: str, shape: Shape, methods: Sequence[str]) -> bool:
    there = {method for each in spots.get((host, shape), ()) for method in each.methods}
    return set(methods) <= there


def _crossing(spots: Spots) -> Iterator[Problem]:
    """Of two templates that fit some of the same paths, neither more specific, the leftmost literal decides."""
    hosts: dict[str, dict[int, list[tuple[Shape, Declaration]]]] = {}
    for (host, shape), there in spots.items():
        if False in shape:
            for each in there:
                hosts.setdefault(host, {}).setdefault(len(shape), []).append((shape, each))
    for host, by_length in hosts.items():
        for alike in by_length.values():
            for (shape, each), (other_shape, other) in combinations(alike[:_MOST_COMPARED], 2):
                both = _meeting(shape, other_shape)
                methods = sorted(set(each.methods) & set(other.methods))
                if both is None or not methods or _is_declared(spots, host, both, methods):
                    continue
                loser, winner = (other, each) if _wins(shape, other_shape) else (each, other)
                place = winner.written.problem("")
                message = f"`{_path(both)}` fits here and at {place.file}:{place.line}, which wins there"
                yield loser.written.at("match", "path").problem(message, "declare that path itself, or change one")


def _meeting(first: Shape, second: Shape) -> Shape | None:
    """Return the paths that both fit; None when there are none, or one of them is more specific."""
    steps = []
    for one, other in zip(first, second, strict=True):
        if isinstance(one, str) and isinstance(other, str) and one != other:
            return None
        if "" in {one, other} and one != other:
            return None  # A final slash is no parameter's value.
        steps.append(one if isinstance(one, str) else other)
    both = tuple(steps)
    return None if both in {first, second} else both


def _wins(first: Shape, second: Shape) -> bool:
    """Return whether the look-up takes `first`: it has a literal where they first differ."""
    return next(isinstance(one, str) for one, other in zip(first, second, strict=True) if one != other)


def _path(shape: Shape) -> str:
    return "/" + "/".join(step if isinstance(step, str) else ("{…=**}" if step else "{…}") for step in shape)


def literal_values(declaration: Declaration) -> Mapping[str, tuple[str, ...]]:
    """Return the values of facts about the request that a declaration fixes: methods, and hosts when all are exact."""
    methods = dict.fromkeys((*declaration.methods, *(["HEAD"] if "GET" in declaration.methods else [])))
    exact = all(not host.startswith("*") for host in declaration.hosts)
    return {"request.method": tuple(methods), **({"request.host": declaration.hosts} if exact else {})}
