"""Bytes of policy files → their parts, each checked by itself, so that one wrong rule does not hide the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from extauthz.errors import FileError, PolicyError
from extauthz.policy.document import ForbidPart, GuardPart, Part, PermitPart, ResourcePart
from extauthz.policy.written import Written, collecting
from extauthz.validation import did_you_mean, problems_of
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.errors import Problem
    from extauthz.policy.targets import TargetName

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
        problems: what is wrong.
    """

    resources: list[tuple[ResourcePart, Written]] = field(default_factory=list)
    rules: list[tuple[RulePart, Written]] = field(default_factory=list)
    damaged: list[TargetName] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_parts(files: Mapping[str, bytes]) -> Parts:
    """Return the parts of policy files.

    Args:
        files: content by name.
    """
    parts = Parts()
    for name in sorted(files):
        with collecting(parts.problems):
            _read_file(name, files[name], parts)
    return parts


def _read_file(name: str, raw: bytes, parts: Parts) -> None:
    try:
        file = read_yaml(name, raw)
    except FileError as error:
        raise PolicyError(error.problems) from error
    top = Written(file, ())
    if file.data is None:
        return
    if not isinstance(file.data, dict):
        top.refuse("a policy file is a mapping", "begin with `resources:`, `guards:`, `forbids:` or `permits:`")
    for key in file.data:
        if key not in _SECTIONS:
            advice = did_you_mean(key, _SECTIONS)
            parts.problems.append(file.problem_at_key((key,), f"unknown key `{key}`", advice))
    _read_resources(file.data, top, parts)
    for section, model in _RULES.items():
        for raw_part, written in _items(file.data, section, top, parts.problems):
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
    try:
        return model.model_validate(raw_part)
    except ValidationError as error:
        problems.extend(problems_of(error, written.file, model, written.path))
        return None
