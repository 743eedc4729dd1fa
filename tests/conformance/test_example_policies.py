"""The tests beside the example policies pass, and nothing of those policies can be deleted unnoticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from extauthz.cli.policy_inputs import context_from
from extauthz.policytools.sentences import failure_lines
from extauthz.policytools.strength import find_deletions, try_deletions
from extauthz.policytools.suite import find_case_files, load_suite
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FILES: Final = find_case_files([ROOT / "examples"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_tests_of_an_example_pass_and_are_strong(path: Path) -> None:
    """With the settings that they name."""
    suite = load_suite(path, context_from)
    for result in suite.run():
        assert result.passed, "\n".join(failure_lines(result))
    tried = try_deletions([suite], find_deletions(suite.sources))
    assert [f"{each.deletion.line}: {each.deletion.what}" for each in tried if each.survived] == []
