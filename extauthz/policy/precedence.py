"""A team's resource never takes requests away from a resource of the root, whose guards would not see them any more.

The look-up prefers what is more specific (`index.py`). Where the root speaks of a host of a team, a more specific
template of the team would win, so it is refused; one that only gets what the root leaves is not.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from extauthz.errors import Problem
    from extauthz.policy.declaration import Declaration
    from extauthz.policy.index import Shape


def find_taken(declarations: Sequence[Declaration]) -> Iterator[Problem]:
    """Yield where a resource of a namespace would answer requests that a resource of the root is declared for."""
    roots: dict[str, list[Declaration]] = {}
    for each in declarations:
        if not each.ground.namespace:
            for host in dict.fromkeys(each.hosts):
                roots.setdefault(host, []).append(each)
    for team in declarations:
        root = _taken_from(team, roots) if team.ground.namespace else None
        if root is not None:
            there = root.written.problem("")
            message = f"it would take requests from the root's `{root.target[0]}` at {there.file}:{there.line}"
            yield team.written.at("match").problem(message, "choose another path, or ask the root's owner")


def _taken_from(team: Declaration, roots: Mapping[str, Sequence[Declaration]]) -> Declaration | None:
    """Return a resource of the root of which some request would be the team's; None when there is none."""
    for host in team.hosts:
        for root in roots.get(host, ()):
            if _takes_at_host(team, root):
                return root
        # An exact host comes before a wildcard, whatever the paths.
        for root in roots.get(f"*.{host.partition('.')[2]}", ()) if not host.startswith("*.") else ():
            if _wins(team.template.shape, root.template.shape) is not None and _answered(team) & _answered(root):
                return root
    return None


def _takes_at_host(team: Declaration, root: Declaration) -> bool:
    """Return whether the look-up prefers the team's resource for a request that fits both, on the same host."""
    if team.template.shape == root.template.shape:
        # What has the same method is told apart otherwise, or a clash; HEAD comes before GET that answers it.
        return not _answered(root).difference(root.methods).isdisjoint(team.methods)
    return bool(_wins(team.template.shape, root.template.shape)) and not _answered(team).isdisjoint(_answered(root))


def _answered(declaration: Declaration) -> set[str]:
    """Return the methods that a declaration answers; GET answers HEAD too."""
    return {*declaration.methods, *(("HEAD",) if "GET" in declaration.methods else ())}


def _wins(team: Shape, root: Shape) -> bool | None:
    """Return whether the look-up prefers `team` where both fit; None when no path fits both.

    The first step in which they differ decides: literal before parameter before all the rest.
    """
    wins: bool | None = None
    for one, other in zip_longest(team, root):
        if one is None or other is None or (one != other and isinstance(one, str) and isinstance(other, str)):
            return None
        if "" in {one, other} and one != other:
            return None  # A final slash is no parameter's value.
        if wins is None and one != other:
            wins = isinstance(one, str) or other is True
        if one is True or other is True:
            break
    return bool(wins)
