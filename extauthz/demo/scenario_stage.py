"""One stage for all situations: their policies take turns on a server that keeps running."""

from __future__ import annotations

import threading
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from extauthz.clock import SystemClock
from extauthz.config.registry import load_registry_files
from extauthz.demo.scenario import find_differences, find_obstacle, revision_of, to_ask, to_claims, to_policy
from extauthz.demo.stage import Script, Stage
from extauthz.registry.build import build_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from extauthz.clock import Instant
    from extauthz.demo.ask import Answer
    from extauthz.demo.scenario import Situation
    from extauthz.policytools.casefile import Case

_SWAP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_RELOAD_SECONDS: Final = 0.05

NO_REGISTRY: Final = b"identities: []\n"
"""A registry that declares nobody."""


class NotSwappedError(RuntimeError):
    """The server did not take a policy, or a registry, over in time."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A case and what came of it.

    Attributes:
        case: as the policy test has it.
        answer: what the client got; None when the demo lacks something for it.
        obstacle: what it lacks, in a few words.
        differences: from what was expected, in words.
    """

    case: Case
    answer: Answer | None
    obstacle: str = ""
    differences: tuple[str, ...] = ()


class SituationStage:
    """Issuer, upstream, extauthz and Envoy for situations.

    Args:
        root: the checkout.
        folder: where logs, records and the policy in force go.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._policy = folder / "situation.yaml"
        self._policy.write_text("{}")
        self._registry = folder / "registry.yaml"
        self._registry.write_bytes(NO_REGISTRY)
        self.stage = Stage(Script(root=root, folder=folder, signals=True, change_settings=self._settle))
        self._clock = SystemClock()

    def act(self, situation: Situation) -> Iterator[Scene]:
        """Send the cases of a situation, and yield what came of each.

        Raises:
            OSError: Envoy stopped answering.
            NotSwappedError: the server did not take the policy over.
        """
        in_force: bytes | None = None
        for case in situation.cases:
            obstacle = find_obstacle(case) or situation.not_live.get(case.name, "")
            if obstacle:
                yield Scene(case, None, obstacle)
                continue
            now = self._clock.now()
            policy = to_policy(situation, self.stage.issuer.url, case.at, now)
            if policy != in_force:
                self.swap_policy(policy)
                in_force = policy
            answer = self.stage.edge.send(to_ask(case, self._mint(case, now)))
            yield Scene(case, answer, differences=find_differences(case, answer))

    def _mint(self, case: Case, now: Instant) -> str:
        if case.identity is None:
            return ""
        return self.stage.issuer.sign(to_claims(self.stage.issuer.issuer, case, case.identity, now))

    def swap_policy(self, policy: bytes) -> None:
        """Put a policy into force, and wait until it is.

        Raises:
            NotSwappedError: the server did not take it over.
        """
        _replace(self._policy, policy)
        self._wait_for("policy", f'extauthz_policy_info{{revision="{revision_of(self._policy)}"}} 1.0')

    def swap_registry(self, registry: bytes) -> None:
        """Put a registry into force, and wait until it is; the errors are those of `swap_policy`."""
        _replace(self._registry, registry)
        revision = build_registry(load_registry_files([self._registry])).revision
        self._wait_for("registry", f'extauthz_registry_info{{revision="{revision}"}} 1.0')

    def _wait_for(self, what: str, wanted: str) -> None:
        until, pause = self._clock.monotonic() + _SWAP_SECONDS, threading.Event()
        while wanted not in self._read_metrics():
            if self._clock.monotonic() > until:
                message = f"the server did not take the {what} over; see extauthz.log"
                raise NotSwappedError(message)
            pause.wait(_POLL_SECONDS)

    def _read_metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stage.metrics_port}/metrics", timeout=5) as found:
            text: str = found.read().decode()
        return text

    def _settle(self, settings: dict[str, Any]) -> None:
        settings["policy"] = [str(self._policy)]
        settings["policy_reload"] = _RELOAD_SECONDS
        settings["registry"] = {"paths": [str(self._registry)]}
        settings["issuers"][0]["map"] = {name: {"claim": name} for name in ("environment", "device")}

    def __enter__(self) -> Self:
        self.stage.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stage.stop()


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(path)
