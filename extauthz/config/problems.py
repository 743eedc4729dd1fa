"""What pydantic found wrong with the settings → problems that name the place, which may be an environment variable."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from extauthz.validation import problem_of
from extauthz.yamlfile import YamlFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from extauthz.errors import Problem

ENVIRONMENT_PREFIX: Final = "EXTAUTHZ__"
"""Environment variables that begin like this are settings."""

_NO_FILE: Final = YamlFile("settings", None, {}, {}, ())


def problems_of(
    error: ValidationError, model: type[BaseModel], file: YamlFile | None, environment: Mapping[str, Any]
) -> list[Problem]:
    """Return one problem for each error, in file order.

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
    problem = problem_of(details, file or _NO_FILE, model)
    variable = find_variable(details["loc"], environment)
    if variable is not None:
        return replace(problem, file=f"environment variable {variable}", line=0, column=0)
    if file is None:
        return replace(problem, line=0, column=0, fix="give a settings file with --config")
    return problem


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
