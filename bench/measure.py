"""One server, started, asked and ended; what it took."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from bench.configuration import PROXY_TOKEN, SERVER_NAME
from bench.contestants import CACHED, COLD, ENVOY, ENVOY_STEADY, METADATA, REFUSED, STEADY, Contestant, Place
from bench.process import accepts, cpu_seconds, free_port, resident_megabytes
from bench.programs import ROOT
from extauthz.demo.bootstrap import Places, find_connection_manager, find_ext_authz
from extauthz.demo.child import Child, ChildFailedError
from extauthz.demo.envoy import Envoy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.corpus import Corpus

CONNECTIONS: Final = 8
STREAMS: Final = 16
DEAR_STREAMS: Final = 8
"""Questions under way on a connection where each costs a signature: with more, the length of the queue decides who
answers in time, and not how fast a server is."""
STEADY_RATE: Final = 1000
"""Questions per second of the open loop."""

_START_SECONDS: Final = 30.0
_WARM_SECONDS: Final = 1.5
"""Long enough for compilers that work while a program runs."""
_SHORT_SECONDS: Final = 0.5
"""Fills caches of a server that is warm."""
_SLACK_SECONDS: Final = 20.0
_LOG_TAIL: Final = 1500


class MeasurementFailedError(Exception):
    """A server did not start or died; the message says which and shows the end of its log."""


@dataclass(frozen=True)
class Sample:
    """One measurement.

    Attributes:
        rate: answers per second.
        cpu_us: processor time of the server for one answer, in microseconds.
        p50_us: median latency.
        p99_us: latency that 99 % stay below.
        rss_mb: resident memory of the server afterwards, in megabytes.
        wrong: how many answers were wrong or missing.
        first_wrong: what was wrong with the first of them.
    """

    rate: float
    cpu_us: float
    p50_us: float
    p99_us: float
    rss_mb: float
    wrong: int = 0
    first_wrong: str = ""


@dataclass(frozen=True)
class Bench:
    """What all measurements share.

    Attributes:
        folder: scratch.
        corpus: questions.
        load: the load generator.
        seconds: length of one measurement.
        core: where servers run; everything else runs where we do.
    """

    folder: Path
    corpus: Corpus
    load: Path
    seconds: float
    core: int

    def visit(self, contestant: Contestant, workloads: tuple[str, ...], round_: int) -> Iterator[tuple[str, Sample]]:
        """Start a fresh server, put `workloads` to it in order, and end it.

        Raises:
            MeasurementFailedError: no more samples follow.
        """
        folder = self.folder / f"{contestant.name}-{round_}"
        folder.mkdir()
        port = free_port()
        place = Place(folder, f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}", self.corpus)
        command = ["taskset", "-c", str(self.core), *contestant.command(place)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        server = Child(contestant.name, command, folder / "log", environment, folder=ROOT)
        try:
            server.start(lambda: accepts(port), _START_SECONDS)
            yield from _Visit(self, contestant, server, folder, port).samples(workloads)
        except ChildFailedError as error:
            raise MeasurementFailedError(str(error)) from error
        finally:
            server.stop()


class _Visit:
    """A running server."""

    def __init__(self, bench: Bench, contestant: Contestant, server: Child, folder: Path, port: int) -> None:
        self._bench = bench
        self._contestant = contestant
        self._server = server
        self._folder = folder
        self._target = f"127.0.0.1:{port}"
        self._port = port

    def samples(self, workloads: tuple[str, ...]) -> Iterator[tuple[str, Sample]]:
        seconds = self._bench.seconds
        closed = ["-connections", str(CONNECTIONS), "-streams", str(STREAMS), "-seconds", str(seconds)]
        dear = ["-connections", str(CONNECTIONS), "-streams", str(DEAR_STREAMS), "-seconds", str(seconds)]
        steady = ["-connections", str(CONNECTIONS), "-rate", str(STEADY_RATE), "-seconds", str(max(seconds, 2))]
        again = [*closed[:-1], str(_SHORT_SECONDS)]
        self._ask("warm", [*closed[:-1], str(_WARM_SECONDS)])
        for workload in workloads:
            if workload == CACHED:
                self._ask("cached", again)
                yield workload, self._ask("cached", closed)
            elif workload == COLD:
                # No token is asked about twice.
                yield workload, self._ask("cold", [*dear, "-count", str(self._bench.corpus.cold)])
            elif workload == REFUSED:
                yield workload, self._ask("refused", dear)
            elif workload == STEADY:
                yield workload, self._ask("fresh", steady)
        if ENVOY in workloads or ENVOY_STEADY in workloads:
            with self._envoy() as envoy:
                front = f"127.0.0.1:{envoy.port}"
                self._ask("http", again, front)
                if ENVOY in workloads:
                    yield ENVOY, self._ask("http", closed, front)
                if ENVOY_STEADY in workloads:
                    yield ENVOY_STEADY, self._ask("http", steady, front)

    def _ask(self, questions: str, options: list[str], front: str | None = None) -> Sample:
        """Run the load generator once.

        Raises:
            MeasurementFailedError: the server died, or gave no answer at all.
        """
        command = [str(self._bench.load), "-questions", str(self._bench.corpus.questions(questions)), *options]
        if front is not None:
            command += ["-http", "-target", front]
        else:
            command += ["-target", self._target, "-metadata", METADATA, "-authority", SERVER_NAME]
            if self._contestant.tls:
                command += ["-tls", str(self._folder / "server.pem")]
        before = cpu_seconds(self._server.pid)
        limit = self._bench.seconds + _SLACK_SECONDS
        done = subprocess.run(  # noqa: S603 — our own program
            command, capture_output=True, text=True, timeout=limit, check=False
        )
        used = cpu_seconds(self._server.pid) - before
        result: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        if not result.get("checks") or not accepts(self._port):
            log = self._server.read_log()[-_LOG_TAIL:]
            message = f"{self._contestant.name}, {questions}: {done.stderr.strip()}\nthe end of its log:\n{log}"
            raise MeasurementFailedError(message)
        return Sample(
            rate=result["per_second"],
            cpu_us=used / result["checks"] * 1e6,
            p50_us=result["p50_us"],
            p99_us=result["p99_us"],
            rss_mb=resident_megabytes(self._server.pid),
            wrong=result["errors"],
            first_wrong=result.get("first_error", ""),
        )

    def _envoy(self) -> Envoy:
        folder = self._folder / "envoy"
        folder.mkdir()
        places = Places(clusters={"extauthz": self._port, "upstream": 9}, access_log=folder / "access.log")
        file = ROOT / "envoy" / "minimal.yaml"
        return Envoy(file, folder, places, proxy_token=PROXY_TOKEN, change=_only_ask)


def _only_ask(bootstrap: dict[str, Any]) -> None:
    """Leave nothing but the question: what is allowed is answered by Envoy itself, and nothing is logged."""
    manager = find_connection_manager(bootstrap)
    manager.pop("access_log", None)
    answer = yaml.safe_load("{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: fine}}}")
    manager["route_config"]["virtual_hosts"][0]["routes"] = [answer]
    ext_authz = find_ext_authz(bootstrap)
    ext_authz.pop("with_request_body", None)
    ext_authz["grpc_service"]["timeout"] = "2s"
