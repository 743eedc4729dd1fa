"""A child process: `python -m extauthz.processes.child NAME`, started by the supervisor and by nobody else.

It takes its settings from standard input, runs its part, and does what the supervisor says: `ping`, `reload`, `stop`.
The main thread does nothing else, so a pong says that the process runs, and what is in it says how the part is.

SIGTERM ends a worker as `stop` does. Receiver and keeper leave it unheeded, as everything leaves SIGINT and SIGHUP:
whoever signals the whole group (a terminal, `systemd` without `KillMode=mixed`) must not end the keeper while workers
still decide. The supervisor tells each part when its turn has come, and SIGKILL is always heeded.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from extauthz.errors import FileError
from extauthz.processes.handover import Channel, Handover, Kind, Message, unpack
from extauthz.processes.mortal import die, die_with
from extauthz.telemetry.logging import set_up_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extauthz.processes.part import Part

EXIT_CONFIG: Final = 2
"""Exit code when the settings cannot be served, as of the command line."""

_PARTS: Final[dict[Kind, str]] = {
    "worker": "extauthz.processes.worker",
    "keeper": "extauthz.processes.keeper",
    "receiver": "extauthz.processes.receiver",
}
"""Imported by name, so that each process loads only what it uses: no gRPC in the keeper."""


def main(make_part: Callable[[Handover], Part] | None = None) -> int:
    """Run one part until told to stop; return the exit code.

    Args:
        make_part: makes it; by default the module of its kind does.
    """
    handover = unpack(sys.stdin.buffer)
    die_with(handover.parent)
    woken = _heed_signals(stops=handover.kind == "worker")
    channel = Channel(socket.socket(fileno=handover.channel))
    telemetry = handover.settings.telemetry
    set_up_logging(telemetry.log_level, telemetry.log_format, process=handover.name)
    try:
        part = (make_part or _make_part)(handover)
        report = part.start()
    except FileError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        return EXIT_CONFIG
    channel.send({"up": report.to_message()})
    for message in _orders(channel, woken):
        _obey(part, channel, message)
    part.stop()
    return 0


def _make_part(handover: Handover) -> Part:
    part: Part = import_module(_PARTS[handover.kind]).make_part(handover)
    return part


def _obey(part: Part, channel: Channel, message: Message) -> None:
    if message["op"] == "reload":
        part.reload()
    elif message["op"] == "ping":
        health = part.check(message["within"])
        if health.works:
            told = {"ready": health.ready, "why_not": health.why_not, "metrics": health.metrics}
            channel.send({"pong": message["ping"], "silent_streams": health.silent_streams, **told})


def _orders(channel: Channel, woken: socket.socket) -> Iterator[Message]:
    """Yield what the supervisor says until that is `stop`, or a signal says the same; die when there is none."""
    while True:
        ready, _, _ = select.select([channel.fileno(), woken.fileno()], [], [])
        if woken.fileno() in ready and signal.SIGTERM in woken.recv(64):
            return
        if channel.fileno() not in ready:
            continue
        for message in channel.receive():
            if message["op"] == "stop":
                return
            yield message
        if channel.closed:
            die()


def _heed_signals(*, stops: bool) -> socket.socket:
    """Set what signals do; return a socket on which the numbers of those that mean something arrive."""
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)  # noqa: FBT003 — as the library has it
    signal.set_wakeup_fd(wakes.detach())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        heeded = stops and number == signal.SIGTERM
        signal.signal(number, (lambda *_: None) if heeded else signal.SIG_IGN)
    return woken


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # Threads that still wait for a network hold nobody up; whatever had to be ended has been.
