"""Deleting anything from a policy fails one of its tests, or is told by its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.policytools.strength import find_deletions, try_deletions, without
from extauthz.yamlfile import read_yaml
from tests.simulators.policy_cases import CASES, POLICY, suite_in

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.policytools.strength import Tried


def tried(folder: Path, cases: str = CASES, policy: str = POLICY) -> list[Tried]:
    """Return what becomes of each deletion."""
    suite = suite_in(folder, cases, policy)
    return list(try_deletions([suite], find_deletions(suite.sources)))


def survivors(outcomes: list[Tried]) -> list[tuple[int, str]]:
    """Return line and name of each deletion that no test noticed."""
    return [(each.deletion.line, each.deletion.what) for each in outcomes if each.survived]


def test_rules_requirements_conditions_and_callers_are_deleted(tmp_path: Path) -> None:
    """Each by itself; what cannot be left out is no deletion that could go unnoticed."""
    outcomes = tried(tmp_path)
    assert [each.deletion.what for each in outcomes] == [
        "guard `recent`",
        "`step_up` of `recent`",
        "forbid `no-secret-orders`",
        "`when` of `no-secret-orders`",
        "`roles` of `no-secret-orders`",
        "permit `readers`",
        "`who.kind` of `readers`",
        "`scopes` of `readers`",
        "permit `shippers`",
        "`who.roles` of `shippers`",
        "permit `anyone-sees-the-status`",
        "`who.kind` of `anyone-sees-the-status`",
    ]
    impossible = [each.deletion.what for each in outcomes if not each.possible]
    assert impossible[0] == "`step_up` of `recent`"
    assert all("`who." in what for what in impossible[1:])
    assert survivors(outcomes) == []


def test_what_no_test_needs_is_told_by_its_line(tmp_path: Path) -> None:
    """Without the test that needs it, and only then."""
    cases = "".join(line for line in CASES.splitlines(keepends=True) if "name: audited" not in line)
    line = POLICY.splitlines().index("      - roles: [auditor]") + 1
    assert survivors(tried(tmp_path, cases)) == [(line, "`roles` of `no-secret-orders`")]


def test_requirements_in_one_mapping_are_deleted_too(tmp_path: Path) -> None:
    """The short form of `require`."""
    policy = POLICY.replace("      - scopes: [orders.read]\n", "      {scopes: [orders.read], cel: identity.human}\n")
    found = survivors(tried(tmp_path, policy=policy))
    assert [what for _, what in found] == ["`cel` of `readers`"]


def test_the_rest_of_the_policy_stays_as_it_was(tmp_path: Path) -> None:
    """Also text that YAML would read otherwise than JSON writes it."""
    policy = POLICY.replace("[auditor]", r'["\x85\u2028 on: no \U0001F600"]')
    suite = suite_in(tmp_path, CASES, policy)
    deletion = find_deletions(suite.sources)[0]
    changed = without(suite.sources, deletion)[deletion.file]
    expected = read_yaml("p", policy.encode()).data
    del expected["guards"][0]
    assert read_yaml("p", changed).data == expected
