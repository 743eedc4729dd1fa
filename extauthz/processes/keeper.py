"""The keeper's process: the only one that writes what others decide by, and that spends what can be used up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.clock import SystemClock
from extauthz.link.caller import LinkCaller
from extauthz.processes.keeping import Keeping
from extauthz.processes.part import Health, Report
from extauthz.processes.places import worker_socket
from extauthz.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.processes.handover import Handover


def make_part(handover: Handover) -> KeeperPart:
    """Return the keeper."""
    return KeeperPart(handover)


class KeeperPart:
    """Keeps; a `part.Part`.

    Args:
        handover: what it is told.

    Raises:
        ConfigError: the settings cannot be served.
    """

    def __init__(self, handover: Handover) -> None:
        settings = handover.settings
        self._metrics = Metrics()
        workers = {
            str(worker): WorkerConfirmer(worker_socket(settings.server.run_dir, worker))
            for worker in range(settings.server.workers)
        }
        self._keeping = Keeping(
            settings,
            SystemClock(),
            confirmers=workers,
            metrics=self._metrics,
            streams=lambda: tuple(sorted({name for worker in workers.values() for name in worker.streams})),
        )

    def start(self) -> Report:
        """Keep.

        Raises:
            ConfigError: a socket or the state cannot be had.
        """
        self._keeping.start()
        return Report()

    def reload(self) -> None:
        """Do nothing: what is read from files here is looked at when it is used."""

    def check(self, within: float) -> Health:
        """Return whether sockets and state answer; what its metrics say goes along."""
        why_not = self._keeping.check(within)
        metrics = self._metrics.exposition().decode()
        return Health(works=not why_not, ready=not why_not, why_not=why_not, metrics=metrics)

    def stop(self) -> None:
        """End."""
        self._keeping.stop()


class WorkerConfirmer:
    """Asks one worker what it decides by; a `keeper.confirmations.Confirmer`.

    Args:
        path: of the worker's socket.

    Attributes:
        streams: the resources whose connections may outlive a decision, by the worker's policy.
    """

    def __init__(self, path: Path) -> None:
        self._caller = LinkCaller(path)
        self.streams: tuple[str, ...] = ()

    def __call__(self, timeout: float) -> int:
        """Return the newest change that the worker decides by.

        Raises:
            LinkError: it does not answer in time.
            KeyError: it answers something else.
        """
        answer = self._caller.ask({"op": "confirm"}, timeout)
        self.streams = tuple(str(name) for name in answer.get("streams", ()))
        return int(answer["number"])
