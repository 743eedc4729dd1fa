"""Registry files, whatever is done to them: they load, or say where they are wrong."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import RegistryError
from extauthz.model.registry import Standing
from extauthz.registry.build import build_registry

if TYPE_CHECKING:
    from extauthz.registry.index import Registry

TEXT = """\
identities:
  - name: deployer
    match: {issuer: https://i.example, subject: deployer}
    owner: team-release
    kind: ci
    networks: [192.0.2.0/24]
    expires: 2030-01-31
    standing: quarantined
bindings:
  - {who: deployer, role: releaser, where: {environment: staging, replicas: 3}, until: 2030-01-01}
  - who: {issuer: https://i.example, client: other}
    role: reader
"""


def loaded(raw: bytes) -> Registry | None:
    """Return the registry, or None when it is refused with a problem that names the file."""
    problems = []
    try:
        return build_registry({"r.yaml": raw})
    except RegistryError as error:
        problems = error.problems
    assert {problem.file for problem in problems} == {"r.yaml"}
    return None


@given(st.integers(0, len(TEXT) - 1), st.integers(0, 12), st.text(max_size=6))
def test_any_edit_loads_or_is_refused(at: int, cut: int, put: str) -> None:
    """Nothing else is raised, wherever something is cut out or put in."""
    loaded((TEXT[:at] + put + TEXT[at + cut :]).encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=200))
def test_any_bytes_load_or_are_refused(raw: bytes) -> None:
    """Also when they are no text."""
    loaded(raw)


def test_no_edit_of_one_character_lifts_the_quarantine_unnoticed() -> None:
    """Deleting, doubling or swapping a character of the standing or its key is refused; the control is the text."""
    found = loaded(TEXT.encode())
    assert found is not None
    assert next(iter(found.registrations.values())).standing is Standing.QUARANTINED
    start = TEXT.index("standing: quarantined")
    word = "standing: quarantined"
    edits = set()
    for place, character in enumerate(word):
        edits.add(word[:place] + word[place + 1 :])
        edits.add(word[:place] + character + word[place:])
        with contextlib.suppress(IndexError):
            edits.add(word[:place] + word[place + 1] + character + word[place + 2 :])
    for edit in edits - {word}:
        changed = loaded((TEXT[:start] + edit + TEXT[start + len(word) :]).encode())
        if changed is not None:
            assert next(iter(changed.registrations.values())).standing is Standing.QUARANTINED, edit
