"""The first process: it starts the others, in order, and sees to it that they work. It decides nothing itself.

1. Start: the keeper, since workers decide by what it keeps; then all workers at once; then the receiver. Who cannot
   start ends the whole start. When all are up, the banner says so.
2. From then on each is looked after by its `Ward`. When one is lost, the others go on: without the keeper, workers
   decide until what they know is too old, and then refuse `state_stale`.
3. Stop (SIGTERM, SIGINT): workers drain, then the receiver ends, then the keeper, which both use. A second signal ends
   everything at once.
4. SIGHUP is passed on.

It loads no gRPC, opens nothing that a request could reach, and is one thread but for its metrics: what has to restart
the others should have the fewest reasons to fail.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.ids import new_random_bytes
from extauthz.limits import MIN_NONCE_SECRET_BYTES
from extauthz.processes.child import EXIT_CONFIG
from extauthz.processes.endpoints import find_endpoints
from extauthz.processes.handover import Handover, Kind, nameless_file
from extauthz.processes.temporary import with_state_file
from extauthz.processes.ward import PROGRAM, Pace, Ward
from extauthz.server.banner import Serving, banner
from extauthz.server.metrics_http import MetricsServer, Readiness
from extauthz.telemetry.logging import set_up_logging
from extauthz.telemetry.processmetrics import ProcessCounts, process_exposition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from extauthz.clock import Clock
    from extauthz.config.settings import Settings

_log = structlog.get_logger(__name__)

TICK_SECONDS: Final = 0.1
"""Longest time between two looks at what is due. What a child says, and its end, are noticed at once."""

STOP_SECONDS: Final = 10.0
"""What stopping may take beyond `server.drain`: writing the last records, and ending threads."""

_TELLING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Runs a server of several processes; `run` once, on the main thread.

    Args:
        settings: in force; `server.workers` is at least 1.
        clock: only its monotonic side is read.
        environment: ours; children get it without settings.
        pace: how patient it is.
        program: the module that children run.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        environment: Mapping[str, str],
        *,
        pace: Pace | None = None,
        program: str = PROGRAM,
    ) -> None:
        find_endpoints(settings)
        self._settings = settings
        self._stop_within = settings.server.drain + STOP_SECONDS
        self._turn = nameless_file("extauthz-turn")
        self._woken, self._wakes = socket.socketpair()
        for end in (self._woken, self._wakes):
            end.setblocking(False)  # noqa: FBT003 — as the library has it

        secret = new_random_bytes(MIN_NONCE_SECRET_BYTES)

        def ward(kind: Kind, worker: int = 0) -> Ward:
            handover = Handover(
                kind=kind,
                settings=_without_secrets(settings) if kind == "receiver" else settings,
                worker=worker,
                nonce_secret=secret if kind == "worker" else b"",
                parent=0,
                channel=0,
                turn=self._turn.fileno(),
            )
            return Ward(handover, pace or Pace(), clock, environment=environment, program=program)

        self._keepers = [ward("keeper")] if settings.state is not None else []
        self._workers = [ward("worker", worker) for worker in range(settings.server.workers)]
        self._receivers = [ward("receiver")] if any(stream.push for stream in settings.signals.streams) else []

    @property
    def readiness(self) -> Readiness:
        """Return whether questions are answered on their merits: by one worker at least."""
        ready = any(worker.ready for worker in self._workers)
        lacking = "; ".join(f"{ward.name}: {ward.why_not}" for ward in self._wards if not ward.ready)
        silent = sorted({name for worker in self._workers for name in worker.silent_streams})
        return Readiness(ready=ready, why_not=lacking, silent_streams=tuple(silent))

    def run(self) -> int:
        """Serve until told to stop; return the exit code.

        Raises:
            ConfigError: the metrics' address cannot be served.
        """
        signal.set_wakeup_fd(self._wakes.fileno())
        for number in _TELLING:
            signal.signal(number, lambda *_: None)  # Which one arrives is read from the socket.
        with ExitStack() as undo:
            undo.callback(self.close)
            metrics = self._open_metrics()
            if metrics is not None:
                metrics.start()
                undo.callback(metrics.stop)
            for stage in (self._keepers, self._workers, self._receivers):
                if (code := self._start(stage)) is not None:
                    return code
            sys.stderr.write(banner(self._settings, self._serving(), metrics.address if metrics else None))
            sys.stderr.flush()
            self._look_after()
            return self._stop()

    def close(self) -> None:
        """End everybody who still runs, and let go of everything; `run` does so at its end."""
        self._kill()
        signal.set_wakeup_fd(-1)
        for file in (self._turn, self._woken, self._wakes):
            file.close()

    @property
    def _wards(self) -> list[Ward]:
        return [*self._keepers, *self._workers, *self._receivers]

    def _start(self, stage: Sequence[Ward]) -> int | None:
        """Start some of them, and wait until they are up; return the exit code where that is not to be."""
        while not all(ward.is_up for ward in stage):
            if any(number != signal.SIGHUP for number in self._wait(stage)):
                return self._stop()
            self._tick(stage)
            failed = [ward for ward in stage if ward.restarts]
            if failed:
                _log.error("the server cannot start", because=[ward.name for ward in failed])
                return EXIT_CONFIG if any(ward.exit_code == EXIT_CONFIG for ward in failed) else 1
        return None

    def _look_after(self) -> None:
        """Keep everybody at work until told to stop."""
        while True:
            for number in self._wait(self._wards):
                if number != signal.SIGHUP:
                    return
                _log.info("looking at files again")
                for ward in self._wards:
                    ward.reload()
            self._tick(self._wards)

    def _stop(self) -> int:
        """End everybody in order; return the exit code."""
        _log.info("stopping", drain_seconds=self._settings.server.drain)
        for stage in (self._workers, self._receivers, self._keepers):
            for ward in stage:
                ward.stop(self._stop_within)
            while not all(ward.is_gone for ward in stage):
                if any(number != signal.SIGHUP for number in self._wait(stage)):
                    self._end_at_once()
                self._tick(stage)
        return 0

    def _end_at_once(self) -> None:
        self._kill()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    def _kill(self) -> None:
        for ward in self._wards:
            ward.kill()

    def _tick(self, wards: Sequence[Ward]) -> None:
        for ward in wards:
            ward.tick()

    def _wait(self, wards: Sequence[Ward]) -> bytes:
        """Wait until something has happened or may be due; return the numbers of signals that have arrived."""
        woken = self._woken.fileno()
        channels = [channel.fileno() for ward in wards if (channel := ward.channel) is not None]
        ready, _, _ = select.select([woken, *channels], [], [], TICK_SECONDS)
        return self._woken.recv(4096) if woken in ready else b""

    def _open_metrics(self) -> MetricsServer | None:
        address = self._settings.telemetry.metrics
        if address is None:
            return None
        return MetricsServer(address, lambda: process_exposition(self._counts()), lambda: self.readiness)

    def _counts(self) -> Iterator[ProcessCounts]:
        for ward in self._wards:
            yield ProcessCounts(
                name=ward.name,
                up=ward.is_up,
                ready=ward.ready,
                restarts=dict(ward.restarts),
                metrics=ward.metrics,
            )

    def _serving(self) -> list[Serving]:
        reports = [(ward.name, ward.report) for ward in self._workers]
        return [
            Serving(name=name, addresses=report.addresses, engine=report.engine, policy=report.policy)
            for name, report in reports
            if report is not None
        ]


def _without_secrets(settings: Settings) -> Settings:
    """Return what the part that is open to the network may know: no token of a proxy, no way to the state."""
    kept = {"policy", "signals", "server", "telemetry", "insecure"}
    return type(settings).model_construct(**{name: getattr(settings, name) for name in kept}, state=None)


def supervise(
    settings: Settings, clock: Clock, environment: Mapping[str, str], make: Callable[..., Supervisor] = Supervisor
) -> int:
    """Serve with several processes until told to stop; return the exit code.

    Raises:
        ConfigError: the settings cannot be served, found out before anything was started.
    """
    set_up_logging(settings.telemetry.log_level, settings.telemetry.log_format, process="supervisor")
    with with_state_file(settings) as kept:
        return make(kept, clock, environment).run()
