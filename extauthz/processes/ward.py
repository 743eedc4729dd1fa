"""One child process over all of its lives, as the supervisor sees it.

1. It is started, and has some time to say that it is up.
2. From then on it is pinged, one ping at a time. A pong is the work of the part that it is about (`Part.check`), so an
   unanswered ping means that the part does not work, whatever its process looks like.
3. Who ends, does not come up, or does not answer is killed and started anew, after a pause that doubles each time and
   is short again after a while of living.
4. Told to stop, it is not started any more. Who takes too long is killed.

Nothing here waits: `tick` does what is due, and is called again soon.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.config.problems import ENVIRONMENT_PREFIX
from extauthz.processes.handover import Channel, pack
from extauthz.processes.part import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Clock
    from extauthz.processes.handover import Handover, Message

_log = structlog.get_logger(__name__)

PROGRAM: Final = "extauthz.processes.child"

LAST_WORDS_SECONDS: Final = 1.0
"""For a child that has hung up to end by itself: its exit code says more than that we killed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient a supervisor is; all in seconds.

    Attributes:
        ping_every: from an answer to the next ping.
        patience: for an answer.
        start_within: from the start to being up. Loading a large policy and asking slow issuers fits in.
        first_pause: before a child is started anew.
        longest_pause: what that grows to, doubling each time.
        steady_after: a child that lived as long has the first pause again.
    """

    ping_every: float = 1.0
    patience: float = 5.0
    start_within: float = 60.0
    first_pause: float = 0.1
    longest_pause: float = 10.0
    steady_after: float = 30.0


@dataclass(slots=True)
class _Life:
    """A running child."""

    process: subprocess.Popen[bytes]
    channel: Channel
    born: float
    asked: float | None = None
    """When the ping that is not answered yet was sent."""
    answered: float = 0.0


class Ward:
    """Looks after one child.

    Args:
        handover: what it is told; `parent`, `channel` and `addresses` are filled in.
        pace: how patient we are.
        clock: only its monotonic side is read.
        environment: of the child, but for what is told in other ways.
        program: the module that is run.

    Attributes:
        name: for logs and metrics.
        report: what it said when it was up the last time; None before the first time.
        restarts: how often it was started anew, by why: `ended`, `unanswered`, `late`.
        exit_code: how it ended the last time, negative for a signal; None before.
        ready: whether it does all that it is for, by its last answer.
        why_not: what is the matter otherwise.
        metrics: Prometheus text of its last answer.
        silent_streams: streams of signals on which it hears nothing, by its last answer.
    """

    def __init__(
        self,
        handover: Handover,
        pace: Pace,
        clock: Clock,
        *,
        environment: Mapping[str, str],
        program: str = PROGRAM,
    ) -> None:
        self.name = handover.name
        self.report: Report | None = None
        self.restarts: dict[str, int] = {}
        self.exit_code: int | None = None
        self.ready = False
        self.why_not = "it has not started yet"
        self.metrics = ""
        self.silent_streams: tuple[str, ...] = ()
        self._handover = handover
        self._pace = pace
        self._clock = clock
        self._environment = _environment(environment)
        self._program = program
        self._life: _Life | None = None
        self._up = False
        self._pings = 0
        self._pause = pace.first_pause
        self._due = clock.monotonic()
        self._stop_by: float | None = None

    @property
    def is_up(self) -> bool:
        """Return whether it runs and has said so."""
        return self._up

    @property
    def is_gone(self) -> bool:
        """Return whether no process of it runs."""
        return self._life is None

    @property
    def pid(self) -> int | None:
        """Return its process id, None while none runs."""
        return self._life.process.pid if self._life is not None else None

    @property
    def channel(self) -> Channel | None:
        """Return where its messages arrive, None while none runs."""
        return self._life.channel if self._life is not None else None

    def tick(self) -> None:
        """Do what is due."""
        now, life = self._clock.monotonic(), self._life
        if life is None:
            if self._stop_by is None and now >= self._due:
                self._life = self._begin(now)
            return
        for message in life.channel.receive():
            self._hear(life, message, now)
        if life.process.poll() is not None or life.channel.closed:
            self._lost(life, "ended", now)
        elif self._stop_by is not None:
            if now >= self._stop_by:
                _log.error("process killed: it did not stop in time", child=self.name)
                self._lost(life, "ended", now)
        elif (fault := self._fault_of(life, now)) is not None:
            self._lost(life, fault, now)
        elif self._up and life.asked is None and now - life.answered >= self._pace.ping_every:
            self._ping(life, now)

    def reload(self) -> None:
        """Have it look at files again."""
        if self._up and self._life is not None:
            self._life.channel.send({"op": "reload"})

    def stop(self, within: float) -> None:
        """Have it drain and end, at the latest in `within` seconds; `tick` sees to that, and starts it no more."""
        self._stop_by = self._clock.monotonic() + within
        if self._life is not None and self._up:
            self._life.channel.send({"op": "stop"})
        elif self._life is not None:
            self._end(self._life)  # It has not begun anything that it would have to finish.

    def kill(self) -> None:
        """End it now, and return when it has ended."""
        self._stop_by = self._clock.monotonic()
        if self._life is not None:
            self._end(self._life)

    def _begin(self, now: float) -> _Life:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)  # noqa: FBT003 — as the library has it
        addresses = self.report.addresses if self.report is not None else ()
        told = replace(self._handover, parent=os.getpid(), channel=theirs.fileno(), addresses=addresses)
        with theirs, pack(told) as settings:
            process = subprocess.Popen(  # noqa: S603 — our own program; the name is for whoever lists processes
                [sys.executable, "-P", "-m", self._program, self.name],
                stdin=settings,
                pass_fds=(theirs.fileno(), told.turn),
                env=self._environment,
                process_group=0,  # A terminal's Ctrl-C is for the supervisor, which ends us in order.
            )
        _log.info("process started", child=self.name, pid=process.pid)
        self.ready, self.why_not = False, "it starts"
        return _Life(process, Channel(ours), born=now)

    def _fault_of(self, life: _Life, now: float) -> str | None:
        """Return why a running child has to be given up; None when it need not."""
        if not self._up:
            return "late" if now - life.born >= self._pace.start_within else None
        return "unanswered" if life.asked is not None and now - life.asked >= self._pace.patience else None

    def _hear(self, life: _Life, message: Message, now: float) -> None:
        if "up" in message:
            self.report = Report.from_message(message["up"])
            self._up = True
            self._ping(life, now)
        elif message.get("pong") == self._pings and life.asked is not None:
            life.asked, life.answered = None, now
            self.ready = message.get("ready") is True
            self.why_not = "" if self.ready else str(message.get("why_not"))
            self.metrics = str(message.get("metrics") or "")
            self.silent_streams = tuple(str(name) for name in message.get("silent_streams") or ())

    def _ping(self, life: _Life, now: float) -> None:
        self._pings += 1
        life.asked = now
        # What cannot be sent is not answered either, and that is noticed.
        life.channel.send({"op": "ping", "ping": self._pings, "within": self._pace.patience * 0.8})

    def _lost(self, life: _Life, why: str, now: float) -> None:
        """Take leave of a child, and say when the next one is due."""
        self._end(life)
        if self._stop_by is not None:
            return
        if now - life.born >= self._pace.steady_after:
            self._pause = self._pace.first_pause
        self.restarts[why] = self.restarts.get(why, 0) + 1
        _log.error("process lost", child=self.name, why=why, exit=_how(self.exit_code), again_in=self._pause)
        self._due = now + self._pause
        self._pause = min(self._pause * 2, self._pace.longest_pause)

    def _end(self, life: _Life) -> None:
        if life.channel.closed:
            with suppress(subprocess.TimeoutExpired):
                life.process.wait(LAST_WORDS_SECONDS)
        if life.process.poll() is None:
            life.process.kill()
        self.exit_code = life.process.wait()
        life.channel.close()
        self._life = None
        self._up = self.ready = False
        self.why_not, self.metrics = "it does not run", ""


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return the child's environment: without settings, which it is told otherwise, and with our own search path.

    Our path is without the current folder unless we were started from there (`python -m`), and so is the child's.
    """
    kept = {name: value for name, value in ours.items() if not name.upper().startswith(ENVIRONMENT_PREFIX)}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return str(code)
