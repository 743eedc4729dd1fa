"""What holds for all pages: their YAML can be read in one way only, and credentials are in the index of their pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extauthz.config.settings import Settings
from extauthz.errors import FileError
from extauthz.model.identity import Credential
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policytools.casefile import read_case_file
from extauthz.yamlfile import read_yaml

ROOT = Path(__file__).resolve().parents[2]
CREDENTIALS = ROOT / "docs" / "credentials"
INDEX = (CREDENTIALS / "README.md").read_text(encoding="utf-8")
PAGES = sorted(path.name for path in CREDENTIALS.glob("*.md") if path.name != "README.md")


def blocks(page: str) -> list[str]:
    """Return the YAML blocks of a page."""
    return re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


BLOCKS = [
    pytest.param(block, id=f"{page}-{number}")
    for page in ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))]
    for number, block in enumerate(blocks(page))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_yaml_can_be_read(block: str) -> None:
    """Indentation, quotes, and no key twice."""
    assert read_yaml("page", block.encode()).data


def test_yaml_that_cannot_be_read_would_be_found() -> None:
    """The control."""
    assert len(BLOCKS) > 50
    with pytest.raises(FileError):
        read_yaml("page", b"a: {b: 1}\na: 2\n")


def test_the_policy_of_the_readme_compiles() -> None:
    """In ten lines."""
    (policy,) = blocks("README.md")
    assert compile_policy({"policy.yaml": policy.encode()}, PolicyContext()).counts.resources == 1


def test_the_tests_of_policies_can_be_read() -> None:
    """As far as they do not name other files."""
    suite, _ = blocks("docs/policy-tools.md")
    assert len(read_case_file("policy_test.yaml", suite.encode()).cases) == 2


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_in_the_index(page: str) -> None:
    """With settings and ways to declare it that the page itself shows."""
    (row,) = (line for line in INDEX.splitlines() if re.search(rf"^\| [^|]+ \| \[[^|]*\({re.escape(page)}\)", line))
    text = (CREDENTIALS / page).read_text(encoding="utf-8")
    named = [name.split(".")[-1] for name in re.findall(r"`([\w.: -]+)`", row) if " " not in name]
    assert [name for name in named if name not in text] == []
    declared = re.search(r"`credential: (\w+)`", row)
    if declared is not None and declared[1] != Credential.BEARER.value:
        assert declared[0].strip("`") in text


def test_every_kind_is_in_the_index() -> None:
    """Each with at least one row."""
    assert set(re.findall(r"`credential: (\w+)`", INDEX)) == {kind.value for kind in Credential}


def test_the_settings_of_the_page_on_envoy_are_settings() -> None:
    """What is said there of a proxy that shows all headers."""
    said = [read_yaml("page", block.encode()).data for block in blocks("docs/envoy.md") if block.startswith("proxies:")]
    (proxies,) = [Settings.model_validate({"policy": ["p"], **each}).proxies for each in said]
    assert [proxy.shows_all_headers for proxy in proxies] == [True]
