"""What it costs to look restrictions up among ten, a thousand and a million; to start with them; to forget them.

Lookups of the files take turns, so that what else the machine does meets all of them alike. Each start is a process of
its own. Figures are of the machine and of its disk; nothing is asserted. Run it as
`python tools/measure_revocations.py [FOLDER] [MOST]`.
"""

from __future__ import annotations

import logging
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import structlog

from extauthz.clock import Instant, SystemClock
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.server.freshness import Freshness
from extauthz.server.stateview import StateView
from extauthz.state.restrictions import FORGET_AFTER, apply_restrictions, collect, count_restrictions
from extauthz.state.store import open_store
from extauthz.state.writer import StateWriter

ISSUER = "https://login.example.com/realms/production"
BATCH = 20_000
ROUNDS = 20_000
BITE = 200
FORMS = (Form.TOKEN, Form.SESSION, Form.CLIENT, Form.WORKLOAD, Form.DEVICE, Form.TENANT, Form.ISSUER)


def subject(number: int) -> Mark:
    """Return one of many targets."""
    return Mark(Form.SUBJECT, ISSUER, f"0f8b6f5e-5d0c-4b9c-9b7e-{number:012d}")


def revocation(number: int, at: Instant) -> Restriction:
    """Return one of many restrictions, for an hour."""
    until = Instant(at + 3600)
    return Restriction(mark=subject(number), effect=Effect.REVOKED, source=OPERATOR, event_at=at, until=until)


def fill(path: Path, rows: int, at: Instant) -> StateWriter:
    """Make a state file with so many restrictions in force."""
    writer = StateWriter(path, open_store(path))
    for start in range(0, rows, BATCH):
        with writer.transaction() as writing:
            wanted = [revocation(number, at) for number in range(start, min(start + BATCH, rows))]
            apply_restrictions(writing.connection, wanted, writing.seal, own=True)
    return writer


def view_of(path: Path) -> StateView:
    """Return a worker's view of a file."""
    clock = SystemClock()
    return StateView(path, open_store(path), clock, Freshness(clock, 60.0))


def caller(number: int) -> tuple[Mark, ...]:
    """Return the marks of a caller of whom one is restricted where there are that many restrictions."""
    return (subject(number), *(Mark(form, ISSUER, f"of-{number}") for form in FORMS))


def lookups(paths: dict[int, Path]) -> dict[int, float]:
    """Return the median of a lookup of eight marks in each file, in seconds; they take turns."""
    views = {rows: view_of(path) for rows, path in paths.items()}
    at, took = SystemClock().now(), {rows: list[float]() for rows in paths}
    for view in views.values():
        view.freshen()
    for number in range(ROUNDS):
        for rows, view in views.items():
            marks = caller(number * 7919 % rows)
            began = time.perf_counter()
            found = view.find_restrictions(marks, at)
            took[rows].append(time.perf_counter() - began)
            if len(found) != 1:
                message = f"a restriction was not found among {rows}"
                raise SystemExit(message)
    return {rows: median(each) for rows, each in took.items()}


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def start(path: Path) -> None:
    """Be a worker that starts: print how long until its first lookup, and how much memory that took."""
    before = resident()
    began = time.perf_counter()
    view = view_of(path)
    view.freshen()
    view.find_restrictions(caller(3), SystemClock().now())
    took = time.perf_counter() - began
    grown = (resident() - before) / 2**20
    print(f"{took * 1000:8.2f} ms until the first lookup, {grown:6.2f} MiB more memory")


def forget(writer: StateWriter, at: Instant) -> tuple[float, int]:
    """Return the median of a bite of expired rows, in seconds, and how many rows went."""
    took, gone = [], 0
    while True:
        began = time.perf_counter()
        with writer.transaction() as writing:
            bite = collect(writing.connection, at, BITE)
        took.append(time.perf_counter() - began)
        gone += bite
        if not bite:
            return median(took), gone


def main() -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if sys.argv[1:2] == ["--start"]:
        start(Path(sys.argv[2]))
        return
    folder, most, *_ = *sys.argv[1:], None, None
    most = int(most or 1_000_000)
    with TemporaryDirectory(dir=folder) as name:
        at = SystemClock().now()
        paths = {rows: Path(name) / f"{rows}.db" for rows in (10, 1000, most)}
        writers: dict[int, StateWriter] = {}
        for rows, path in paths.items():
            began = time.perf_counter()
            writers[rows] = fill(path, rows, at)
            took = time.perf_counter() - began
            print(f"{rows:>9,} restrictions  written in {took:6.1f} s, {path.stat().st_size / 2**20:7.1f} MiB on disk")
        medians = lookups(paths)
        for rows, each in medians.items():
            ratio = each / medians[10]
            print(f"{rows:>9,} restrictions  {each * 1e6:6.1f} us for eight marks, {ratio:4.2f} of that among ten")
        for rows, path in paths.items():
            print(f"{rows:>9,} restrictions ", end="", flush=True)
            subprocess.run([sys.executable, __file__, "--start", str(path)], check=True)  # noqa: S603 — ourselves
        for rows, writer in writers.items():
            began = time.perf_counter()
            with writer.transaction() as writing:
                apply_restrictions(writing.connection, [revocation(rows + 1, at)], writing.seal, own=True)
            took = time.perf_counter() - began
            print(f"{rows:>9,} restrictions  one more is durable after {took * 1000:6.2f} ms")
        bite, gone = forget(writers[most], Instant(at + 3601 + FORGET_AFTER))
        with writers[most].transaction() as writing:
            left = count_restrictions(writing.query)
        print(f"{gone:>9,} expired  removed, {bite * 1000:.2f} ms for each {BITE}; {left} left")


if __name__ == "__main__":
    main()
