"""Paths that were seen → path templates, without claiming more than was seen.

A segment becomes a parameter in two cases only: it looks like an identifier (a number, a UUID, a digest, a date, a name
that ends in a number), or at least `MANY` different ones stand in the same place and go on in the same ways. Everything
else stays literal: a template that is too wide permits what nobody asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from extauthz.policy.index import parse_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MANY: Final = 12
"""Different segments in one place that together are one parameter."""

_IDENTIFIER: Final = re.compile(
    r"""[0-9]+                                             # a number
    | [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}  # a UUID
    | (?=[0-9a-f]*[0-9])[0-9a-f]{8,}                       # a digest
    | [0-7][0-9a-hjkmnp-tv-z]{25}                          # a ULID
    | [0-9]{4}-[0-9]{2}-[0-9]{2}                           # a date
    | [a-z]{2,}[-_][0-9]+                                  # inv-2041
    | (?=[a-z_-]*[0-9])(?=[0-9_-]*[a-z])[a-z0-9_-]{20,}    # a random name""",
    re.VERBOSE | re.IGNORECASE,
)
_VERSION: Final = re.compile(r"v[0-9]+|api")
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9]+")

Segments = tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """A place in the tree of paths: what goes on here, and the paths that end here by how they are asked for."""

    children: dict[str, _Node] = field(default_factory=dict)
    ends: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A template and what it stands for.

    Attributes:
        template: as a policy writes it.
        name: of the resource.
        guessed: parameters that do not look like identifiers; only their number speaks for them.
    """

    template: str
    name: str
    guessed: tuple[str, ...] = ()


def cluster(paths: Mapping[str, Iterable[str]]) -> dict[str, Cluster]:
    """Return the template of each path; paths that no template can write are not there.

    Args:
        paths: of one host, each with the methods that were used.
    """
    root = _Node()
    for path, methods in sorted(paths.items()):
        if not path.startswith("/") or not _is_writable(path):
            continue
        node = root
        for segment in path[1:].split("/"):
            node = node.children.setdefault("" if _IDENTIFIER.fullmatch(segment) else f"={segment}", _Node())
        node.ends.update(methods)
        node.paths.append(path)
    found: dict[str, Cluster] = {}
    _collect(root, (), frozenset(), found)
    return found


def _is_writable(path: str) -> bool:
    """Return whether a template can stand for a path literally; one with braces would be a template of its own."""
    try:
        return all(isinstance(step, str) for step in parse_template(path).steps)
    except ValueError:
        return False


def _collect(node: _Node, above: Segments, guessed: frozenset[int], found: dict[str, Cluster]) -> None:
    """Put the templates at and below a node into `found`; `""` in `above` is a parameter, else `=text`."""
    if node.paths:
        made = _to_cluster(above, guessed)
        found.update(dict.fromkeys(node.paths, made))
    for key, child in sorted(_merged(node).children.items()):
        many = key == "*"
        _collect(child, (*above, "" if many else key), guessed | {len(above)} if many else guessed, found)


def _merged(node: _Node) -> _Node:
    """Return a node whose many alike literal children are one, under the key `*`."""
    alike: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
    for key, child in node.children.items():
        if key.startswith("=") and key != "=":
            alike.setdefault((frozenset(child.ends), frozenset(child.children)), []).append(key)
    largest = max(alike.values(), key=len, default=[])
    if len(largest) < MANY:
        return node
    into = "" if "" in node.children else "*"
    children = {key: child for key, child in node.children.items() if key not in largest}
    one = children.setdefault(into, _Node())
    for key in largest:
        _join(one, node.children[key])
    return _Node(children)


def _join(into: _Node, other: _Node) -> None:
    into.ends |= other.ends
    into.paths += other.paths
    for key, child in other.children.items():
        _join(into.children.setdefault(key, _Node()), child)


def _to_cluster(steps: Segments, guessed: frozenset[int]) -> Cluster:
    words: list[str] = []
    names: list[str] = []
    written: list[str] = []
    unsure: list[str] = []
    for position, step in enumerate(steps):
        if step:
            text = step[1:]
            written.append(text)
            word = _NOT_A_NAME.sub("-", text.lower()).strip("-")
            if word and not _VERSION.fullmatch(word):
                words.append(word)
            continue
        if words and position and steps[position - 1]:
            words[-1] = _singular(words[-1])
        name = _fresh((words[-1] if words else "id").replace("-", "_"), names)
        names.append(name)
        written.append(f"{{{name}}}")
        if position in guessed:
            unsure.append(name)
    return Cluster("/" + "/".join(written), "-".join(words) or "root", tuple(unsure))


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _fresh(name: str, taken: list[str]) -> str:
    """Return a name for a parameter that begins with a letter and is not taken."""
    name = name if name[:1].isalpha() else f"id_{name}"
    wanted, number = name, 2
    while wanted in taken:
        wanted, number = f"{name}_{number}", number + 1
    return wanted
