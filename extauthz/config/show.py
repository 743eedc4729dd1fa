"""The settings in force as text: YAML with the origin of each value beside it, secrets masked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from extauthz.config.problems import find_variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.config.load import Loaded
    from extauthz.yamlfile import Path


def as_json(loaded: Loaded) -> str:
    """Return the settings as JSON. Durations are seconds; secrets are asterisks."""
    return json.dumps(loaded.settings.model_dump(mode="json"), indent=2)


def as_yaml(loaded: Loaded) -> str:
    """Return the settings as YAML that can be loaded again, except for masked secrets."""
    return "\n".join(_lines(loaded.settings.model_dump(mode="json"), (), loaded)) + "\n"


def _lines(value: dict[str, Any], where: Path, loaded: Loaded) -> Iterator[str]:
    indent = "  " * len([step for step in where if isinstance(step, str)])
    for key, inner in value.items():
        path = (*where, key)
        if isinstance(inner, dict) and inner:
            yield f"{indent}{key}:"
            yield from _lines(inner, path, loaded)
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield f"{indent}{key}:"
            for index, item in enumerate(inner):
                first, *rest = _lines(item, (*path, index), loaded)
                yield f"{indent}- {first.strip()}"
                yield from rest
        else:
            yield f"{indent}{key}: {_scalar(key, inner)}  # {_origin(path, loaded)}"


def _scalar(key: str, value: Any) -> str:
    return f"0o{value:o}" if key == "socket_mode" else json.dumps(value)


def _origin(where: Path, loaded: Loaded) -> str:
    variable = find_variable(where, loaded.environment)
    if variable is not None:
        return variable
    place = loaded.file.places.get(where) if loaded.file else None
    return f"line {place.line}" if place else "default"
