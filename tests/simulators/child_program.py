"""A child process that behaves as the name of its policy file says: the outside of what a supervisor looks after.

`good` answers pings; `mute` answers the first only; `late` never says that it is up; `broken` ends with code 2, and
`failing` with 1; `short` ends when it is up; `hanging` hangs up and lives on; `deaf` does not stop; `unready` works and
is not ready, and hears nothing of a stream.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading

from extauthz.processes.handover import Handover, unpack
from extauthz.processes.mortal import die_with

_CODES = {"broken": 2, "failing": 1}
"""What those end with who never are up."""


class _StoppedError(Exception):
    """The supervisor has said so, or is gone."""


def main() -> int:
    """Behave until told to stop."""
    handover = unpack(sys.stdin.buffer)
    die_with(handover.parent)
    behaviour = str(handover.settings.policy[0])
    if behaviour in _CODES:
        return _CODES[behaviour]
    end = socket.socket(fileno=handover.channel)
    if behaviour == "hanging":
        end.close()
        threading.Event().wait()
    if behaviour != "late":
        _say(end, up={"addresses": list(handover.addresses) or [f"127.0.0.1:{os.getpid()}"]})
    if behaviour == "short":
        return 0
    try:
        _serve(end, behaviour, handover)
    except _StoppedError:
        return 0
    return 1


def _serve(end: socket.socket, behaviour: str, handover: Handover) -> None:
    pongs = 0
    for line in end.makefile("rb"):
        order = json.loads(line)
        if order["op"] == "stop" and behaviour != "deaf":
            sys.stderr.write(f"stop {handover.name}\n")
            raise _StoppedError
        if order["op"] == "reload":
            sys.stderr.write(f"reload {handover.name}\n")
        if order["op"] == "ping" and (behaviour != "mute" or pongs == 0):
            pongs += 1
            ready = behaviour != "unready"
            told = (
                {"why_not": "", "silent_streams": []} if ready else {"why_not": "no policy", "silent_streams": ["idp"]}
            )
            _say(end, pong=order["ping"], ready=ready, metrics=f"pongs {pongs}\n", **told)


def _say(end: socket.socket, **message: object) -> None:
    end.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
