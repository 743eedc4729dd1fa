"""Every line about identity names tests that exist."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.conformance import identity_lists as lists
from tests.conformance import identity_promises as promises

TESTS = Path(__file__).resolve().parents[1]
ALL: dict[str, lists.Lines] = {
    "bearer tokens": lists.BEARER_TOKENS,
    "step-up": lists.STEP_UPS,
    "sender-constrained tokens": lists.SENDER_CONSTRAINED,
    "delegation and workloads": lists.DELEGATION_AND_WORKLOADS,
    "status lists": lists.STATUS_LISTS,
    "attacks": lists.ATTACK_TABLE,
    "kinds of credentials": promises.KINDS,
    "registry": promises.REGISTERED,
    "combinations": promises.COMBINATIONS,
    "outages": promises.OUTAGES,
}
EACH = [(name, line) for name, lines in ALL.items() for line in lines]


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file, also those of its classes."""
    path = TESTS / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    found = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return frozenset(name for name in found if name.startswith("test_"))


@pytest.mark.parametrize(("name", "line"), EACH, ids=str)
def test_every_line_has_tests_that_exist(name: str, line: str) -> None:
    """A renamed or removed test is noticed here."""
    proofs = ALL[name][line]
    assert proofs
    assert [f"{file}::{test}" for file, test in proofs if test not in names_in(file)] == []


def test_every_list_is_looked_at() -> None:
    """None of the two modules is left out, and none is empty."""
    held = [value for module in (lists, promises) for name, value in vars(module).items() if name.isupper()]
    assert [value for value in held if isinstance(value, dict)] == [*ALL.values()]
    assert all(ALL.values())


def test_a_name_that_is_gone_would_be_noticed() -> None:
    """The control."""
    assert "test_vectors" in names_in(lists.STATUS)
    assert "test_vector" not in names_in(lists.STATUS)
    assert names_in("unit/identity/test_gone.py") == frozenset()
