"""The registry from disk into force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.registry.live import LiveRegistry
from extauthz.server.registry_loader import RegistryLoader
from tests.integration.running import POLICY

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.policy.ruleset import Ruleset
    from extauthz.registry.index import Registry

GOOD = "identities:\n  - name: a\n    match: {issuer: https://issuer.example, subject: s}\n"
OTHER = GOOD.replace("name: a", "name: b")
BROKEN = GOOD.replace("subject", "subjekt")


class Loading:
    """A loader of one file or folder, and what it told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.live = LiveRegistry()
        self.told: list[str | None] = []
        self.epochs: list[int] = []
        self.policy: Ruleset | None = None
        self.loader = RegistryLoader(
            [path],
            self.live,
            issuers={"https://issuer.example"},
            ruleset=lambda: self.policy,
            on_load=self._tell,
            settle=0.0,
        )

    def _tell(self, registry: Registry | None) -> None:
        self.told.append(registry.revision if registry else None)
        self.epochs.append(self.live.epoch(""))

    def write(self, text: str) -> None:
        """Write the file and look."""
        self.path.write_text(text)
        self.loader.look()

    @property
    def names(self) -> list[str]:
        """Return the names of the entries in force."""
        return list(self.live.current.matches) if self.live.current is not None else []


@pytest.fixture
def loading(tmp_path: Path) -> Loading:
    """Return a loader whose file does not exist yet."""
    return Loading(tmp_path / "registry.yaml")


def test_a_good_registry_is_put_in_force_once(loading: Loading) -> None:
    """Looking again at the same content does nothing; each new content has an epoch of its own."""
    loading.write(GOOD)
    loading.write(GOOD)
    loading.write(OTHER)
    assert loading.names == ["b"]
    assert loading.told[-1] == getattr(loading.live.current, "revision", None)
    assert loading.epochs == [1, 2]
    assert loading.loader.problems == ()


def test_without_paths_nothing_is_read() -> None:
    """There is no registry to be missing."""
    live = LiveRegistry()
    loader = RegistryLoader([], live, on_load=lambda _: pytest.fail("told"))
    loader.look()
    assert live.current is None


def test_a_missing_registry_leaves_nothing_in_force(loading: Loading) -> None:
    """And says so once, in words about registries."""
    loading.loader.look()
    loading.loader.look()
    assert loading.told == [None]
    assert loading.live.current is None


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    """A mount that failed must not open what was quarantined."""
    loading = Loading(tmp_path)
    loading.loader.look()
    assert [problem.message for problem in loading.loader.problems] == ["no registry file here"]


def test_problems_speak_of_registries_and_leave_names_alone(tmp_path: Path) -> None:
    """A path that somebody wrote is shown as it was written, also when `policy` is in it."""
    (path := tmp_path / "registry.yaml").write_text("includes: ../policy.yaml\n")
    loading = Loading(path)
    loading.loader.look()
    assert [problem.message for problem in loading.loader.problems] == [
        "`../policy.yaml` is outside of the registry's paths"
    ]


def test_a_broken_registry_is_kept_out(loading: Loading) -> None:
    """The one before stays the very same object under the same epoch; mending it takes effect."""
    loading.write(GOOD)
    before = loading.live.current
    for _ in range(3):
        loading.write(BROKEN)
    assert loading.live.current is before
    assert (loading.told[1:], loading.epochs[1:]) == ([None], [1])
    assert [problem.line for problem in loading.loader.problems] == [3]
    loading.write(OTHER)
    assert loading.names == ["b"]
    assert loading.loader.problems == ()


def test_a_file_that_is_still_being_written_is_left_for_the_next_look(
    loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a registry could be a whole one without its last quarantines."""
    loading.write(GOOD)
    half, whole = {"r.yaml": b"identities: []\n"}, {"r.yaml": OTHER.encode()}
    reads = iter([half, whole, whole, whole])
    monkeypatch.setattr(loading.loader, "_read", lambda: next(reads))
    loading.loader.look()
    assert loading.names == ["a"]
    loading.loader.look()
    assert loading.names == ["b"]


def test_a_swapped_config_map_is_seen_whole(tmp_path: Path) -> None:
    """Kubernetes swaps one link; entries and bindings of two generations are never mixed."""
    for generation, name in (("1", "a"), ("2", "b")):
        (folder := tmp_path / f"..{generation}").mkdir()
        (folder / "identities.yaml").write_text(GOOD.replace("name: a", f"name: {name}"))
        (folder / "bindings.yaml").write_text(f"bindings: [{{who: {name}, role: r}}]\n")
    (tmp_path / "..data").symlink_to("..1")
    for file in ("identities.yaml", "bindings.yaml"):
        (tmp_path / file).symlink_to(f"..data/{file}")
    loading = Loading(tmp_path)
    loading.loader.look()
    (tmp_path / "..next").symlink_to("..2")
    (tmp_path / "..next").replace(tmp_path / "..data")
    loading.loader.look()
    assert loading.names == ["b"]
    assert None not in loading.told


def test_names_that_lead_nowhere_are_warned_of_once(loading: Loading, capfd: pytest.CaptureFixture[str]) -> None:
    """Also when the policy changes after the registry; the same warning comes once."""
    loading.write(GOOD + "bindings: [{who: a, role: r, where: {colour: red}}]\n")
    assert "warning" not in "".join(capfd.readouterr())
    loading.policy = compile_policy({"p.yaml": POLICY.encode()}, PolicyContext())
    loading.loader.look()
    loading.loader.look()
    told = "".join(capfd.readouterr())
    assert told.count("no resource has an attribute `colour`") == 1


def test_stopping_does_not_wait_for_files_to_settle(tmp_path: Path) -> None:
    """A stop during a change ends at once."""
    (path := tmp_path / "registry.yaml").write_text(GOOD)
    loader = RegistryLoader([path], LiveRegistry(), settle=60.0)
    loader.look()
    path.write_text(OTHER)
    loader.stop()
    loader.look()
