"""The page on the policy language tells the truth: examples compile; requirements, facts and kinds are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extauthz.errors import PolicyError
from extauthz.model.identity import Kind
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.document import (
    AttributePart,
    ForbidPart,
    FreezePart,
    GuardPart,
    HeadPart,
    MatchPart,
    NamespacePart,
    Part,
    PermitPart,
    ResourcePart,
    WhenPart,
    WhoPart,
    WindowPart,
)
from extauthz.policy.names import FACTS
from extauthz.policy.requirements.registry import REQUIREMENTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "policy-language.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
CONTEXT = PolicyContext(profiles=None, acr={})


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_compiles(example: str) -> None:
    """An example can be pasted into a file and used."""
    ruleset = compile_policy({"example.yaml": example.encode()}, CONTEXT)
    assert ruleset.counts.resources > 0
    if ruleset.counts.permits:
        assert ruleset.warnings == ()


def test_a_wrong_example_would_be_found() -> None:
    """Compiling is a check: the same text with one misspelt name is refused."""
    wrong = EXAMPLES[-1].replace("involves", "invovles")
    assert wrong != EXAMPLES[-1]
    with pytest.raises(PolicyError, match="invovles"):
        compile_policy({"example.yaml": wrong.encode()}, CONTEXT)


def test_every_requirement_has_a_row() -> None:
    """The table of requirements has one row per kind, and no others."""
    section = PAGE.split("## Requirements")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+): ", section, re.MULTILINE)
    assert sorted(rows) == sorted(REQUIREMENTS)


def test_requirement_examples_compile() -> None:
    """Each form in the table of requirements is accepted as written, an ellipsis standing for a value."""
    section = PAGE.split("## Requirements")[1].split("\n## ")[0]
    cells = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    forms = [form.replace("[…]", "[x]") for cell in cells for form in re.findall(r"`([a-z_]+: [^`]+)`", cell)]
    assert len(forms) >= len(REQUIREMENTS)
    attributes = "{environment: path.environment, tenant: context.tenant}"
    head = "windows:\n  releases: {rules: FREQ=DAILY, starts: 2026-01-06T09:00, lasts: 4h, zone: UTC}\n"
    head += "resources:\n  - name: thing\n    action: do\n"
    head += '    match: {host: a.example, path: "/{environment}", methods: [GET]}\n'
    head += f"    attributes: {attributes}\nguards:\n"
    rules = [
        f"  - id: g{number}\n    on: thing.do\n    require:\n      - {form}\n" for number, form in enumerate(forms)
    ]
    assert compile_policy({"forms.yaml": (head + "".join(rules)).encode()}, CONTEXT).counts.guards == len(forms)


@pytest.mark.parametrize(
    "part",
    [
        *(ResourcePart, MatchPart, AttributePart, GuardPart, ForbidPart, PermitPart, WhoPart, WhenPart),
        *(HeadPart, NamespacePart, WindowPart, FreezePart),
    ],
)
def test_every_key_is_described(part: type[Part]) -> None:
    """No key of a policy file is missing from the page."""
    keys = [field.alias or name for name, field in part.model_fields.items()]
    assert [key for key in keys if re.search(rf"`(?:match\.)?{key}\b", PAGE) is None] == []


def test_every_fact_and_kind_is_listed() -> None:
    """The table of names holds every fact that a condition can read, and the page every kind of caller."""
    table = PAGE.split("| names | type |")[1].split("\n\n")[0]
    listed = set()
    for row in table.splitlines()[2:]:
        first = ""
        for name in re.findall(r"`([a-z_.]+)`", row.split(" | ")[0]):
            first = first if name.startswith(".") else name.split(".")[0]
            listed.add(first + name if name.startswith(".") else name)
    assert listed - {"resource."} == set(FACTS)
    assert [kind for kind in Kind if f"`{kind.value}`" not in PAGE] == []
