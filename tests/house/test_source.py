"""The house rules hold for our source, and each rule finds the bad example it is made for."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import pytest

from tests.house import rules
from tests.house.tree import ROOT, findings, python_files

if TYPE_CHECKING:
    from collections.abc import Callable

PRODUCT = python_files("extauthz")
EVERYTHING = python_files("bench", "extauthz", "tests", "tools")
BOUNDARIES = (
    "extauthz/guard.py",
    "extauthz/audit/writer.py",
    "extauthz/server/",
    "extauthz/keeper/confirmations.py",
    "extauthz/keeper/redis_follower.py",
    "extauthz/keeper/redis_sender.py",
    "extauthz/link/listener.py",
    "extauthz/response/to_envoy.py",
    "extauthz/policy/requirements/plugin.py",
    "extauthz/receiver/desk.py",
    "extauthz/receiver/background.py",
)
"""Who may catch everything: each turns what it caught into a denial or keeps a thread alive that decisions need."""
MEETS_THE_WORLD = (
    "extauthz/clock.py",
    "extauthz/ids.py",
    "extauthz/config/",
    "extauthz/cli/",
    "extauthz/demo/",
    "extauthz/client/system.py",
)
"""Who may read the clock, the environment or random numbers."""
VAGUE_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "misc", "base"})
MEDIAN_FILE_LINES = 150


def test_everything_has_a_docstring() -> None:
    """Modules, public names and tests say what they mean."""
    assert findings(rules.docstrings, EVERYTHING) == []


def test_files_and_functions_stay_small() -> None:
    """No file, function or nesting grows past what a reviewer can hold."""
    assert findings(rules.sizes, EVERYTHING) == []


def test_the_usual_file_is_short() -> None:
    """Half of our files have at most 150 lines."""
    assert median(len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in PRODUCT) <= MEDIAN_FILE_LINES


def test_no_assertion_guards_the_product() -> None:
    """The product raises; it never asserts."""
    assert findings(rules.assertions, PRODUCT) == []


def test_only_boundaries_catch_everything() -> None:
    """A handler for every exception stands only where a failure is turned into a denial or outlived."""
    assert findings(rules.broad_handlers, PRODUCT, allowed=BOUNDARIES) == []


def test_only_the_edges_meet_clock_chance_and_environment() -> None:
    """Instants, random values and settings come in as arguments everywhere else."""
    assert findings(rules.impurity, PRODUCT, allowed=MEETS_THE_WORLD) == []


def test_suppressions_have_code_and_reason() -> None:
    """Whoever silences a tool says which finding and why."""
    assert findings(rules.suppressions, EVERYTHING, allowed=("tests/house/test_source.py",)) == []


def test_no_verifier_returns_a_bool() -> None:
    """A verification that fails raises, so that forgetting to look is not an allow."""
    assert findings(rules.lying_verifiers, PRODUCT) == []


def test_verified_claims_are_made_in_one_place() -> None:
    """Only the bearer verifier makes verified claims."""
    found = findings(rules.makers_of("VerifiedClaims"), PRODUCT)
    assert found, "nobody makes them any more: the rule needs the new name"
    assert {finding.split(":")[0] for finding in found} == {"extauthz/identity/bearer.py"}


def test_tests_use_the_real_thing() -> None:
    """No test replaces our code by a mock."""
    assert findings(rules.stand_ins, python_files("tests")) == []


def test_no_test_is_skipped() -> None:
    """What a test needs is set up by make; when it is missing the test fails."""
    assert findings(rules.skips, python_files("tests")) == []


def test_quick_tests_never_sleep() -> None:
    """Unit and property tests take the clock as an argument."""
    assert (
        findings(rules.sleeps, python_files("tests/unit", "tests/property", "tests/house", "tests/conformance")) == []
    )


def test_no_module_has_a_vague_name() -> None:
    """A module is named after what it holds."""
    vague = [path for path in EVERYTHING if VAGUE_NAMES & set(path.removesuffix(".py").split("/"))]
    assert vague == []


_DEEP = "def deep():\n    '''Nest.'''\n" + "".join(f"{'    ' * n}if x:\n" for n in range(1, 6)) + f"{'    ' * 6}pass\n"
_LONG = "def long():\n    '''Go on.'''\n" + "    x = 1\n" * rules.MAX_FUNCTION_LINES
_CHAIN = "def chain():\n    '''Choose.'''\n    if a:\n        pass\n" + "    elif b:\n        pass\n" * 9


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (rules.docstrings, "x = 1\n"),
        (rules.docstrings, "'''Doc.'''\ndef f(): ...\n"),
        (rules.docstrings, "'''Doc.'''\nclass A:\n    '''Doc.'''\n    def f(self): ...\n"),
        (rules.docstrings, "'''Doc.'''\ndef test_it(): ...\n"),
        (rules.sizes, "x = 1\n" * (rules.MAX_FILE_LINES + 1)),
        (rules.sizes, _LONG),
        (rules.sizes, _DEEP),
        (rules.assertions, "def f():\n    assert x\n"),
        (rules.broad_handlers, "try:\n    f()\nexcept:\n    pass\n"),
        (rules.broad_handlers, "try:\n    f()\nexcept Exception:\n    pass\n"),
        (rules.broad_handlers, "try:\n    f()\nexcept (ValueError, BaseException):\n    pass\n"),
        (rules.broad_handlers, "with contextlib.suppress(Exception):\n    f()\n"),
        (rules.impurity, "import time\n"),
        (rules.impurity, "from secrets import token_hex\n"),
        (rules.impurity, "from datetime import datetime\ndatetime.now()\n"),
        (rules.impurity, "import datetime\ndatetime.datetime.now()\n"),
        (rules.impurity, "import os\nos.environ['A']\n"),
        (rules.impurity, "from os import environ\n"),
        (rules.suppressions, "x = 1  # noqa\n"),
        (rules.suppressions, "x = 1  # noqa: S105\n"),
        (rules.suppressions, "x = 1  # type: ignore\n"),
        (rules.suppressions, "x = 1  # type: ignore[attr-defined]\n"),
        (rules.lying_verifiers, "def verify_token(t) -> bool: ...\n"),
        (rules.makers_of("VerifiedClaims"), "x = bearer.VerifiedClaims({})\n"),
        (rules.stand_ins, "from unittest import mock\n"),
        (rules.stand_ins, "from unittest.mock import Mock\n"),
        (rules.skips, "pytest.skip('no Envoy here')\n"),
        (rules.skips, "@pytest.mark.skipif(True)\ndef test_it(): ...\n"),
        (rules.sleeps, "import time\ntime.sleep(1)\n"),
    ],
)
def test_rule_finds_the_bad_example(rule: Callable[[str], list[str]], bad: str) -> None:
    """A rule that finds nothing anywhere would hold for everything."""
    assert rule(bad) != []


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        (rules.docstrings, ""),
        (rules.docstrings, "'''Doc.'''\ndef _f(): ...\n"),
        (rules.sizes, _CHAIN),
        (rules.broad_handlers, "try:\n    f()\nexcept ValueError:\n    pass\n"),
        (rules.impurity, "from datetime import datetime\ndatetime.fromtimestamp(at)\n"),
        (rules.suppressions, "x = 1  # noqa: S105 — a reason code, not a password\n"),
        (rules.suppressions, "x = '# noqa'\n"),
        (rules.lying_verifiers, "def verify_token(t) -> VerifiedClaims: ...\n"),
        (rules.makers_of("VerifiedClaims"), "def f(claims: VerifiedClaims): ...\n"),
    ],
)
def test_rule_lets_the_good_example_pass(rule: Callable[[str], list[str]], good: str) -> None:
    """A rule that finds something everywhere would be switched off."""
    assert rule(good) == []
