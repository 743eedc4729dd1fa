"""Policy from disk into force."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from extauthz.policy.compile import PolicyContext
from extauthz.policy.live import LivePolicy
from extauthz.server.policy_loader import PolicyLoader
from tests.integration.running import BROKEN, POLICY
from tests.simulators.configmap import ConfigMap

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.policy.ruleset import Ruleset


class Loading:
    """A loader of one file, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "policy.yaml"
        self.live = LivePolicy()
        self.told: list[str | None] = []
        self.loader = PolicyLoader([self.path], PolicyContext(), self.live, on_load=self._tell, settle=0.0)

    def _tell(self, ruleset: Ruleset | None) -> None:
        self.told.append(ruleset.revision if ruleset else None)

    def write(self, text: str) -> None:
        """Write the file and look."""
        self.path.write_text(text)
        self.loader.look()


@pytest.fixture
def loading(tmp_path: Path) -> Loading:
    """Return a loader whose file does not exist yet."""
    return Loading(tmp_path)


def test_a_good_policy_is_put_in_force_once(loading: Loading) -> None:
    """Looking again at the same content does nothing."""
    loading.write(POLICY)
    loading.write(POLICY)
    current = loading.live.current
    assert current is not None
    assert loading.told == [current.revision]
    assert loading.loader.problems == ()


def test_a_missing_policy_leaves_nothing_in_force(loading: Loading) -> None:
    """And says so once."""
    loading.loader.look()
    loading.loader.look()
    assert loading.live.current is None
    assert loading.told == [None]
    assert loading.loader.problems


def test_a_broken_policy_is_kept_out(loading: Loading) -> None:
    """The one before stays the very same object; mending it takes effect; the same problems are told once."""
    loading.write(POLICY)
    before = loading.live.current
    for _ in range(3):
        loading.write(BROKEN)
    assert loading.live.current is before
    assert loading.told[1:] == [None]
    assert any(problem.line == 3 for problem in loading.loader.problems)
    loading.write(POLICY + "# mended\n")
    assert loading.live.current is not before
    assert loading.loader.problems == ()


def test_the_log_calls_a_policy_what_it_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Somebody reads that one is in force; a policy that only looks on must not be taken for it, nor scare anybody."""
    (path := tmp_path / "policy.yaml").write_text(BROKEN)
    loader = PolicyLoader(
        [path], PolicyContext(), LivePolicy(), noun="shadow policy", without="no shadow is asked", settle=0.0
    )
    loader.look()
    path.write_text(POLICY)
    loader.look()
    log = "".join(capfd.readouterr())
    assert "shadow policy kept out" in log
    assert "no shadow is asked until it is mended" in log
    assert "everything is denied" not in log
    assert "shadow policy in force" in log


def test_another_mistake_is_told_again(loading: Loading) -> None:
    """It is news."""
    loading.write(BROKEN)
    loading.write(BROKEN + "more: 1\n")
    assert loading.told == [None, None]


def test_an_edit_of_the_same_size_and_time_is_seen(loading: Loading) -> None:
    """Contents are compared."""
    loading.write(POLICY)
    times = loading.path.stat().st_atime_ns, loading.path.stat().st_mtime_ns
    loading.path.write_text(POLICY.replace("/ping", "/pong"))
    os.utime(loading.path, ns=times)
    loading.loader.look()
    assert len(loading.told) == 2


def test_a_file_that_is_still_being_written_is_left_for_the_next_look(
    loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a policy could be a whole one without its last guards."""
    loading.write(POLICY)
    half, whole = {"policy.yaml": POLICY[:100].encode()}, {"policy.yaml": POLICY.replace("ping", "pong").encode()}
    reads = iter([half, whole, whole, whole])
    monkeypatch.setattr(loading.loader, "_read", lambda: next(reads))
    loading.loader.look()
    assert len(loading.told) == 1
    loading.loader.look()
    assert len(loading.told) == 2
    assert None not in loading.told


def test_a_policy_that_is_probably_not_meant_is_taken_with_a_warning(
    loading: Loading, capfd: pytest.CaptureFixture[str]
) -> None:
    """An empty one denies everything, and says so."""
    loading.write("")
    assert loading.live.current is not None
    assert "warning" in "".join(capfd.readouterr())


def test_stopping_does_not_wait_for_files_to_settle(tmp_path: Path) -> None:
    """A stop during a change ends at once."""
    (path := tmp_path / "policy.yaml").write_text(POLICY)
    loader = PolicyLoader([path], PolicyContext(), live := LivePolicy(), settle=3600)
    loader.look()
    loader.stop()
    path.write_text(POLICY + "# changed\n")
    loader.look()
    assert live.current is not None


def test_a_swapped_config_map_is_put_in_force_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By the rename of one link; a broken generation is kept out with a log line each, and the next one mends it."""
    mounted = ConfigMap(tmp_path / "policy")
    mounted.publish({"policy.yaml": POLICY})
    told: list[str | None] = []
    loader = PolicyLoader(
        [mounted.folder],
        PolicyContext(),
        live := LivePolicy(),
        on_load=lambda ruleset: told.append(ruleset.revision if ruleset else None),
        settle=0.0,
    )
    loader.look()
    first = live.current
    mounted.publish({"policy.yaml": BROKEN})
    loader.look()
    assert live.current is first
    assert told == [first.revision if first else "", None]
    log = "".join(capfd.readouterr())
    assert "policy rejected" in log
    assert "stays in force" in log
    more = "guards: [{id: moved, on: '*', require: [{roles: [x]}]}]"
    generation = mounted.prepare({"policy.yaml": POLICY, "guards.yaml": more})
    loader.look()
    assert live.current is first
    mounted.swap(generation)  # The link to the new file is not there yet.
    loader.look()
    assert live.current is not None
    assert live.current.counts.guards == (first.counts.guards if first else 0) + 1
    mounted.link(generation)
    loader.look()
    assert len(told) == 3
