"""Of a mounted ConfigMap one generation is read, whatever is swapped meanwhile."""

from __future__ import annotations

import shutil
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.config.policyfiles import load_policy_files
from extauthz.errors import PolicyError
from tests.simulators.configmap import ConfigMap

if TYPE_CHECKING:
    from collections.abc import Callable


PATIENCE = 60.0
"""Seconds; how often a reading is outpaced depends on who else wants the processor."""


@pytest.fixture
def mounted(tmp_path: Path) -> ConfigMap:
    """Return a mounted ConfigMap with two files and a folder."""
    mounted = ConfigMap(tmp_path / "policy")
    mounted.publish({"a.yaml": "1", "b.yaml": "1", "sub/c.yaml": "1"})
    return mounted


def contents(*paths: Path) -> dict[str, str]:
    """Return what is read, by the last part of the name."""
    return {Path(name).name: raw.decode() for name, raw in load_policy_files(paths).items()}


def test_files_have_the_names_that_people_see(mounted: ConfigMap) -> None:
    """Whatever the generation is called."""
    names = [str(mounted.folder / name) for name in ("a.yaml", "b.yaml", "sub/c.yaml")]
    assert list(load_policy_files([mounted.folder])) == names
    mounted.publish({"a.yaml": "2"})
    assert load_policy_files([mounted.folder]) == {names[0]: b"2"}


def test_a_new_file_counts_before_its_link_is_there(mounted: ConfigMap) -> None:
    """Rules that moved into it would be missing from the others; a link to a file that is gone does not count."""
    generation = mounted.prepare({"a.yaml": "2", "guards.yaml": "2"})
    mounted.swap(generation)
    assert contents(mounted.folder) == {"a.yaml": "2", "guards.yaml": "2"}


def test_files_beside_the_generation_are_read_as_well(mounted: ConfigMap) -> None:
    """Somebody may have put one there."""
    (mounted.folder / "own.yaml").write_text("own")
    assert contents(mounted.folder)["own.yaml"] == "own"


def test_files_named_one_by_one_are_of_one_generation(mounted: ConfigMap, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the swap comes between reading the first and the second."""
    generation = mounted.prepare({"a.yaml": "2", "b.yaml": "2"})
    _swap_before(monkeypatch, "b.yaml", lambda: mounted.swap(generation))
    assert contents(mounted.folder / "a.yaml", mounted.folder / "b.yaml") == {"a.yaml": "2", "b.yaml": "2"}


def test_includes_are_of_the_same_generation(mounted: ConfigMap, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read after what includes them."""
    mounted.publish({"root.yaml": "includes: [b.yaml]", "b.yaml": "2"})
    generation = mounted.prepare({"root.yaml": "includes: [b.yaml] #3", "b.yaml": "3"})
    _swap_before(monkeypatch, "b.yaml", lambda: mounted.swap(generation))
    assert contents(mounted.folder / "root.yaml") == {"root.yaml": "includes: [b.yaml] #3", "b.yaml": "3"}


def test_a_generation_that_vanishes_while_it_is_read_is_read_anew(
    mounted: ConfigMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes removes the old one at once; that is no broken policy."""
    _swap_before(monkeypatch, "b.yaml", lambda: mounted.publish({"a.yaml": "2", "b.yaml": "2", "sub/c.yaml": "2"}))
    assert contents(mounted.folder) == {"a.yaml": "2", "b.yaml": "2", "c.yaml": "2"}


def test_endless_swaps_are_reported(mounted: ConfigMap, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than a part of some generation."""
    generations = [mounted.prepare({"a.yaml": str(number)}) for number in range(5)]
    _swap_before(monkeypatch, "a.yaml", *(partial(mounted.swap, generation) for generation in generations))
    with pytest.raises(PolicyError, match="swapped faster than they can be read"):
        load_policy_files([mounted.folder])
    assert contents(mounted.folder) == {"a.yaml": "4"}


def test_what_is_really_gone_is_reported(mounted: ConfigMap) -> None:
    """Reading anew ends."""
    shutil.rmtree((mounted.folder / "..data").resolve())
    with pytest.raises(PolicyError):
        load_policy_files([mounted.folder])


@pytest.mark.parametrize("paths", [[""], ["a.yaml", "b.yaml", "sub/c.yaml"]])
def test_no_reading_mixes_generations(mounted: ConfigMap, paths: list[str]) -> None:
    """While somebody swaps as fast as it goes."""
    stop = threading.Event()

    def publish() -> None:
        number = 2
        while not stop.is_set():
            mounted.publish(dict.fromkeys(("a.yaml", "b.yaml", "sub/c.yaml"), str(number)))
            number += 1

    thread = threading.Thread(target=publish)
    thread.start()
    end = time.monotonic() + PATIENCE
    try:
        read = 0
        while read < 100 and time.monotonic() < end:
            try:
                found = contents(*(mounted.folder / path for path in paths))
            except PolicyError:  # Swapped again and again during this reading; never a wrong policy.
                continue
            read += 1
            assert len(found) == 3
            assert len(set(found.values())) == 1
    finally:
        stop.set()
        thread.join()
    assert read == 100


def _swap_before(monkeypatch: pytest.MonkeyPatch, name: str, *swaps: Callable[[], None]) -> None:
    """Call the next of `swaps` each time just before the file `name` is opened, until all are called."""
    pending = list(swaps)
    really_open = Path.open

    def open_after_swap(self: Path, *how: Any, **more: Any) -> Any:
        if self.name == name and pending:
            pending.pop(0)()
        return really_open(self, *how, **more)

    monkeypatch.setattr(Path, "open", open_after_swap)
