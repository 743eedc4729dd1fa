"""What files share by name: constants and lists of the root are everybody's, others their namespace's.

A name means one thing wherever it is seen, so nothing can be declared twice, also not by a team over the root.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from extauthz.policy.names import RESERVED_WORDS
from extauthz.policy.windows import compile_window
from extauthz.policy.written import collecting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extauthz.errors import Problem
    from extauthz.model.facts import AttributeValue
    from extauthz.policy.document import HeadPart
    from extauthz.policy.windows import Window
    from extauthz.policy.written import Written

Value = TypeVar("Value")


_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LIST_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")


def share_constants(
    heads: Sequence[tuple[str, HeadPart, Written]], problems: list[Problem]
) -> dict[str, dict[str, AttributeValue]]:
    """Return the constants that each namespace sees, by the names by which conditions read them.

    Args:
        heads: namespace, what a file says about itself, and where; in the order of files.
        problems: what is wrong is added here.
    """
    shared = _share(heads, "constants", lambda head: head.constants, _NAME, problems)
    return {
        namespace: {f"constants.{name}": value for name, value in constants.items()}
        for namespace, constants in shared.items()
    }


def share_lists(
    heads: Sequence[tuple[str, HeadPart, Written]], problems: list[Problem]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the lists that each namespace sees, by name; arguments as for `share_constants`.

    Lists hold no lists: `$NAME` in one would stand for itself, and a forbid for nobody.
    """
    for _, head, written in heads:
        for name, words in head.lists.items():
            problems.extend(
                written.at("lists", name).problem(f"`{word}` is no text: a list holds no lists", "write its texts here")
                for word in words
                if word.startswith("$")
            )
    return _share(heads, "lists", lambda head: head.lists, _LIST_NAME, problems)


def share_windows(
    heads: Sequence[tuple[str, HeadPart, Written]], problems: list[Problem]
) -> dict[str, dict[str, Window]]:
    """Return the change windows that each namespace sees, by name; arguments as for `share_constants`."""
    compiled: dict[int, dict[str, Window]] = {}
    for _, head, written in heads:
        own = compiled[id(head)] = {}
        for name, part in head.windows.items():
            with collecting(problems):
                own[name] = compile_window(name, part, written.at("windows", name))
    return _share(heads, "windows", lambda head: compiled[id(head)], _LIST_NAME, problems)


def _share(
    heads: Sequence[tuple[str, HeadPart, Written]],
    key: str,
    said: Callable[[HeadPart], Mapping[str, Value]],
    pattern: re.Pattern[str],
    problems: list[Problem],
) -> dict[str, dict[str, Value]]:
    found: dict[str, dict[str, Value]] = {"": {}, **{namespace: {} for namespace, _, _ in heads}}
    first: dict[tuple[str, str], Written] = {}
    for namespace, head, written in sorted(heads, key=lambda each: each[0]):
        for name, value in said(head).items():
            place = written.at(key, name)
            if pattern.fullmatch(name) is None or name in RESERVED_WORDS:
                problems.append(place.problem(f"`{name}` cannot be a name", "use lower-case letters, digits and `_`"))
            if value == "":
                problems.append(place.problem("a constant is never empty", "write the value"))
            there = first.get(("", name)) or first.setdefault((namespace, name), place)
            if there is not place:
                other = there.problem("")
                message = f"`{name}` is declared at {other.file}:{other.line}"
                problems.append(place.problem(message, "choose another name, or use that one"))
            found[namespace][name] = value
    return {namespace: {**found[""], **own} for namespace, own in found.items()}
