"""Bytes of policy files → their parts, each checked by itself, so that one wrong rule does not hide the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from extauthz.errors import FileError, PolicyError
from extauthz.includes import included_name
from extauthz.policy.document import ForbidPart, GuardPart, HeadPart, Part, PermitPart, ResourcePart
from extauthz.policy.homes import ANYWHERE, Ground, find_grounds
from extauthz.policy.lists import expand_lists
from extauthz.policy.shared import share_constants, share_lists, share_windows
from extauthz.policy.written import Written, collecting
from extauthz.validation import did_you_mean, problems_of
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from extauthz.errors import Problem
    from extauthz.model.facts import AttributeValue
    from extauthz.policy.targets import TargetName
    from extauthz.policy.windows import Window
    from extauthz.yamlfile import Path

RulePart = GuardPart | ForbidPart | PermitPart

_PartType = TypeVar("_PartType", bound=Part)

_SECTIONS: Final = ("resources", "guards", "forbids", "permits")
_RULES: Final[Mapping[str, type[RulePart]]] = {"guards": GuardPart, "forbids": ForbidPart, "permits": PermitPart}


@dataclass(slots=True)
class Parts:
    """The parts of all files, in order of file names, then as written.

    Attributes:
        resources: well-formed resources.
        rules: well-formed guards, forbids and permits.
        damaged: resources that are not well-formed but name themselves; rules may speak of them.
        grounds: where each file belongs, by its name; a file that belongs nowhere is not here.
        namespaces: the host patterns of each namespace that the root declares.
        constants: what conditions can name, by namespace.
        windows: change windows by name, by namespace.
        problems: what is wrong.
    """

    resources: list[tuple[ResourcePart, Written]] = field(default_factory=list)
    rules: list[tuple[RulePart, Written]] = field(default_factory=list)
    damaged: list[TargetName] = field(default_factory=list)
    grounds: dict[str, Ground] = field(default_factory=dict)
    namespaces: dict[str, tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, Mapping[str, AttributeValue]] = field(default_factory=dict)
    windows: Mapping[str, Mapping[str, Window]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def ground_of(self, written: Written) -> Ground:
        """Return whose something is."""
        return self.grounds.get(written.file.name, ANYWHERE)


def read_parts(files: Mapping[str, bytes]) -> Parts:
    """Return the parts of policy files.

    Args:
        files: content by name.
    """
    parts = Parts()
    heads: list[tuple[HeadPart, Written]] = []
    for name in sorted(files):
        with collecting(parts.problems):
            head = _read_head(name, files[name], files, parts.problems)
            if head is not None:
                heads.append(head)
    parts.grounds = find_grounds(heads, parts.problems)
    parts.namespaces = {name: part.hosts for head, _ in heads if head.root for name, part in head.namespaces.items()}
    named = [(parts.ground_of(written).namespace, head, written) for head, written in heads]
    parts.constants = share_constants(named, parts.problems)
    lists = share_lists(named, parts.problems)
    parts.windows = share_windows(named, parts.problems)
    for namespace, _, top in named:
        file = expand_lists(top.file, _SECTIONS, lists[namespace], parts.problems)
        _read_sections(file.data, Written(file, ()), parts)
    return parts


def _read_head(
    name: str, raw: bytes, files: Container[str], problems: list[Problem]
) -> tuple[HeadPart, Written] | None:
    """Return what a file says about itself; None for an empty one."""
    try:
        file = read_yaml(name, raw)
    except FileError as error:
        raise PolicyError(error.problems) from error
    top = Written(file, ())
    if file.data is None:
        return None
    if not isinstance(file.data, dict):
        top.refuse("a policy file is a mapping", "begin with `resources:`, `guards:`, `forbids:` or `permits:`")
    problems.extend(
        file.problem_at_key((key,), f"unknown key `{key}`", did_you_mean(key, _KEYS))
        for key in file.data
        if key not in _KEYS
    )
    said = {key: value for key, value in file.data.items() if key in HeadPart.model_fields}
    head = _read_part(HeadPart, said, top, problems) or HeadPart()
    for position, path in enumerate(head.includes):
        if included_name(name, path) not in files:
            place = top.at("includes", position)
            problems.append(place.problem(f"`{path}` was not read", "give the path from this file, and load it too"))
    return head, top


_KEYS: Final = (*_SECTIONS, *HeadPart.model_fields)


def _read_sections(sections: dict[str, Any], top: Written, parts: Parts) -> None:
    _read_resources(sections, top, parts)
    for section, model in _RULES.items():
        for raw_part, written in _items(sections, section, top, parts.problems):
            rule = _read_part(model, raw_part, written, parts.problems)
            if rule is not None:
                parts.rules.append((rule, written))


def _read_resources(sections: dict[str, Any], top: Written, parts: Parts) -> None:
    for raw_part, written in _items(sections, "resources", top, parts.problems):
        resource = _read_part(ResourcePart, raw_part, written, parts.problems)
        if resource is not None:
            parts.resources.append((resource, written))
        elif isinstance(raw_part, dict):
            name, action = raw_part.get("name"), raw_part.get("action")
            if isinstance(name, str) and isinstance(action, str):
                parts.damaged.append((name, action))


def _items(
    sections: dict[str, Any], section: str, top: Written, problems: list[Problem]
) -> Iterator[tuple[Any, Written]]:
    items = sections.get(section, [])
    if not isinstance(items, list):
        problems.append(top.at(section).problem(f"`{section}` must be a list", "write `- ` before each entry"))
        return
    for position, item in enumerate(items):
        yield item, top.at(section, position)


def _read_part(model: type[_PartType], raw_part: Any, written: Written, problems: list[Problem]) -> _PartType | None:
    blanks = list(_blanks(raw_part, written.path))
    if blanks:
        fix = "write a value, or remove the key"
        problems.extend(written.file.problem(path, "there is nothing here", fix) for path in blanks)
        return None
    try:
        return model.model_validate(raw_part)
    except ValidationError as error:
        problems.extend(problems_of(error, written.file, model, written.path))
        return None


def _blanks(value: Any, path: Path) -> Iterator[Path]:
    """Yield where nothing stands. An empty `when:` would otherwise be no condition at all."""
    if value is None:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from _blanks(each, (*path, key))
