"""Named lists: `$NAME` in a rule or among the values of an attribute stands for the texts of `lists: {NAME: […]}`.

A text that begins with a dollar sign always means a list, so a misspelt name is an error, and so is one where a single
text belongs; `$$` writes the sign itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extauthz.errors import Problem
    from extauthz.yamlfile import Path, Place, YamlFile

_SIGN: Final = "$"


def expand_lists(
    file: YamlFile, sections: Iterable[str], lists: Mapping[str, tuple[str, ...]], problems: list[Problem]
) -> YamlFile:
    """Return the file with every `$NAME` in its rules and resources replaced, and every place kept.

    Args:
        file: a mapping.
        sections: the top-level keys under which lists are meant.
        lists: texts by name.
        problems: names that are not declared are added here.
    """
    expansion = _Expansion(file, lists, problems)
    expanded = {key: expansion.expand(file.data[key], (key,), (key,)) for key in sections if key in file.data}
    if not expansion.changed:
        return file
    return replace(file, data={**file.data, **expanded}, places={**file.places, **expansion.places})


@dataclass(slots=True)
class _Expansion:
    """Walks a file once; `old` is where a value stands there, `new` where it stands afterwards."""

    file: YamlFile
    lists: Mapping[str, tuple[str, ...]]
    problems: list[Problem]
    places: dict[Path, Place] = field(default_factory=dict)
    changed: bool = False

    def expand(self, value: Any, old: Path, new: Path) -> Any:
        """Return a value with the lists that it names in their place."""
        if old != new:
            self.places[new] = self.file.places[old]
        if isinstance(value, dict):
            return {key: self.expand(inner, (*old, key), (*new, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return self._entries(value, old, new)
        if not isinstance(value, str) or not value.startswith(_SIGN):
            return value
        words = self._words(value, old)
        if value.startswith(_SIGN * 2):
            return words[0]
        self._put(words, old, new, 0)
        return words

    def _entries(self, entries: list[Any], old: Path, new: Path) -> list[Any]:
        found: list[Any] = []
        for position, entry in enumerate(entries):
            here = (*old, position)
            if isinstance(entry, str) and entry.startswith(_SIGN):
                words = self._words(entry, here)
                self._put(words, here, new, len(found))
                found.extend(words)
            else:
                found.append(self.expand(entry, here, (*new, len(found))))
        return found

    def _put(self, words: list[str], old: Path, new: Path, first: int) -> None:
        place = self.file.places[old]
        self.places.update(((*new, first + number), place) for number in range(len(words)))

    def _words(self, text: str, path: Path) -> list[str]:
        """Return the texts that one text with a sign stands for."""
        self.changed = True
        if text.startswith(_SIGN * 2):
            return [text[1:]]
        name = text[1:]
        if name not in self.lists:
            advice = did_you_mean(name, self.lists) if self.lists else "declare it under `lists`, or write `$$`"
            self.problems.append(self.file.problem(path, f"there is no list `{name}`", advice))
        return list(self.lists.get(name, (name,)))
