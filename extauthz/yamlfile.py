"""YAML that can be read in one way only, with the place of everything in it.

The reader is stricter than YAML, so that a file means what it seems to mean:

- YAML 1.2 scalars: only `true` and `false` are booleans; `on`, `no`, `12:30` and dates stay text;
- keys are text, exactly as written; the same key twice is an error;
- anchors, aliases, tags, merge keys and several documents are errors;
- numbers that two YAML versions read differently (`0660`) are errors.

It does no I/O: it takes bytes. Every value and key keeps its line and column, so that later errors can point at it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from extauthz.errors import FileError, Problem
from extauthz.limits import MAX_YAML_BYTES, MAX_YAML_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Path = tuple[str | int, ...]
"""Where a value stands inside the data: keys and list indexes from the top."""

Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C parser where PyYAML was built with it; only its events are used."""

_NULL: Final = re.compile(r"(?:~|null|Null|NULL)?")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]+")
_MAX_NUMBER_LENGTH: Final = 18
"""Characters of a number; every integer of this length fits 64 bits."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something begins in a file.

    Attributes:
        line: 1-based.
        column: 1-based, in characters.
        style: how a scalar is written: `|` and `>` blocks, `"` and `'` quotes; empty for plain text and collections.
    """

    line: int
    column: int
    style: str = ""


@dataclass(frozen=True, slots=True)
class YamlFile:
    """A file that was read.

    Attributes:
        name: as the user gave it.
        data: dicts, lists, text, booleans, numbers and None; None for an empty file.
        places: where each value begins.
        keys: where each key stands.
        lines: the text, for pointing into block scalars.
    """

    name: str
    data: Any
    places: Mapping[Path, Place]
    keys: Mapping[Path, Place]
    lines: tuple[str, ...]

    def problem(self, path: Path, message: str, fix: str = "") -> Problem:
        """Return a problem that points at the value at `path`, or at the nearest value round it that exists."""
        return self._problem(self._nearest(path, self.places), message, fix)

    def problem_at_key(self, path: Path, message: str, fix: str = "") -> Problem:
        """Return a problem that points at the key at `path`; at the value where there is no such key."""
        place = self.keys.get(path) or self._nearest(path, self.places)
        return self._problem(place, message, fix)

    def problem_inside(self, path: Path, offset: tuple[int, int], message: str, fix: str = "") -> Problem:
        """Return a problem that points inside the text at `path`.

        Args:
            path: the text.
            offset: 1-based line and column within the text.
            message: what is wrong.
            fix: what to write instead.
        """
        place = self._nearest(path, self.places)
        return self._problem(self._inside(place, *offset), message, fix)

    def _nearest(self, path: Path, places: Mapping[Path, Place]) -> Place:
        for length in range(len(path), -1, -1):
            place = places.get(path[:length])
            if place is not None:
                return place
        return Place(1, 1)

    def _inside(self, place: Place, line: int, column: int) -> Place:
        if place.style == "|":
            first = next((text for text in self.lines[place.line :] if text.strip()), "")
            indent = len(first) - len(first.lstrip(" "))
            return Place(place.line + line, indent + column)
        if line > 1 or place.style == ">":
            return place  # Folded text: its lines are not the file's lines, so the beginning is the best there is.
        quote = 1 if place.style in {'"', "'"} else 0
        return Place(place.line, place.column + quote + column - 1)

    def _problem(self, place: Place, message: str, fix: str) -> Problem:
        return Problem(self.name, place.line, place.column, message, fix)


def read_yaml(name: str, raw: bytes, *, max_bytes: int = MAX_YAML_BYTES) -> YamlFile:
    """Read one YAML document.

    Args:
        name: the file's name, for messages.
        raw: its content.
        max_bytes: longest content accepted.

    Raises:
        FileError: it is not acceptable; every problem found is listed.
    """
    if len(raw) > max_bytes:
        raise FileError([Problem(name, 0, 0, f"the file is larger than {max_bytes} bytes", "split it into several")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FileError([Problem(name, line, 1, "the file is not UTF-8", "save it as UTF-8")]) from error
    composer = _Composer(name)
    try:
        data = composer.compose(yaml.parse(text, Loader=Loader))
    except yaml.YAMLError as error:
        composer.problems.append(_syntax_problem(name, text, error))
        raise FileError(composer.problems) from error
    if composer.problems:
        raise FileError(composer.problems)
    return YamlFile(name, data, composer.places, composer.keys, tuple(text.splitlines()))


def _syntax_problem(name: str, text: str, error: yaml.YAMLError) -> Problem:
    """Return what the YAML parser could not read, and where."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        message = f"not YAML: {getattr(error, 'problem', None) or 'it cannot be read'}"
        return Problem(name, mark.line + 1, mark.column + 1, message, "check indentation, colons and quotes here")
    if isinstance(error, _TooDeepError):
        return Problem(name, 0, 0, f"the file nests deeper than {MAX_YAML_DEPTH} levels", "flatten it")
    before = text[: getattr(error, "position", 0)]
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return Problem(name, line, column, "the file has a control character", "remove it, or write it escaped in quotes")


def _place(event: Any) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1, getattr(event, "style", None) or "")


class _TooDeepError(yaml.YAMLError):
    """The nesting is deeper than anyone writes by hand."""


class _Composer:
    """Builds data and places from parser events; collects problems instead of stopping at the first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[Path, Place] = {}
        self.keys: dict[Path, Place] = {}
        self.problems: list[Problem] = []

    def compose(self, events: Iterator[Any]) -> Any:
        """Return the data of the only document; None when there is none."""
        data: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._report(event, "the file holds several documents", "remove the second `---`")
                    break
                data = self._value(next(events), events, ())
        return data

    def _report(self, event: Any, message: str, fix: str) -> None:
        place = _place(event)
        self.problems.append(Problem(self.name, place.line, place.column, message, fix))

    def _value(self, event: Any, events: Iterator[Any], path: Path) -> Any:
        """Return the value that `event` begins, having read all of its events."""
        self.places[path] = _place(event)
        if isinstance(event, yaml.AliasEvent):
            self._report(event, "aliases are not accepted", "write the value out")
            return None
        if event.anchor is not None:
            self._report(event, "anchors are not accepted", "remove it and write the value out where it is needed")
        if event.tag is not None:
            self._report(event, "tags are not accepted", "remove it; quote a value that must be text")
        if len(path) > MAX_YAML_DEPTH:
            raise _TooDeepError
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._scalar(event)

    def _mapping(self, events: Iterator[Any], path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._report(event, "a key must be plain text", "quote it")
                self._value(event, events, (*path, ""))
                self._value(next(events), events, (*path, ""))
                continue
            key: str = event.value
            if key in found:
                self._report(event, f"the key `{key}` stands twice", "keep one of them")
            inner = (*path, key)
            self.keys[inner] = _place(event)
            found[key] = self._value(next(events), events, inner)
        return found

    def _sequence(self, events: Iterator[Any], path: Path) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            found.append(self._value(event, events, (*path, len(found))))
        return found

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in {"true", "false"}:
            return text == "true"
        if _NULL.fullmatch(text):
            return None
        if _FLOAT.fullmatch(text) or _INTEGER.fullmatch(text):
            return self._number(event, text)
        return text

    def _number(self, event: Any, text: str) -> int | float | None:
        if len(text) > _MAX_NUMBER_LENGTH:
            self._report(event, "the number is too long", "quote it if it is text")
            return None
        if _LEADING_ZERO.fullmatch(text):
            fix = f"write `0o{text.lstrip('-+0')}` for an octal number, quote it for text, or drop the leading zero"
            self._report(event, f"`{text}` is octal to some and decimal to others", fix)
            return None
        if _INTEGER.fullmatch(text):
            return int(text, 0)
        number = float(text)
        if not math.isfinite(number):
            self._report(event, "the number is too large", "quote it if it is text")
        return number
