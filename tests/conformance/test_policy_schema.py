"""The published JSON Schema is current, accepts whatever compiles, and notices slips while somebody types."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from extauthz.policy.document import ForbidPart, GuardPart, HeadPart, PermitPart, ResourcePart
from extauthz.policy.requirements.registry import REQUIREMENTS
from extauthz.policy.schema import policy_schema, schema_text
from extauthz.yamlfile import read_yaml

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "docs" / "reference" / "policy.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(policy_schema())
PAGE = (ROOT / "docs" / "policy-language.md").read_text(encoding="utf-8")
EXAMPLES = {
    **{str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "examples").rglob("policy.yaml"))},
    **{f"page-{number}": text for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))},
}


def errors_in(text: str) -> list[Any]:
    """Return what the schema says about a policy file."""
    return list(VALIDATOR.iter_errors(read_yaml("p.yaml", text.encode()).data))


def test_the_published_schema_is_current() -> None:
    """Run `python tools/make_reference.py` after changing the policy's models."""
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text()
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_valid(name: str) -> None:
    """What compiles is valid, so an editor never marks what is right."""
    assert errors_in(EXAMPLES[name]) == []


def test_every_short_form_is_valid() -> None:
    """Single texts for lists, lists by name, a mapping of requirements, conditions of both kinds."""
    text = """\
        owner: us
        lists: {boss: [chief]}
        constants: {a: 1, b: text, c: true}
        includes: other.yaml
        resources:
          - name: r
            action: a
            match: {host: h, path: /, methods: GET, body: {kind: [1, "1", true]}, headers: {x: $boss}}
            attributes: {a: query.a, b: {from: query.b, one_of: $boss}, c: {value: 7}}
        guards: [{id: g, on: r.a, when: identity.human, require: {roles: a, scopes: [b]}}]
        forbids: [{id: f, on: [r.a], when: {involves: {kind: $boss}}, unless: [{roles: {any_of: $boss}}]}]
        permits: [{id: p, who: anyone, may: "*", require: [{roles: [a], observe: true}], record: sampled}]
        """
    assert errors_in(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "resource: []",
        "resources: [{nam: a}]",
        "resources: [{name: a, action: a, match: {host: h, path: /, methods: [GTE]}}]",
        "permits: [{id: p, who: everyone, may: a}]",
        "permits: [{id: p, who: {kind: [agnet]}, may: a}]",
        "permits: [{id: p, who: anyone, may: a, require: [{scoops: [a]}]}]",
        "permits: [{id: p, who: anyone, may: a, require: [{step_up: {max_agee: 5m}}]}]",
        "permits: [{id: p, who: anyone, may: a, when: }]",
        "permits: [{id: p, who: anyone, may: a, record: never}]",
        "guards: [{id: g, on: a}]",
        "forbids: [{id: f, on: a, when: {involved: {kind: ci}}}]",
        "constants: {a: [1]}",
    ],
)
def test_slips_are_noticed(text: str) -> None:
    """Wrong keys, kinds, methods and words, and what is missing."""
    assert errors_in(text)


def test_every_key_and_kind_is_in_it() -> None:
    """An editor can offer them."""
    schema = policy_schema()
    for part in (ResourcePart, GuardPart, ForbidPart, PermitPart):
        keys = {field.alias or name for name, field in part.model_fields.items()}
        assert keys == set(schema["$defs"][part.__name__]["properties"])
    assert {*HeadPart.model_fields, "resources", "guards", "forbids", "permits"} == set(schema["properties"])
    *ours, added = schema["$defs"]["Requirement"]["anyOf"]
    assert [next(iter(each["properties"])) for each in ours] == list(REQUIREMENTS)
    assert [re.search(pattern, "acme.ticket-age") is not None for pattern in added["patternProperties"]] == [True]
