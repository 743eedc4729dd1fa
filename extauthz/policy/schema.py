"""JSON Schema of policy files, for editors: made from the models, and looser than them where they know more.

What compiles is valid; what is valid may still be refused, since names, conditions and values are checked against each
other only when a policy is loaded.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, TypeAdapter

from extauthz.policy.document import (
    CLAUSES,
    ForbidPart,
    GuardPart,
    HeadPart,
    Part,
    PermitPart,
    ResourcePart,
    Words,
)
from extauthz.policy.requirements.registry import REQUIREMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_REF: Final = "#/$defs/{model}"
_ADDED: Final = r"^[a-z][a-z0-9_-]*\.[a-z][a-z0-9_-]*$"
_FROM_A_PLUGIN: Final = {
    "type": "object",
    "properties": {"observe": {"type": "boolean"}},
    "patternProperties": {_ADDED: {}},
    "additionalProperties": False,
    "minProperties": 1,
}
"""A requirement whose kind and argument only the settings know."""


class PolicyFile(HeadPart):
    """A policy file: what requests mean, what must hold, what must not happen and what may."""

    resources: list[ResourcePart] = Field(default=[], description="What requests mean.")
    guards: list[GuardPart] = Field(default=[], description="What must hold whatever any permit says.")
    forbids: list[ForbidPart] = Field(default=[], description="What is denied.")
    permits: list[PermitPart] = Field(default=[], description="What is allowed, and to whom.")


def policy_schema() -> dict[str, Any]:
    """Return the schema of one policy file."""
    schema = PolicyFile.model_json_schema(by_alias=True, ref_template=_REF)
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    ours = [_requirement(kind, definitions) for kind in REQUIREMENTS]
    definitions["Requirement"] = {"anyOf": [*ours, _FROM_A_PLUGIN]}
    one = {"$ref": "#/$defs/Requirement"}
    every = {kind: _argument(kind, definitions) for kind in REQUIREMENTS}
    definitions["Requirements"] = {
        "anyOf": [
            {"type": "array", "items": one},
            {
                "type": "object",
                "properties": every,
                "patternProperties": {_ADDED: {}},
                "additionalProperties": False,
                "minProperties": 1,
            },
        ]
    }
    return {"$schema": _DRAFT, "title": "extauthz policy", **_tidy(schema)}


def schema_text() -> str:
    """Return the schema as it is published."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


def _requirement(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one requirement in a list."""
    return {
        "type": "object",
        "properties": {kind: _argument(kind, definitions), "observe": {"type": "boolean"}},
        "required": [kind],
        "additionalProperties": False,
    }


def _argument(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what a requirement is given, as far as its module says it by a model or a list of texts."""
    module = sys.modules[REQUIREMENTS[kind].__module__]
    forms = []
    for part in _own_parts(module):
        schema = part.model_json_schema(by_alias=True, ref_template=_REF)
        definitions.update(schema.pop("$defs", {}))
        definitions[part.__name__] = schema
        one = {"$ref": _REF.format(model=part.__name__)}
        forms += [one, {"type": "array", "items": one}]
    if hasattr(module, "read_words"):
        forms.append(TypeAdapter(Words).json_schema())
    return {"anyOf": forms} if forms else {}


def _own_parts(module: object) -> Iterator[type[Part]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Part) and value.__module__ == getattr(module, "__name__", ""):
            yield value


def _tidy(schema: Any) -> Any:
    """Return a schema with requirements where the models mark them; without titles, and nulls, which no file holds."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("$comment") == CLAUSES:
        schema = {**schema, "$ref": _REF.format(model="Requirements")}
    kept = {
        name: {key: _tidy(value) for key, value in inner.items()} if name == "properties" else _tidy(inner)
        for name, inner in schema.items()
        if name not in {"title", "$comment"} and not (name == "default" and inner is None)
    }
    choices = [each for each in kept.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        return {**choices[0], **kept}
    return {**kept, "anyOf": choices} if choices else kept
