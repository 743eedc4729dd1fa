"""The floor of the native engine: its batch loop that reads nothing and allows everything."""

from __future__ import annotations

import argparse
from pathlib import Path

from pygrpc_native import EVENT_CALL, NativeGrpcFront

from bench.references.constant_answer import METHOD, constant_answer

MAX_BATCH = 256


def main() -> None:
    """Serve until told to stop."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--address", default="127.0.0.1:9191")
    arguments.add_argument("--answer", type=Path, help="file with a serialised answer; a tiny one when left out")
    chosen = arguments.parse_args()
    answer = constant_answer(chosen.answer)
    front = NativeGrpcFront(chosen.address, [(METHOD, False)], io_threads=1, call_details=True)
    front.start()
    respond = front.respond
    while (batch := front.recv_batch_details(MAX_BATCH)) is not None:
        for kind, call_id, *_ in batch:
            if kind == EVENT_CALL:
                respond(call_id, answer)


if __name__ == "__main__":
    main()
