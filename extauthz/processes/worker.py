"""A worker: it decides, and nothing else.

It is a whole `Application` on endpoints of its own, without a hand in the state: what can be used up is spent by the
keeper, and what is revoked is read from the state file, which it looks at with every decision. The keeper asks on
`worker-N.sock` whether that has happened for a change that it has made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extauthz.errors import ConfigError, LinkError, Problem
from extauthz.keeper.service import KEEPER_SOCKET
from extauthz.link.listener import LinkListener
from extauthz.processes.endpoints import to_worker_settings
from extauthz.processes.part import Health, Report
from extauthz.processes.places import worker_socket
from extauthz.processes.signals import calm_collector
from extauthz.server.app import build
from extauthz.server.keeperspender import KeeperSpender

if TYPE_CHECKING:
    from extauthz.processes.handover import Handover
    from extauthz.server.app import Application


def make_part(handover: Handover) -> Worker:
    """Return the worker that `handover` speaks of."""
    return Worker(handover)


class Worker:
    """Decides; a `part.Part`.

    Args:
        handover: what it is told.

    Raises:
        ConfigError: the settings cannot be served.
    """

    def __init__(self, handover: Handover) -> None:
        settings = to_worker_settings(handover.settings, handover.worker)
        if handover.addresses:  # The ones that the system chose the first time.
            listeners = tuple(
                listener.model_copy(update={"address": address})
                for listener, address in zip(settings.listeners, handover.addresses, strict=True)
            )
            settings = settings.model_copy(update={"listeners": listeners})
        run_dir = settings.server.run_dir
        self._kept = settings.cache.decisions
        self._listener: LinkListener | None = None
        self._owner: KeeperSpender | None = None
        if settings.state is not None:
            self._owner = KeeperSpender(run_dir / KEEPER_SOCKET)
            socket = worker_socket(run_dir, handover.worker)
            self._listener = LinkListener(socket, lambda message: answer(self._application, message))
        self._application = build(
            settings, turn=handover.turn, spender=self._owner, nonce_secret=handover.nonce_secret or None
        )

    def start(self) -> Report:
        """Decide.

        Raises:
            ConfigError: an address cannot be bound.
        """
        self._application.start()
        if self._listener is not None:
            try:
                self._listener.start()
            except LinkError as error:
                raise ConfigError([Problem("server.run_dir", 0, 0, str(error))]) from error
        calm_collector(self._kept)
        serving = self._application.serving
        return Report(
            addresses=serving.addresses,
            metrics=self._application.metrics_address or "",
            engine=serving.engine,
            policy=serving.policy,
        )

    def reload(self) -> None:
        """Look at files again."""
        self._application.reload()

    def check(self, within: float) -> Health:
        """Return whether the threads that decide do."""
        works = self._application.is_answering(within)
        readiness = self._application.readiness
        return Health(
            works=works,
            ready=readiness.ready,
            why_not=readiness.why_not,
            silent_streams=readiness.silent_streams,
        )

    def stop(self) -> None:
        """Drain and end. The keeper is answered as long as anything is decided."""
        self._application.stop()
        if self._listener is not None:
            self._listener.stop()
        if self._owner is not None:
            self._owner.close()


def answer(application: Application, message: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a message on a worker's socket.

    Args:
        application: that decides.
        message: `{"op": "confirm"}`, answered by the number of the newest change that is decided by from now on, -1
            when that is not known; or `{"op": "ping"}`.
    """
    match message.get("op"):
        case "confirm":
            return {"number": application.state.freshen(), "streams": list(application.streams)}
        case "ping":
            readiness = application.readiness
            return {"ready": readiness.ready, "why_not": readiness.why_not}
        case _:
            return {"error": "unknown op; a worker knows `confirm` and `ping`"}
