"""Our protos against the definitions that Envoy and CEL publish, and the generated code against our protos."""

from __future__ import annotations

import copy
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.describe_protos import Description, describe, filled, messages_of, parsed, written

ROOT = Path(__file__).resolve().parents[2]
REFERENCE_PYTHON = ROOT / ".venv-xds" / "bin" / "python"
FILES = {
    "extauthz.gen.envoy.config.core.v3.address_pb2": ["envoy.config.core.v3.address_pb2"],
    "extauthz.gen.envoy.config.core.v3.base_pb2": ["envoy.config.core.v3.base_pb2"],
    "extauthz.gen.envoy.service.auth.v3.attribute_context_pb2": ["envoy.service.auth.v3.attribute_context_pb2"],
    "extauthz.gen.envoy.service.auth.v3.external_auth_pb2": ["envoy.service.auth.v3.external_auth_pb2"],
    "extauthz.gen.envoy.type.v3.http_status_pb2": ["envoy.type.v3.http_status_pb2"],
    "extauthz.gen.cel.expr.checked_pb2": ["cel.expr.checked_pb2", "cel.expr.syntax_pb2"],
}
"""Our generated module → the reference modules that define the same messages."""


def _our_messages() -> dict[str, list[str]]:
    files = [importlib.import_module(name).DESCRIPTOR for name in FILES]
    return {
        descriptor.full_name: [written(message)[1] for message in filled(descriptor)]
        for file in files
        for descriptor in messages_of(file)
    }


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """Ask the reference definitions, in the environment of their own, about everything at once."""
    if not REFERENCE_PYTHON.exists():
        pytest.fail("the reference definitions are not installed; run `make test`")
    job = {"files": sorted({name for names in FILES.values() for name in names}), "messages": _our_messages()}
    done = subprocess.run(
        [REFERENCE_PYTHON, Path(__file__).with_name("describe_protos.py")],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def first_difference(ours: Description, theirs: Description) -> str | None:
    """Return the first thing of ours that the reference lacks or has otherwise, or None."""
    for kind, things in ours.items():
        for full_name, members in things.items():
            if full_name not in theirs[kind]:
                return f"{kind}: {full_name} is not in the reference"
            for name, member in members.items():
                reference_member = theirs[kind][full_name].get(name)
                if member != reference_member:
                    return f"{full_name}.{name}: ours {member}, reference {reference_member}"
    return None


def contains(whole: Any, part: Any) -> bool:
    """Return whether `whole` holds everything in `part`, at every depth."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


def test_every_field_of_ours_is_in_the_reference(reference: dict[str, Any]) -> None:
    """Numbers, names, types, labels, oneofs and enum values of ours are those of the published definitions."""
    assert first_difference(describe(FILES), reference["described"]) is None


def test_every_generated_module_is_compared() -> None:
    """No generated file escapes the comparison."""
    generated = {
        str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
        for path in (ROOT / "extauthz" / "gen").rglob("*_pb2.py")
    }
    assert generated == set(FILES)


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("number", 99),
        ("type", 9),
        ("label", 3),
        ("of", ".envoy.service.auth.v3.OkHttpResponse"),
        ("oneof", ""),
        ("optional", True),
    ],
)
def test_a_changed_field_is_found(member: str, change: object) -> None:
    """The comparison notices a field that differs in any one respect."""
    theirs = describe(FILES)
    ours = copy.deepcopy(theirs)
    ours["messages"]["envoy.service.auth.v3.CheckResponse"]["denied_response"][member] = change
    found = first_difference(ours, theirs)
    assert found is not None
    assert found.startswith("envoy.service.auth.v3.CheckResponse.denied_response: ")


def test_a_renumbered_enum_value_or_an_invented_message_is_found() -> None:
    """The comparison notices enum values and names of messages too."""
    theirs = describe(FILES)
    renumbered = copy.deepcopy(theirs)
    renumbered["enums"]["envoy.type.v3.StatusCode"]["Forbidden"]["number"] = 404
    invented = copy.deepcopy(theirs)
    invented["messages"]["envoy.service.auth.v3.Invented"] = {}
    assert "StatusCode.Forbidden" in (first_difference(renumbered, theirs) or "")
    assert "Invented is not in the reference" in (first_difference(invented, theirs) or "")


def test_what_we_write_the_reference_reads_the_same(reference: dict[str, Any]) -> None:
    """Messages with all our fields set come through the reference with equal fields and equal meaning."""
    for full_name, texts in _our_messages().items():
        for text, (fields, echoed) in zip(texts, reference["echoed"][full_name], strict=True):
            message = parsed(full_name, text)
            assert written(message)[0] == fields, full_name
            assert parsed(full_name, echoed) == message, full_name


def test_what_the_reference_writes_we_read_the_same(reference: dict[str, Any]) -> None:
    """Messages with every field of the reference set, unknown ones to us included, keep our fields unchanged."""
    for full_name, variants in reference["made"].items():
        for fields, text in variants:
            message = parsed(full_name, text)
            assert contains(fields, written(message)[0]), full_name


def test_the_messages_compared_are_not_empty() -> None:
    """The generated examples set every field, or the round trips would prove nothing."""
    for file in (importlib.import_module(name).DESCRIPTOR for name in FILES):
        for descriptor in messages_of(file):
            seen = {field.name for message in filled(descriptor) for field, _ in message.ListFields()}
            assert seen == set(descriptor.fields_by_name), descriptor.full_name


def _files_below(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.suffix in {".py", ".pyi"})
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_generated_code_is_what_the_protos_compile_to(tmp_path: Path) -> None:
    """`extauthz/gen` is the compiler's output for `protos/`, byte for byte; `make gen` renews it."""
    tool = ROOT / "tools" / "compile_protos.py"
    subprocess.run([sys.executable, tool, "--check", tmp_path], check=True, timeout=60)
    assert _files_below(ROOT / "extauthz" / "gen") == _files_below(tmp_path / "extauthz" / "gen")
