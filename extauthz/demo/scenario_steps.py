"""What happens in a situation over time: `live` of its `scenario.yaml`.

Policy tests ask about one instant. Here a caller keeps its token, asks, something changes, and it asks again. Steps are
taken in order:

- `{name, request, identity, expect}`: a request, as policy tests have it. A caller keeps its token from step to step;
  with `new_token: true` it gets another, as somebody who has its secret would.
- `{run: revoke session s-1 --reason "…"}`: a command of `extauthz`, as one would type it.
- `{signal: session-revoked, about: {…}, says: {…}}`: a security event of the demo issuer's; `about` is its subject.
- `{registry: roles.yaml}`: another registry is put in place, by a file beside `scenario.yaml`.
- `{seen: s-1}`: until the live table has that session; uses are noted every second.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from extauthz.errors import FileError, Problem
from extauthz.policytools.casefile import read_case_file
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extauthz.policytools.casefile import Case


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Run(_Part):
    """A command of `extauthz`, as typed."""

    run: Annotated[str, Field(min_length=1)]


class Signal(_Part):
    """A security event of the demo issuer's."""

    signal: str
    about: dict[str, Any]
    says: dict[str, Any] = {}


class NewRegistry(_Part):
    """Another registry is put in place."""

    registry: str


class Seen(_Part):
    """Until the live table has a session."""

    seen: str


class _AskForm(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    new_token: bool = False


@dataclass(frozen=True, slots=True)
class AskStep:
    """A request.

    Attributes:
        case: as policy tests have it.
        new_token: whether the caller gets another token first.
    """

    case: Case
    new_token: bool


Act = Run | Signal | NewRegistry | Seen
Step = AskStep | Act
_FORM: Final[TypeAdapter[Any]] = TypeAdapter(list[Run | Signal | NewRegistry | Seen | _AskForm])


def read_steps(folder: Path, written: object) -> tuple[Step, ...]:
    """Return the steps of a situation.

    Args:
        folder: of the situation; its policy tests name requests and identities.
        written: `live` of its `scenario.yaml`.

    Raises:
        FileError: they are not what the top of this file says.
    """
    path = folder / "scenario.yaml"
    try:
        forms = _FORM.validate_python(written)
    except ValidationError as error:
        problem = Problem(str(path), 0, 0, f"`live`: {error.errors()[0]['msg']}", "see extauthz/demo/scenario_steps.py")
        raise FileError([problem]) from error
    cases = iter(_read_cases(path, folder / "policy_test.yaml", [form for form in forms if isinstance(form, _AskForm)]))
    return tuple(AskStep(next(cases), form.new_token) if isinstance(form, _AskForm) else form for form in forms)


def _read_cases(path: Path, tests: Path, asks: list[_AskForm]) -> tuple[Case, ...]:
    """Return requests as the cases of a file of policy tests that knows the same names."""
    if not asks:
        return ()
    known: Mapping[str, Any] = read_yaml(str(tests), tests.read_bytes()).data
    shared = {name: known[name] for name in ("at", "requests", "identities") if name in known}
    made = {**shared, "tests": [ask.model_dump(exclude={"new_token"}) for ask in asks]}
    return read_case_file(str(path), json.dumps(made).encode()).cases
