"""A file of policy tests → cases, or every problem in it by file and line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from extauthz.errors import FileError, Problem
from extauthz.policytools.caseform import IdentityForm, RequestForm, SuiteForm
from extauthz.policytools.formerror import FormError
from extauthz.policytools.moments import parse_moment
from extauthz.policytools.parties import to_identity
from extauthz.policytools.statefacts import to_state
from extauthz.policytools.wire import to_question
from extauthz.validation import did_you_mean, problems_of
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.clock import Instant
    from extauthz.model.identity import Identity
    from extauthz.model.state import StateName
    from extauthz.policytools.caseform import CaseForm, ExpectForm
    from extauthz.yamlfile import Path, YamlFile

_Form = TypeVar("_Form", RequestForm, IdentityForm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test, resolved.

    Attributes:
        name: as written.
        file: where it stands.
        line: of its name, 1-based.
        request: for people.
        question: the serialised `CheckRequest`.
        identity: the caller; None presents no credential.
        state: changeable facts by name.
        answers: what other decision points answer, by name.
        at: instant of the decision.
        expect: what must come out.
        places: file and line of each expectation, by its key.
    """

    name: str
    file: str
    line: int
    request: str
    question: bytes
    identity: Identity | None
    state: Mapping[StateName, object]
    answers: Mapping[str, Mapping[str, Any]]
    at: Instant
    expect: ExpectForm
    places: Callable[[tuple[str, ...]], Problem]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file of policy tests.

    Attributes:
        name: its path.
        policy: paths of the policy files as written; None for the usual ones.
        settings: path of the settings as written; None for none.
        cases: in file order.
    """

    name: str
    policy: tuple[str, ...] | None
    settings: str | None
    cases: tuple[Case, ...]


def read_case_file(name: str, raw: bytes) -> CaseFile:
    """Return the cases of a file.

    Args:
        name: its path, for messages.
        raw: its content.

    Raises:
        FileError: it is not acceptable; every problem found is listed.
    """
    file = read_yaml(name, raw)
    if not isinstance(file.data, dict):
        raise FileError([Problem(name, 1, 1, "a file of policy tests is a mapping", "begin with `tests:`")])
    try:
        form = SuiteForm.model_validate(file.data)
    except ValidationError as error:
        raise FileError(sorted(problems_of(error, file, SuiteForm))) from error
    reader = _Reader(file, form)
    cases = [reader.read(position, case) for position, case in enumerate(form.tests)]
    if reader.problems:
        raise FileError(sorted(set(reader.problems)))
    return CaseFile(name, form.policy, form.settings, tuple(case for case in cases if case is not None))


class _Reader:
    """Resolves the cases of one file; collects problems instead of stopping at the first."""

    def __init__(self, file: YamlFile, form: SuiteForm) -> None:
        self._file = file
        self._form = form
        self._names: dict[str, int] = {}
        self.problems: list[Problem] = []

    def read(self, position: int, form: CaseForm) -> Case | None:
        """Return the case; None when something is wrong with it."""
        before = len(self.problems)
        path: Path = ("tests", position)
        self._require_own_name(form.name, position)
        at = self._moment(form.at or self._form.at, (*path, "at") if form.at else ("at",))
        request = self._like(form.request, self._form.requests, (*path, "request"))
        caller = form.identity
        if caller is not None:
            caller = self._like(caller, self._form.identities, (*path, "identity"))
        self._require_address(request, (*path, "request"))
        identity, state = None, {}
        try:
            identity = to_identity(caller, at) if caller is not None else None
            state = to_state(form.state, at)
        except FormError as error:
            self._problem((*path, *error.path), error.message, error.fix)
        if len(self.problems) > before:
            return None
        return Case(
            name=form.name,
            file=self._file.name,
            line=self._line((*path, "name")),
            request=f"{request.method} {request.host}{request.path}",
            question=to_question(request),
            identity=identity,
            state=state,
            answers={name: answer.model_dump() for name, answer in form.answers.items()},
            at=at,
            expect=form.expect,
            places=lambda where: self._file.problem((*path, "expect", *where), ""),
        )

    def _require_own_name(self, name: str, position: int) -> None:
        first = self._names.setdefault(name, position)
        if first != position:
            message = f"the name is taken by the test in line {self._line(('tests', first, 'name'))}"
            self._problem(("tests", position, "name"), message, "choose another")

    def _require_address(self, request: RequestForm, path: Path) -> None:
        for key in ("host", "path"):
            if not getattr(request, key):
                self._problem(path, f"the request has no `{key}`", "add it, here or where `like` points")

    def _like(self, form: _Form, known: Mapping[str, _Form], path: Path) -> _Form:
        """Return `form` completed by what it is like; its own members win."""
        passed: list[str] = []
        while form.like is not None:
            base = known.get(form.like)
            if base is None or form.like in passed:
                message = f"there is no `{form.like}`" if base is None else f"`{form.like}` is like itself"
                self._problem((*path, "like"), message, did_you_mean(form.like, known) if base is None else "")
                return form
            passed.append(form.like)
            own = {name: getattr(form, name) for name in form.model_fields_set if name != "like"}
            form = base.model_copy(update=own)
        return form

    def _moment(self, text: str, path: Path) -> Instant:
        try:
            return parse_moment(text)
        except ValueError as error:
            self._problem(path, str(error))
            return parse_moment(SuiteForm.model_fields["at"].default)

    def _line(self, path: Path) -> int:
        return self._file.problem(path, "").line

    def _problem(self, path: Path, message: str, fix: str = "") -> None:
        self.problems.append(self._file.problem(path, message, fix))
