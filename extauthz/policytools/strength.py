"""How strong policy tests are: what could be deleted from the policy without any of them noticing.

Each rule, requirement, condition and demand of a `who` is taken out of the written policy, one at a time, and the tests
are run again. One that no test misses is either not tested or not needed.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import PolicyError
from extauthz.policy.compile import compile_policy
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from extauthz.policytools.suite import Suite
    from extauthz.yamlfile import Path, YamlFile

_SECTIONS: Final = ("guards", "forbids", "permits")
_REQUIREMENTS: Final = ("require", "unless")
_YAML_BREAKS: Final = ("\x7f", "\x85", "\u2028", "\u2029", "\ufeff")
"""Characters that JSON leaves as they are and YAML reads in its own way, even inside quotes."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Something that can be taken out of a policy.

    Attributes:
        file: policy file.
        line: where it stands.
        path: where it stands, by keys.
        what: what it is, for people.
    """

    file: str
    line: int
    path: Path
    what: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a deletion.

    Attributes:
        deletion: what was taken out.
        missed_by: the first test that failed without it; None when none did.
        possible: False when the policy is an error without it, so that it cannot go unnoticed.
    """

    deletion: Deletion
    missed_by: str | None
    possible: bool = True

    @property
    def survived(self) -> bool:
        """Return whether no test noticed."""
        return self.possible and self.missed_by is None


def find_deletions(sources: Mapping[str, bytes]) -> list[Deletion]:
    """Return what can be taken out of a policy that compiles, in file order."""
    return [deletion for name in sorted(sources) for deletion in _in_file(read_yaml(name, sources[name]))]


def try_deletions(suites: Sequence[Suite], deletions: Sequence[Deletion]) -> Iterator[Tried]:
    """Yield what becomes of each deletion.

    Args:
        suites: every file of tests for the policy; all of them have the same sources and context.
        deletions: of these sources.
    """
    sources, context = suites[0].sources, suites[0].context
    for deletion in deletions:
        try:
            ruleset = compile_policy(without(sources, deletion), context)
        except PolicyError:
            yield Tried(deletion, None, possible=False)
            continue
        failing = (result.case.name for suite in suites for result in suite.run(ruleset) if not result.passed)
        yield Tried(deletion, next(failing, None))


def without(sources: Mapping[str, bytes], deletion: Deletion) -> dict[str, bytes]:
    """Return the policy files with something taken out; the changed file is written as JSON, which is YAML too."""
    data = copy.deepcopy(read_yaml(deletion.file, sources[deletion.file]).data)
    inner: Any = data
    for step in deletion.path[:-1]:
        inner = inner[step]
    del inner[deletion.path[-1]]
    text = json.dumps(data, ensure_ascii=False)
    for character in _YAML_BREAKS:
        text = text.replace(character, f"\\u{ord(character):04x}")
    return {**sources, deletion.file: text.encode()}


def _in_file(file: YamlFile) -> Iterator[Deletion]:
    sections = file.data if isinstance(file.data, dict) else {}
    for section in _SECTIONS:
        for position, rule in enumerate(sections.get(section, [])):
            yield from _in_rule(file, (section, position), rule)


def _in_rule(file: YamlFile, path: Path, rule: Mapping[str, Any]) -> Iterator[Deletion]:
    named = f"`{rule['id']}`"
    yield _deletion(file, path, f"{str(path[0])[:-1]} {named}")
    if "when" in rule:
        yield _deletion(file, (*path, "when"), f"`when` of {named}")
    who = rule.get("who")
    if isinstance(who, dict):
        for key in who:
            yield _deletion(file, (*path, "who", key), f"`who.{key}` of {named}")
    for key in _REQUIREMENTS:
        clauses = rule.get(key, [])
        entries: Any = clauses if isinstance(clauses, dict) else range(len(clauses))
        for entry in entries:
            kind = entry if isinstance(clauses, dict) else next(iter(clauses[entry]))
            yield _deletion(file, (*path, key, entry), f"`{kind}` of {named}")


def _deletion(file: YamlFile, path: Path, what: str) -> Deletion:
    return Deletion(file.name, file.problem_at_key(path, "").line, path, what)
