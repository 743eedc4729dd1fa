"""Counts the processor instructions of one decision: a figure that does not move with the machine's load.

The server is built as it serves, with records and metrics, but its engine is this program, which asks one question
after the other in one thread. Instructions are counted by `perf stat` where the machine lets it, else by valgrind,
which hides some instructions that make cryptography fast. Each count is the difference of a long and a short run, so
that the start costs nothing.

`python -m bench.instructions` prints instructions for a cached and for a new token; needs Linux with perf or valgrind.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.configuration import write_settings
from bench.corpus import HOST, Corpus, make_corpus
from bench.programs import ROOT
from extauthz.config.load import load_settings
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.request.bounds import Proxy
from extauthz.server import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.server.engine import CheckFunction, Engine

_RUNS: Final = {"cached": (500, 2500), "cold": (100, 500)}
"""Questions of the short and of the long run."""
_EVENT: Final = "instructions:u"
_COUNT: Final = re.compile(r"I\s+refs:\s+([\d,]+)|^\s*([\d,]+)\s+instructions:u", re.MULTILINE)
_RUN_SECONDS: Final = 600


class _Harness:
    """An engine that serves nobody."""

    name = "harness"
    addresses = ("127.0.0.1:0",)

    def __init__(self, checker: CheckFunction) -> None:
        self.checker = checker

    def start(self) -> None:
        """Do nothing."""

    def is_deciding(self, within: float) -> bool:
        """Say yes: whoever asks is who decides."""
        del within
        return True

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 — it is the value
        """Do nothing."""

    def stop(self, grace: float) -> None:
        """Do nothing."""


def ask(folder: Path, workload: str, count: int) -> bytes:
    """Answer `count` questions in this thread and return the last answer.

    Args:
        folder: with `settings.yaml` and the questions.
        workload: whose questions; they start again when they run out.
        count: at least one.

    Raises:
        RuntimeError: an answer was not an allow.
    """
    proxy, raw = Proxy("edge", hosts=(HOST,), shows_all_headers=True), b""
    questions = list(payloads(folder / f"{workload}.questions"))
    with _checker(folder / "settings.yaml") as checker:
        for number in range(count):
            raw = checker.check(questions[number % len(questions)], proxy)
            answer = CheckResponse.FromString(raw)
            if answer.status.code or answer.WhichOneof("http_response") != "ok_response":
                message = f"question {number} was denied: {answer.status.message}"
                raise RuntimeError(message)
    return raw


@contextmanager
def _checker(settings: Path) -> Iterator[CheckFunction]:
    """Build the server and yield what its engine would ask."""
    harnesses: list[_Harness] = []

    def make(checker: CheckFunction, *_parts: object, **_options: object) -> Engine:
        harnesses.append(_Harness(checker))
        return harnesses[0]

    usual = vars(app)["make_engine"]
    vars(app)["make_engine"] = make  # The composition root hands its checker to whatever this name makes.
    try:
        application = app.build(load_settings(settings))
    finally:
        vars(app)["make_engine"] = usual
    application.start()
    try:
        yield harnesses[0].checker
    finally:
        application.stop()


def payloads(file: Path) -> Iterator[bytes]:
    """Return the serialised questions of a questions file."""
    raw = file.read_bytes()
    while raw:
        size = int.from_bytes(raw[:4], "big")
        yield raw[4 : 4 + size]
        raw = raw[4 + size + 3 + raw[4 + size + 2] :]


def main() -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--ask", nargs=3, metavar=("FOLDER", "WORKLOAD", "COUNT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ask:
        ask(Path(chosen.ask[0]), chosen.ask[1], int(chosen.ask[2]))
        return 0
    counter = _counter()
    if not counter:
        sys.stderr.write("neither perf nor valgrind can count instructions here\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="extauthz-bench-") as scratch:
        corpus = make_corpus(Path(scratch), time.time(), cold=_RUNS["cold"][1], fresh=1)
        for workload, (short, long) in _RUNS.items():
            spent = _instructions(counter, corpus, workload, long) - _instructions(counter, corpus, workload, short)
            sys.stdout.write(f"{workload:8} {spent / (long - short):12,.0f} instructions a decision ({counter[0]})\n")
    return 0


def _counter() -> list[str]:
    """Return the command that counts, empty when there is none."""
    perf = ["perf", "stat", "-e", _EVENT]
    if shutil.which("perf"):
        tried = subprocess.run([*perf, "true"], capture_output=True, text=True, check=False)  # noqa: S603 — fixed arguments
        if _COUNT.search(tried.stderr):
            return perf
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    return valgrind if shutil.which("valgrind") else []


def _instructions(counter: list[str], corpus: Corpus, workload: str, count: int) -> int:
    """Return the instructions of a whole run.

    Raises:
        RuntimeError: the run failed; the message shows what it said.
    """
    write_settings(corpus.folder, engine="grpcio", address="127.0.0.1:0", metrics=None, jwks=corpus.jwks)
    question = ["--ask", str(corpus.folder), workload, str(count)]
    command = [*counter, sys.executable, "-m", "bench.instructions", *question]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    done = subprocess.run(  # noqa: S603 — our own program
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=_RUN_SECONDS, check=False
    )
    found = _COUNT.search(done.stderr)
    if done.returncode != 0 or found is None:
        message = f"no count for {workload}: {done.stderr[-2000:]}"
        raise RuntimeError(message)
    return int((found[1] or found[2]).replace(",", ""))


if __name__ == "__main__":
    sys.exit(main())
