"""Which resource a request means: host → path segments → method, without asking every resource.

- A host is an exact name, or `*.example.com`, which stands for exactly one label.
- A template's segments are literal text, `{name}` (one segment, not empty) or, last, `{name=**}` (one or more segments,
  the first not empty). A trailing slash counts: `/a` and `/a/` are different.
- The most specific declaration that has host, path and method wins: an exact host before a wildcard, then from left to
  right a literal segment before `{name}` before `{name=**}`. A more specific one without the method does not hide a
  less specific one that has it.
- GET answers HEAD where HEAD is not declared itself (RFC 9110 section 9.3.2).

A look-up visits each node of the tree at most once, and only those that agree with the path so far.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Entry = TypeVar("Entry")

MAX_TEMPLATE_SEGMENTS: Final = 64
"""Segments of one template, far more than real paths have."""

_PARAMETER: Final = re.compile(r"\{([a-z][a-z0-9_]*)(=\*\*)?\}")
_UNWRITABLE: Final = re.compile(r"[{}*?#%\\\x00-\x20\x7f]")
_HOST: Final = re.compile(
    r"(?:\*\.[a-z0-9_-]+|[a-z0-9_-]+)(?:\.[a-z0-9_-]+)*(?::[0-9]{1,5})?|\[[0-9a-f:.]+\](?::[0-9]{1,5})?"
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A segment, or with `rest` all remaining ones, that a template gives a name."""

    name: str
    rest: bool = False


Shape = tuple[str | bool, ...]
"""Literal segments; False for a parameter, True for one that is all the rest."""


@dataclass(frozen=True, slots=True)
class Template:
    """A path template, taken apart.

    Attributes:
        text: as written.
        steps: literal segments and parameters.
    """

    text: str
    steps: tuple[str | Parameter, ...]

    @property
    def shape(self) -> Shape:
        """Return what two templates have in common that no path can tell apart: all but the names of parameters."""
        return tuple(step if isinstance(step, str) else step.rest for step in self.steps)

    def find_parameter(self, name: str) -> tuple[int, Parameter] | None:
        """Return the position of the parameter `name` and the parameter."""
        for position, step in enumerate(self.steps):
            if isinstance(step, Parameter) and step.name == name:
                return position, step
        return None

    def parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters."""
        return tuple(step.name for step in self.steps if isinstance(step, Parameter))


def parse_template(text: str) -> Template:
    """Return a template.

    Raises:
        ValueError: it is not one; the message says why.
    """
    if not text.startswith("/"):
        message = "a path begins with `/`"
        raise ValueError(message)
    segments = text[1:].split("/")
    if len(segments) > MAX_TEMPLATE_SEGMENTS:
        message = f"a path has at most {MAX_TEMPLATE_SEGMENTS} segments"
        raise ValueError(message)
    last = len(segments) - 1
    steps = tuple(_parse_segment(segment, last=position == last) for position, segment in enumerate(segments))
    template = Template(text, steps)
    names = template.parameters()
    if len(set(names)) != len(names):
        message = "two parameters of the path have the same name"
        raise ValueError(message)
    return template


def _parse_segment(segment: str, *, last: bool) -> str | Parameter:
    match = _PARAMETER.fullmatch(segment)
    if match is not None:
        if match[2] and not last:
            message = "`{name=**}` can only be the last segment"
            raise ValueError(message)
        return Parameter(match[1], rest=bool(match[2]))
    if segment in {".", ".."} or (not segment and not last):
        message = "empty, `.` and `..` segments never reach the policy; remove them"
        raise ValueError(message)
    if _UNWRITABLE.search(segment):
        message = "a segment is plain decoded text, `{name}` or, last, `{name=**}`"
        raise ValueError(message)
    return segment


def is_host_pattern(text: str) -> bool:
    """Return whether `text` is a host in the form in which requests have it, or `*.` and such a host."""
    return _HOST.fullmatch(text) is not None


@dataclass(slots=True)
class _Node(Generic[Entry]):
    """A point in the tree; written while the index is built, never afterwards.

    Attributes:
        literals: where a segment leads that some template spells out.
        parameter: where any other segment leads, unless it is empty.
        rest: where all that is left of the path leads; a point without further ways.
        entries: by method, for paths that end here.
    """

    literals: dict[str, _Node[Entry]] = field(default_factory=dict)
    parameter: _Node[Entry] | None = None
    rest: _Node[Entry] | None = None
    entries: dict[str, Entry] = field(default_factory=dict)


class Index(Generic[Entry]):
    """Declarations by host, path and method."""

    def __init__(self) -> None:
        self._hosts: dict[str, _Node[Entry]] = {}

    def add(self, host: str, template: Template, method: str, entry: Entry) -> None:
        """Declare `entry`, the only one for its host, path shape and method.

        Only for building; an index in use is never changed.
        """
        node = self._hosts.setdefault(host, _Node())
        for step in template.steps:
            if isinstance(step, str):
                node = node.literals.setdefault(step, _Node())
            elif step.rest:
                if node.rest is None:
                    node.rest = _Node()
                node = node.rest
            else:
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
        node.entries[method] = entry

    def find(self, host: str, segments: tuple[str, ...], method: str) -> Entry | None:
        """Return the most specific entry for a request, None when there is none."""
        for entries in self._candidates(host, segments):
            entry = entries.get(method)
            if entry is None and method == "HEAD":
                entry = entries.get("GET")
            if entry is not None:
                return entry
        return None

    def methods(self, host: str, segments: tuple[str, ...]) -> tuple[str, ...]:
        """Return the methods declared for host and path, sorted; empty when nothing is declared there."""
        methods = {method for entries in self._candidates(host, segments) for method in entries}
        return tuple(sorted(methods | ({"HEAD"} if "GET" in methods else set())))

    def _candidates(self, host: str, segments: tuple[str, ...]) -> Iterator[dict[str, Entry]]:
        """Yield the method tables that agree with host and path, most specific first."""
        label, dot, parent = host.partition(".")
        exact, wildcard = self._hosts.get(host), self._hosts.get(f"*.{parent}") if label and dot else None
        # Points to go on from, each with the number of segments that lead there; the last one is the most specific.
        ways: list[tuple[_Node[Entry], int]] = [] if wildcard is None else [(wildcard, 0)]
        if exact is not None:
            ways.append((exact, 0))
        end = len(segments)
        while ways:
            node, at = ways.pop()
            if at == end:
                if node.entries:
                    yield node.entries
                continue
            segment = segments[at]
            if segment and node.rest is not None:
                ways.append((node.rest, end))
            if segment and node.parameter is not None:
                ways.append((node.parameter, at + 1))
            literal = node.literals.get(segment)
            if literal is not None:
                ways.append((literal, at + 1))
