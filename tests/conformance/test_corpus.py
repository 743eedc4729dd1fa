"""The decision corpus: what policies mean, case by case, with the record that is written.

Every requirement kind has an allow, a deny and an error, and nothing of the corpus' policies can be deleted without a
case noticing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from jsonschema import Draft202012Validator

from extauthz.audit.record import to_record
from extauthz.policy.compile import PolicyContext
from extauthz.policy.requirements.registry import REQUIREMENTS
from extauthz.policytools.caseform import schema_text
from extauthz.policytools.sentences import failure_lines
from extauthz.policytools.strength import find_deletions, try_deletions
from extauthz.policytools.suite import find_case_files, load_suite
from extauthz.yamlfile import read_yaml
from tests.house.tree import ROOT
from tests.simulators.policies import problems_in
from tests.simulators.policy_cases import no_settings

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.policytools.suite import Suite

CORPUS: Final = ROOT / "tests" / "corpus"
FILES: Final = find_case_files([CORPUS])
KINDS: Final = sorted(REQUIREMENTS)
ERRORS: Final = frozenset({"evaluation_failed", "evidence_unavailable"})
RECORDS: Final = Draft202012Validator(
    json.loads((ROOT / "extauthz" / "audit" / "record.schema.json").read_text(encoding="utf-8"))
)
POLICY: Final = """\
resources:
  - name: order
    action: read
    match: {host: api.example.com, path: "/orders/{order}", methods: [GET]}
guards:
  - id: g
    on: order.read
    require:
      - KIND: WRITTEN
"""


def suite_of(path: Path) -> Suite:
    """Return a file of the corpus with its policy."""
    return load_suite(path, no_settings, context=PolicyContext())


def refused() -> dict[str, dict[str, str]]:
    """Return what requirements cannot say, by kind."""
    path = CORPUS / "refused.yaml"
    data: dict[str, dict[str, str]] = read_yaml(str(path), path.read_bytes()).data
    return data


def missing_of(kind: str, cases: list[dict[str, Any]], errors: dict[str, str]) -> list[str]:
    """Return which sorts of case a kind lacks.

    Args:
        kind: of requirement.
        cases: of its file, as written.
        errors: what it cannot say.
    """
    found = set()
    for case in cases:
        expect = case["expect"]
        if expect["outcome"] == "allow":
            found.add("allow")
        else:
            failed = expect.get("reason") == "evaluation_failed" or "inner" in expect["record"]
            found.add("error" if failed else "deny")
    if errors:
        found.add("error")
    return [f"{kind}: no {sort}" for sort in ("allow", "deny", "error") if sort not in found]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cases_come_out_as_expected(path: Path) -> None:
    """By the stages that serve, with the record that they write."""
    for result in suite_of(path).run():
        assert result.passed, "\n".join(failure_lines(result))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_cases_fit_the_published_schema_and_expect_a_record(path: Path) -> None:
    """Editors that know the schema find nothing wrong; each case says what is recorded, and what is fits its schema."""
    data = read_yaml(str(path), path.read_bytes()).data
    assert [error.message for error in Draft202012Validator(json.loads(schema_text())).iter_errors(data)] == []
    assert [case["name"] for case in data["tests"] if not case["expect"].get("record")] == []
    for result in suite_of(path).run():
        assert [error.message for error in RECORDS.iter_errors(to_record(result.judged.decision, 0.0))] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_case_can_be_done_without(path: Path) -> None:
    """Every rule and requirement of the corpus is needed by a case."""
    suite = suite_of(path)
    tried = try_deletions([suite], find_deletions(suite.sources))
    assert [f"{each.deletion.line}: {each.deletion.what}" for each in tried if each.survived] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_an_allow_a_deny_and_an_error(kind: str) -> None:
    """A kind that is added without its cases fails here by its name."""
    path = CORPUS / f"{kind}_test.yaml"
    cases = read_yaml(str(path), path.read_bytes()).data["tests"] if path in FILES else []
    assert missing_of(kind, cases, refused().get(kind, {})) == []
    assert any(each.what.startswith(f"`{kind}` of ") for each in find_deletions(suite_of(path).sources))


def test_a_missing_sort_of_case_is_found() -> None:
    """By kind and sort."""
    allow = {"expect": {"outcome": "allow", "record": {"rule": "x"}}}
    assert missing_of("scopes", [allow], {}) == ["scopes: no deny", "scopes: no error"]
    assert missing_of("scopes", [], {}) == ["scopes: no allow", "scopes: no deny", "scopes: no error"]


@pytest.mark.parametrize(
    ("kind", "written", "problem"),
    [(kind, written, problem) for kind, each in refused().items() for written, problem in each.items()],
)
def test_what_cannot_be_said_is_refused(kind: str, written: str, problem: str) -> None:
    """At load, where it stands."""
    assert kind in REQUIREMENTS
    found = problems_in(POLICY.replace("KIND", kind).replace("WRITTEN", written))
    assert any(each.message.startswith(problem) for each in found), found
    assert {each.line for each in found} == {9}


def test_the_published_schema_is_current() -> None:
    """`make docs` would change nothing."""
    assert (ROOT / "docs/reference/policy-test.schema.json").read_text(encoding="utf-8") == schema_text()
