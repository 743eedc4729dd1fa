"""Places in policy files, and the problems found there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from extauthz.errors import PolicyError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.yamlfile import Path, YamlFile


@dataclass(frozen=True, slots=True)
class Written:
    """Something in a policy file, and where it stands.

    Attributes:
        file: the file.
        path: where in the file.
        rule: full id of the rule that it is part of; empty outside of rules.
        space: what names that rules give to things (a budget) begin with; empty in the root.
    """

    file: YamlFile
    path: Path
    rule: str = ""
    space: str = ""

    def at(self, *inner: str | int) -> Written:
        """Return what stands inside, at the keys and indexes `inner`."""
        return Written(self.file, (*self.path, *inner), self.rule, self.space)

    def refuse(self, message: str, fix: str = "") -> NoReturn:
        """Say what is wrong here, and what to write instead.

        Raises:
            PolicyError: always.
        """
        raise PolicyError([self.problem(message, fix)])

    def problem(self, message: str, fix: str = "") -> Problem:
        """Return a problem that points here."""
        return self.file.problem(self.path, message, fix)


@contextmanager
def collecting(problems: list[Problem]) -> Iterator[None]:
    """Add the problems of a part that is wrong to `problems`, and go on after the block."""
    try:
        yield
    except PolicyError as error:
        problems.extend(error.problems)
