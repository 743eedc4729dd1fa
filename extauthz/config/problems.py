"""What pydantic found wrong with the settings → problems that name the place and the fix."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel

from extauthz.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from extauthz.yamlfile import YamlFile

ENVIRONMENT_PREFIX: Final = "EXTAUTHZ__"
"""Environment variables that begin like this are settings."""


def problems_of(
    error: ValidationError, model: type[BaseModel], file: YamlFile | None, environment: Mapping[str, Any]
) -> list[Problem]:
    """Return one problem for each error.

    Args:
        error: what pydantic raised.
        model: the model of the whole file.
        file: the settings file; None when there is none.
        environment: what environment variables set, nested like the file.
    """
    return sorted(_problem(details, model, file, environment) for details in error.errors(include_url=False))


def _problem(
    details: ErrorDetails, model: type[BaseModel], file: YamlFile | None, environment: Mapping[str, Any]
) -> Problem:
    where = details["loc"]
    message, fix = _sentence(details, model)
    variable = find_variable(where, environment)
    if variable is not None:
        return Problem(f"environment variable {variable}", 0, 0, message, fix)
    if file is None:
        return Problem("settings", 0, 0, message, fix or "give a settings file with --config")
    if details["type"] == "extra_forbidden":
        return file.problem_at_key(where, message, fix)
    return file.problem(where, message, fix)


def _sentence(details: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    where, kind = details["loc"], details["type"]
    if kind == "missing":
        return f"`{_dotted(where)}` is missing", ""
    if kind == "extra_forbidden":
        known = list(_section_at(model, where[:-1]).model_fields)
        close = get_close_matches(str(where[-1]), known, 1)
        fix = f"did you mean `{close[0]}`?" if close else f"known here: {', '.join(known)}"
        return f"unknown key `{where[-1]}`", fix
    text = details["msg"].removeprefix("Value error, ")
    return (f"`{_dotted(where)}`: {text[:1].lower()}{text[1:]}" if where else text), ""


def _dotted(where: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in where)


def find_variable(where: tuple[int | str, ...], environment: Mapping[str, Any]) -> str | None:
    """Return the variable that sets the value at `where`, or something that it is part of; None when none does.

    Args:
        where: keys and indexes from the top of the settings.
        environment: what environment variables set, nested like the file; a list is one variable.
    """
    value: Any = environment
    steps: list[str] = []
    for step in where:
        if not isinstance(value, dict):
            break
        if step not in value:
            return None
        steps.append(str(step).upper())
        value = value[step]
    return ENVIRONMENT_PREFIX + "__".join(steps) if steps else None


def _section_at(model: type[BaseModel], where: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the model that stands at `where`; list indexes and names in mappings stay on the model of the items."""
    for step in where:
        known = model.model_fields.get(str(step))
        model = (_model_in(known.annotation) if known else None) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)
