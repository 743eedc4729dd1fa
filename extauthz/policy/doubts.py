"""What a policy may say, but probably does not mean: warnings, since none of it lets anything through.

Everything here errs on the side of silence: it warns where closed values make something certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.errors import Problem
from extauthz.policy.doubtful_paths import doubt_paths
from extauthz.policy.doubtful_rules import doubt_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extauthz.policy.declaration import Declaration
    from extauthz.policy.rulebook import Rulebook
    from extauthz.policy.ruleset import Route


_MOST: Final = 100
"""Warnings that people read; more have one cause."""


def find_doubts(
    name: str, declarations: Sequence[Declaration], routes: Sequence[Route], rulebook: Rulebook
) -> Iterator[Problem]:
    """Yield warnings about a policy without problems.

    Args:
        name: the file to name when there is nothing to point at.
        declarations: every declared resource.
        routes: the route of each, with rules.
        rulebook: every rule as written.
    """
    if not declarations:
        yield Problem(name, 0, 0, "the policy declares no resource, so every request is refused", "declare `resources`")
    doubts = sorted({*doubt_paths(declarations), *doubt_rules(declarations, routes, rulebook.added)})
    yield from doubts[:_MOST]
    if len(doubts) > _MOST:
        yield Problem(name, 0, 0, f"{len(doubts) - _MOST} more warnings", "")
