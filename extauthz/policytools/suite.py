"""Running files of policy tests: which policy each tests, and what came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from extauthz.config.policyfiles import TEST_SUFFIX, load_policy_files
from extauthz.errors import FileError, Problem
from extauthz.judge import TOOL_PROXY, Given, KnownState, judge, no_credential
from extauthz.limits import MAX_YAML_BYTES
from extauthz.model.enquiry import Answered
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.requirements.plugin import KIND as PLUGIN
from extauthz.policytools.casefile import read_case_file
from extauthz.policytools.expect import Difference, differences
from extauthz.policytools.parties import for_route
from extauthz.request.bounds import Proxy
from extauthz.request.decode import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from extauthz.judge import Judged
    from extauthz.model.enquiry import Enquiry
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request
    from extauthz.policy.ruleset import Route, Ruleset
    from extauthz.policytools.casefile import Case, CaseFile


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case.

    Attributes:
        case: the case.
        judged: what came out.
        differences: what was expected otherwise; empty when it passed.
    """

    case: Case
    judged: Judged
    differences: list[Difference] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Return whether everything came out as expected."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A file of tests and the policy that they test.

    Attributes:
        file: the tests.
        sources: the policy files by name.
        context: what the settings say beside it.
        ruleset: the policy, compiled.
    """

    file: CaseFile
    sources: Mapping[str, bytes]
    context: PolicyContext
    ruleset: Ruleset

    def run(self, ruleset: Ruleset | None = None) -> Iterator[Result]:
        """Yield what becomes of each case.

        Args:
            ruleset: decide by this one instead of the suite's own.
        """
        for case in self.file.cases:
            yield run_case(case, ruleset or self.ruleset)


def run_case(case: Case, ruleset: Ruleset) -> Result:
    """Return what becomes of a case under a policy."""
    judged = judge_case(case, ruleset)
    return Result(case, judged, differences(case.expect, judged.decision))


def judge_case(case: Case, ruleset: Ruleset) -> Judged:
    """Return what a policy decides about the request of a case."""
    caller = case.identity

    def identify(route: Route, request: Request) -> Identity:
        return no_credential(route, request) if caller is None else for_route(caller, route)

    def answer(enquiry: Enquiry) -> Answered | None:
        if enquiry.kind == PLUGIN:
            return Answered(said=enquiry.question(), asked_at=case.at, until=None)
        said = case.answers.get(enquiry.of)
        return Answered(said=said, asked_at=case.at, until=None) if said is not None else None

    state = KnownState(case.state)
    given = Given(
        read_request=lambda: decode(case.question),
        identify=identify,
        state=state,
        restrictions=state,
        at=case.at,
        proxy=Proxy(TOOL_PROXY),
        answer=answer,
    )
    return judge(given, ruleset)


def find_case_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files of tests that paths mean: themselves, or those in and below folders, sorted.

    Raises:
        FileError: a path is not there, or a folder holds no tests.
    """
    found: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            inner = sorted(
                each for each in path.rglob("*.y*ml") if each.stem.endswith(TEST_SUFFIX) and each.suffix in _SUFFIXES
            )
            found.extend(inner)
            if not inner:
                problems.append(
                    Problem(str(path), 0, 0, "no policy tests here", f"add a file named *{TEST_SUFFIX}.yaml")
                )
        elif path.is_file():
            found.append(path)
        else:
            problems.append(Problem(str(path), 0, 0, "there is no such file", "check the path"))
    if problems:
        raise FileError(problems)
    return list(dict.fromkeys(found))


_SUFFIXES: Final = frozenset({".yaml", ".yml"})


def load_suite(
    path: Path,
    context_of: Callable[[Path], PolicyContext],
    policy: Sequence[Path] = (),
    context: PolicyContext | None = None,
) -> Suite:
    """Return a file of tests with the policy that it tests.

    Args:
        path: the file.
        context_of: reads a settings file.
        policy: policy files that replace those that the file tests.
        context: replaces what the settings of the file say.

    Raises:
        FileError: the tests, the settings or the policy are wrong.
    """
    file = load_case_file(path)
    if context is None:
        context = context_of(path.parent / file.settings) if file.settings is not None else PolicyContext()
    sources = load_policy_files(policy or _tested_by(path, file))
    return Suite(file=file, sources=sources, context=context, ruleset=compile_policy(sources, context))


def load_case_file(path: Path) -> CaseFile:
    """Return the tests in a file.

    Raises:
        FileError: it cannot be read, or is wrong.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_YAML_BYTES + 1)
    except OSError as error:
        raise FileError(
            [Problem(str(path), 0, 0, f"cannot be read: {error.strerror}", "check path and rights")]
        ) from error
    return read_case_file(str(path), raw)


def _tested_by(path: Path, file: CaseFile) -> list[Path]:
    """Return the policy files that a file of tests is for.

    Raises:
        FileError: there are none.
    """
    if file.policy is not None:
        return [path.parent / name for name in file.policy]
    name = path.stem.removesuffix(TEST_SUFFIX)
    candidates = [path.with_name(f"{name}{suffix}") for suffix in (".yaml", ".yml", "")]
    existing = [candidate for candidate in candidates if candidate.exists() and candidate != path]
    if not existing:
        message = f"there is no `{name}.yaml` beside it to test"
        raise FileError([Problem(str(path), 1, 1, message, "name the policy files under `policy:`")])
    return existing[:1]
