"""`make bench`: measures extauthz and the references, prints the tables, writes the report and its chart.

Servers take turns within a round and rounds go back and forth, so that a machine that warms up or slows down does so
for everybody. Everything stays on loopback, is bounded in time, and only what was started here is ended.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.chart import svg
from bench.contestants import Contestant, contestants
from bench.corpus import make_corpus
from bench.floors import write_answer
from bench.measure import Bench, MeasurementFailedError
from bench.process import cores
from bench.programs import ROOT, build
from bench.references.constant_answer import tiny_answer
from bench.report import Setting, Sizes, markdown, summary
from bench.results import Results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.measure import Sample

_SIGNATURES: Final = 3000
_RESULTS: Final = ROOT / "bench" / "results"


def main() -> int:
    """Return 0 when every answer of every server was right."""
    chosen = _arguments()
    server_core, own_core = cores()
    os.sched_setaffinity(0, {own_core})
    _say("building the programs (the first time takes minutes)")
    programs = build()
    if "load" not in programs.paths:
        _say(f"the load generator is missing: {programs.missing['load']}")
        return 2
    everybody = contestants(programs)
    unknown = set(chosen.only) - {one.name for one in everybody}
    if unknown:
        _say(f"nobody is called {', '.join(sorted(unknown))}; known: {', '.join(one.name for one in everybody)}")
        return 2
    everybody = [one for one in everybody if not chosen.only or one.name in chosen.only]
    results = Results()
    with tempfile.TemporaryDirectory(prefix="extauthz-bench-") as scratch:
        folder = Path(scratch)
        (folder / "corpus").mkdir()
        corpus = make_corpus(folder / "corpus", time.time())
        answer_bytes = write_answer(corpus)
        bench = Bench(folder, corpus, programs.paths["load"], chosen.seconds, server_core)
        for number in range(chosen.rounds):
            results.signature_us[number] = _signature_microseconds()
            order = everybody if number % 2 == 0 else everybody[::-1]
            _round(bench, order, number, results, chosen)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    sizes = Sizes(corpus.typical_bytes, answer_bytes, len(tiny_answer()))
    setting = Setting(chosen.rounds, chosen.seconds, today, sizes, server_core == own_core)
    _write(results, everybody, setting, chosen.results)
    return 1 if results.failures or any(results.wrong(*row) for row in results.samples) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measure these servers only")
    parser.add_argument("--workloads", nargs="+", default=[], metavar="NAME", help="put these workloads only")
    parser.add_argument("--rounds", type=int, default=5, help="how often each server is measured (default 5)")
    parser.add_argument("--seconds", type=float, default=1.2, help="length of one measurement (default 1.2)")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="folder for latest.md and latest.svg")
    return parser.parse_args()


def _round(
    bench: Bench, order: Sequence[Contestant], number: int, results: Results, chosen: argparse.Namespace
) -> None:
    for one in order:
        if one.missing or one.name in results.failures:
            continue
        workloads = tuple(name for name in one.workloads if not chosen.workloads or name in chosen.workloads)
        try:
            for workload, sample in bench.visit(one, workloads, number):
                results.samples[one.name, workload][number] = sample
                _say(f"round {number + 1}  {one.name:20} {workload:13} {_line(sample)}")
        except MeasurementFailedError as error:
            results.failures[one.name] = str(error)
            _say(f"{one.name} FAILED: {error}")


def _line(sample: Sample) -> str:
    wrong = f"  {sample.wrong} WRONG: {sample.first_wrong}" if sample.wrong else ""
    figures = f"{sample.rate:9,.0f}/s  {sample.cpu_us:6.1f} CPU µs  p99 {sample.p99_us / 1000:7.2f} ms"
    return f"{figures}  {sample.rss_mb:4.0f} MB{wrong}"


def _signature_microseconds() -> float:
    """Return what one bare ES256 verification costs."""
    key = ec.generate_private_key(ec.SECP256R1())
    message = b"x" * 600
    algorithm = ec.ECDSA(hashes.SHA256())
    signature, public = key.sign(message, algorithm), key.public_key()
    start = time.process_time()
    for _ in range(_SIGNATURES):
        public.verify(signature, message, algorithm)
    return (time.process_time() - start) / _SIGNATURES * 1e6


def _write(results: Results, everybody: Sequence[Contestant], setting: Setting, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.md").write_text(markdown(results, everybody, setting), "utf-8")
    (folder / "latest.svg").write_text(svg(results, everybody), "utf-8")
    sys.stdout.write(f"{summary(results, everybody)}\nwritten: {folder / 'latest.md'} and latest.svg\n")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
