"""What pydantic finds wrong with a file, as problems that point at a line and name the fix."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from extauthz.errors import Problem
    from extauthz.yamlfile import Path, YamlFile

_PLAIN: Final = {
    "tuple_type": ("must be a list", "write `[...]`, or one `- ` item a line"),
    "list_type": ("must be a list", "write `[...]`, or one `- ` item a line"),
    "string_type": ("must be text", "quote it"),
    "bool_type": ("must be true or false", "write `true` or `false`, without quotes"),
    "int_type": ("must be a whole number", ""),
    "model_type": ("must be a mapping", "write `key: value` lines"),
    "model_attributes_type": ("must be a mapping", "write `key: value` lines"),
    "dict_type": ("must be a mapping", "write `key: value` lines"),
    "too_short": ("must not be empty", "name at least one, or remove the key"),
    "string_too_short": ("must not be empty", ""),
}
"""Sentences for the commonest faults; the library's own speak of Python."""


def wrong(message: str, fix: str = "") -> PydanticCustomError:
    """Return what a validator raises when it knows what to write instead."""
    return PydanticCustomError("wrong", "{message}", {"message": message, "fix": fix})


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the advice for a word that is not among the known ones: the nearest, or all of them."""
    words = sorted(set(known))
    nearest = difflib.get_close_matches(word, words, n=1, cutoff=0.6) or _only_longer(word, words)
    if nearest:
        return f"did you mean `{nearest[0]}`?"
    if not words:
        return "none are declared"
    return "use one of: " + ", ".join(words[:12]) + (", …" if len(words) > 12 else "")  # noqa: PLR2004 — one line's worth


def _only_longer(word: str, words: list[str]) -> list[str]:
    """Return the one word that begins with `word`, as `production` does with `prod`."""
    longer = [known for known in words if word and known.startswith(word)]
    return longer if len(longer) == 1 else []


def problems_of(error: ValidationError, file: YamlFile, model: type[BaseModel], base: Path = ()) -> list[Problem]:
    """Return the problems of a part of a file that does not fit its model.

    Args:
        error: what pydantic raised.
        file: where the part comes from.
        model: what the part was to become.
        base: where the part stands in the file.
    """
    details = error.errors(include_url=False, include_input=False)
    outer = {detail["loc"][:length] for detail in details for length in range(len(detail["loc"]))}
    # A list all of whose entries are wrong counts as too short as well; saying so would only confuse.
    telling = [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in outer]
    return list(dict.fromkeys(problem_of(detail, file, model, base) for detail in telling))


def problem_of(detail: ErrorDetails, file: YamlFile, model: type[BaseModel], base: Path = ()) -> Problem:
    """Return one of the problems; see `problems_of`."""
    path = (*base, *detail["loc"])
    name = detail["loc"][-1] if detail["loc"] else ""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            advice = did_you_mean(str(name), _keys_at(model, detail["loc"][:-1]))
            return file.problem_at_key(path, f"unknown key `{name}`", advice)
        case "missing":
            return file.problem(path, f"`{name}` is missing", "add it")
        case "wrong":
            return file.problem(path, str(context["message"]), str(context["fix"]))
        case kind if kind in _PLAIN:
            message, fix = _PLAIN[kind]
            subject = f"`{name}`" if isinstance(name, str) and name else "this"
            return file.problem(path, f"{subject} {message}", fix)
    return file.problem(path, detail["msg"].removeprefix("Value error, "))


def _keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> Iterator[str]:
    """Yield the keys that the model accepts at `path`."""
    models = {model}
    for step in path:
        inner = {found for each in models for found in _inner_models(each, step)}
        models = inner or models
    for each in models:
        for name, field in each.model_fields.items():
            yield field.alias or name


def _inner_models(model: type[BaseModel], step: str | int) -> Iterator[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if step in {name, field.alias}:
            yield from _models_in(field.annotation)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
