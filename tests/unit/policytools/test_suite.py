"""Policy tests: what passes, what fails and how that is said, which files belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import fromstring

import pytest

from extauthz import plugin
from extauthz.errors import FileError
from extauthz.model.reason import Reason
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.requirements.plugin import AddedKind
from extauthz.policytools.junit import to_junit
from extauthz.policytools.records import read_line
from extauthz.policytools.replay import judge_recorded
from extauthz.policytools.sentences import failure_lines
from extauthz.policytools.suite import find_case_files, judge_case, load_suite
from tests.simulators.decision_logs import log_of
from tests.simulators.policy_cases import CASES, POLICY, no_settings, suite_in, write_suite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ONE = """\
tests:
  - name: read
    request: {host: api.example.com, path: /orders/7}
    identity: {kind: user, subject: ann, scopes: [orders.read]}
    expect:
"""


def lines_for(folder: Path, expect: str) -> list[str]:
    """Return what is said about the first test when it expects this."""
    suite = suite_in(folder, ONE + f"      {expect}\n")
    (result,) = suite.run()
    return list(failure_lines(result)) if not result.passed else []


def problems_of(folder: Path, cases: str) -> list[str]:
    """Return what is wrong with a file of tests, without the folder."""
    with pytest.raises(FileError) as caught:
        suite_in(folder, cases)
    return [str(problem).removeprefix(f"{folder}/orders_test.yaml:") for problem in caught.value.problems]


def test_all_of_it_passes(tmp_path: Path) -> None:
    """Every outcome of the small policy, by the stages that serve."""
    assert [result.case.name for result in suite_in(tmp_path).run() if not result.passed] == []


@pytest.mark.parametrize(
    "expect",
    [
        "outcome: allow\n      reason: allowed\n      rule: readers\n      resource: order.read",
        "outcome: allow\n      upstream_headers: {x-extauthz-subject: ann, x-extauthz-actor: null}",
        "outcome: allow\n      removed_headers: [x-api-key]\n      remedies: []",
        'outcome: allow\n      record: {subject: {kind: user}, attributes: {order: "7"}, cached: null}',
    ],
)
def test_what_is_expected_may_be_any_part_of_it(tmp_path: Path, expect: str) -> None:
    """Decision, headers to the upstream, record: whatever is named must be so, the rest may be anything."""
    assert lines_for(tmp_path, expect) == []


@pytest.mark.parametrize(
    ("expect", "where", "expected", "got"),
    [
        ("outcome: deny", "outcome", '"deny"', '"allow"'),
        ("outcome: allow\n      rule: writers", "rule", '"writers"', '"readers"'),
        ("outcome: allow\n      status: 403", "status", "403", "(not there)"),
        (
            "outcome: allow\n      upstream_headers: {x-extauthz-subject: bob}",
            "upstream_headers.x-extauthz-subject",
            '"bob"',
            '"ann"',
        ),
        ("outcome: allow\n      removed_headers: [accept]", "removed_headers", '"accept"', "(not there)"),
        ("outcome: allow\n      record: {subject: {kind: ci}}", "record.subject.kind", '"ci"', '"user"'),
        ("outcome: allow\n      record: {scopes: null}", "record.scopes", "(not there)", '["orders.read"]'),
    ],
)
def test_a_difference_is_shown_with_its_line(tmp_path: Path, expect: str, where: str, expected: str, got: str) -> None:
    """Where it stands in the file, what was expected and what came out; and what was decided."""
    first, minus, plus, *_, decided = lines_for(tmp_path, expect)
    assert first.split(": ")[0].split("orders_test.yaml:")[1].isdigit()
    assert first.endswith(f": {where}")
    assert (minus, plus) == (f"  - expected {expected}", f"  + got      {got}")
    assert decided == "  GET api.example.com/orders/7 → allow by rule `readers`"


def test_a_denial_is_compared_with_status_challenge_and_remedies(tmp_path: Path) -> None:
    """The answer is that of the code that answers Envoy."""
    cases = ONE.replace("orders.read", "x") + (
        "      outcome: deny\n      status: 403\n      remedies: [{kind: scopes, scopes: [orders.read]}]\n"
        "      challenge: 'scope=\"orders.read\"'\n"
        "      response_headers: {x-extauthz-reason: insufficient_scope, allow: null}\n"
    )
    (result,) = suite_in(tmp_path, cases).run()
    assert result.differences == []
    (result,) = suite_in(tmp_path, cases.replace("'scope=\"orders.read\"'", "''")).run()
    assert [difference.where for difference in result.differences] == [("challenge",)]


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        ("tests: []\n", "1:8: `tests` must not be empty — name at least one, or remove the key"),
        ("- 1\n", "1:1: a file of policy tests is a mapping — begin with `tests:`"),
        (CASES.replace("expect: no_resource", "expect: no_resorce"), "did you mean `no_resource`?"),
        (CASES.replace("expect: no_resource", "expects: no_resource"), "did you mean `expect`?"),
        (CASES.replace("request: read,", "request: reed,"), "there is no `reed` — did you mean `read`?"),
        (CASES.replace("name: ship,", "name: read,"), "the name is taken by the test in line 9"),
        (CASES.replace("kind: service", "kind: servcie"), "did you mean `service`?"),
        (CASES.replace("-6m", "6m"), "not an instant; write for example 2030-01-01T12:00:00Z, or -5m"),
        ("at: noon\n" + CASES, "not an instant; write for example 2030-01-01T12:00:00Z"),
        (CASES.replace("path: /nowhere", "query: {a: b}"), "the request has no `path`"),
        (CASES.replace("  read: {", "  read: {like: read, "), "`read` is like itself"),
        (CASES.replace("expect: no_resource", "state: {weather: {here: {}}}, expect: allow"), "no state `weather`"),
    ],
)
def test_what_is_wrong_is_told_by_line_and_fix(tmp_path: Path, cases: str, problem: str) -> None:
    """Before anything is run; every problem that could be found."""
    found = problems_of(tmp_path, cases)
    assert any(problem in each for each in found), found
    assert all(each[0].isdigit() for each in found)


def test_tests_find_their_policy_by_name(tmp_path: Path) -> None:
    """`orders_test.yaml` tests `orders.yaml` or the folder `orders`; `policy` names others; nothing is an error."""
    path = write_suite(tmp_path)
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders.yaml").rename(tmp_path / "orders" / "all.yaml")
    assert load_suite(path, no_settings).sources.keys() == {str(tmp_path / "orders" / "all.yaml")}
    path.write_text(f"policy: elsewhere.yaml\n{CASES}")
    (tmp_path / "elsewhere.yaml").write_text(POLICY)
    assert load_suite(path, no_settings).sources.keys() == {str(tmp_path / "elsewhere.yaml")}
    path.write_text(CASES)
    (tmp_path / "orders" / "all.yaml").rename(tmp_path / "x.yaml")
    (tmp_path / "orders").rmdir()
    with pytest.raises(FileError, match="beside it to test"):
        load_suite(path, no_settings)


def test_settings_are_read_where_tests_name_them(tmp_path: Path) -> None:
    """Relative to the file; and a policy or context that is given wins."""
    path = write_suite(tmp_path, f"settings: s.yaml\n{CASES}")
    asked: list[Path] = []

    def context_of(settings: Path) -> PolicyContext:
        asked.append(settings)
        return PolicyContext(profiles={})

    with pytest.raises(FileError, match="no verification profile `default`"):
        load_suite(path, context_of)
    assert asked == [tmp_path / "s.yaml"]
    other = tmp_path / "other.yaml"
    other.write_text("")
    suite = load_suite(path, no_settings, [other], PolicyContext())
    assert {result.judged.decision.reason.value for result in suite.run()} == {"no_resource"}


def test_test_files_are_found_below_folders(tmp_path: Path) -> None:
    """Sorted, each once; a missing path and a folder without tests are told."""
    (tmp_path / "inner").mkdir()
    first, second = write_suite(tmp_path), write_suite(tmp_path / "inner")
    assert find_case_files([tmp_path, first]) == sorted([first, second])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileError) as caught:
        find_case_files([empty, tmp_path / "missing"])
    assert [problem.message for problem in caught.value.problems] == ["no policy tests here", "there is no such file"]


def test_junit_holds_every_result_and_stays_xml(tmp_path: Path) -> None:
    """Counts, names, and for a failure what was said; characters that XML cannot hold are replaced."""
    suite = suite_in(
        tmp_path,
        CASES.replace("expect: no_resource", 'name: "bell \\u0007", expect: allow').replace("{name: nowhere, ", "{"),
    )
    results = list(suite.run())
    (failed,) = [result for result in results if not result.passed]
    document = fromstring(to_junit({"orders_test.yaml": results}, {id(failed): "not \x00 so"}))  # noqa: S314 — our own text
    assert (document.get("tests"), document.get("failures")) == (str(len(results)), "1")
    (failure,) = document.iter("failure")
    assert failure.text == "not \ufffd so"
    assert [case.get("name") for case in document.iter("testcase") if case.find("failure") is not None] == [
        "bell \ufffd"
    ]


def test_a_plug_in_that_waits_is_asked_for_real_and_not_in_a_replay(tmp_path: Path) -> None:
    """A case has it say what it says; a record is of another day, so that what hangs on it is untold."""
    asked: list[object] = []

    def check(facts: Mapping[str, object], at: float) -> plugin.Unmet:
        del at
        asked.append(facts["resource.order"])
        return plugin.Unmet("Not this one.")

    context = PolicyContext(
        plugins={"acme.slow": AddedKind(frozenset({"resource.order"}), lambda _: check, waits=True)}
    )
    text = POLICY.replace("- scopes: [orders.read]", "- acme.slow: 7")
    ruleset = compile_policy({"p.yaml": text.encode()}, context)
    suite = suite_in(tmp_path)
    (case,) = [each for each in suite.file.cases if each.name == "read"]
    assert judge_case(case, ruleset).decision.reason is Reason.PLUGIN_DENIED
    assert asked == ["7"]
    recorded = read_line(log_of([case], suite.ruleset)[0])
    assert recorded is not None
    assert judge_recorded(recorded, ruleset).missing == "the answer of acme.slow"
    assert asked == ["7"]
