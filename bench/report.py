"""The report: goals beside measurements, then every figure."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.contestants import CACHED, COLD, ENVOY, ENVOY_STEADY, REFUSED, STEADY, Contestant
from bench.goals import GOALS, GUARDS, RULERS
from bench.interpreter import describe_python
from bench.results import NOTHING, TIMES, Results, rate, rate_ratio, spread_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bench.goals import Goal

_TITLES: Final = {
    CACHED: "one token",
    COLD: "new tokens",
    REFUSED: "refusals",
    STEADY: "new tokens",
    ENVOY: "one token",
    ENVOY_STEADY: "one token",
}
_FLOORS: Final = {
    "extauthz-native": "constant-native",
    "extauthz-grpcio": "constant-grpcio",
    "extauthz-grpcio-tls": "constant-grpcio",
    "go-cache": "tiny-go",
    "go-nocache": "tiny-go",
    "opa-cache": "tiny-go",
    "opa-nocache": "tiny-go",
    "pyjwt-cache": "tiny-grpcio",
    "pyjwt-nocache": "tiny-grpcio",
    "least-native": "constant-native",
    "least-grpcio": "constant-grpcio",
}
"""For each server the constant answer on its engine that has about as many bytes as its own answers."""

_TINY: Final = {
    **{name: floor.replace("constant", "tiny") for name, floor in _FLOORS.items()},
    **{f"constant-{engine}": f"tiny-{engine}" for engine in ("native", "grpcio", "go")},
}
"""For each server the tiny constant answer on its engine."""

_HEAD: Final = """\
# Measurements

Made by `make bench`; how to read them stands in [docs/performance.md](../../docs/performance.md).

![Answers per second of each server](latest.svg)
"""
_GOALS: Final = """\
## Goals

What the design asks for.
"""
_GUARDS: Final = """\
## Guards

What must not get worse: bounds chosen after measuring, so to hold them is no achievement
([ADR 0026](../../docs/adr/0026-speed-in-python.md)).
"""
_RULERS: Final = """\
## The least in Python

A ruler: the least that we could write in Python. It parses a question, verifies a signature, looks at five claims and
writes a line ([least.py](../references/least.py)); it knows no policy and no revocation. The same goals, beside it:
"""
_CLOSED_LOOP: Final = f"""\
## Closed loop

128 questions under way on 8 connections, 64 where each costs a signature. "{TIMES} constant" compares with a constant
answer on the same engine that has about as many bytes: extauthz with extauthz's own answer, the references, whose
answers are tiny, with a tiny one. "{TIMES} tiny" compares everybody with the tiny one.
"""
_OPEN_LOOP: Final = """\
## Open loop

1,000 questions a second, each about a token that is seen for the first time; latency counts from the instant at which
a question was meant to be sent.
"""
_BEHIND_ENVOY: Final = """\
## Behind Envoy

Envoy and the load share one core, the server has the other. Closed loop:
"""


@dataclass(frozen=True)
class Sizes:
    """Bytes of serialised messages.

    Attributes:
        question: a usual `CheckRequest`.
        answer: extauthz's `CheckResponse` to it, which the constant servers send too.
        tiny: the `CheckResponse` of the tiny constant servers.
    """

    question: int
    answer: int
    tiny: int


@dataclass(frozen=True)
class Setting:
    """How the run was made.

    Attributes:
        rounds: how often each server was started.
        seconds: length of one measurement.
        date: of the run.
        sizes: of questions and answers.
        shared_core: whether server and load had to share one core.
    """

    rounds: int
    seconds: float
    date: str
    sizes: Sizes
    shared_core: bool


def markdown(results: Results, everybody: Sequence[Contestant], setting: Setting) -> str:
    """Return the report."""
    parts = [
        _HEAD,
        _how(results, setting),
        _GOALS,
        _goals(results, GOALS),
        _GUARDS,
        _goals(results, GUARDS),
        _RULERS,
        _goals(results, RULERS, "the least, compared with"),
        _CLOSED_LOOP,
        _closed(results, everybody, (CACHED, COLD, REFUSED)),
        _OPEN_LOOP,
        _open(results, everybody, STEADY),
        _BEHIND_ENVOY,
        _closed(results, everybody, (ENVOY,)),
        "1,000 requests a second:\n",
        _open(results, everybody, ENVOY_STEADY),
        _tls(results),
        _absent(results, everybody),
    ]
    return "\n".join(part for part in parts if part)


def summary(results: Results, everybody: Sequence[Contestant]) -> str:
    """Return the tables alone, for a terminal."""
    return "\n".join([_closed(results, everybody, (CACHED, COLD, REFUSED, ENVOY)), _goals(results, GOALS)])


def _how(results: Results, setting: Setting) -> str:
    costs, sizes = spread_of(results.signature_us.values()), setting.sizes
    sharing = " Server and load shared one core: figures are low." if setting.shared_core else ""
    return f"""\
{setting.date}, {os.cpu_count()} cores ({_processor()}), Linux {platform.release().partition("-")[0]},
{describe_python()}. Each server had one core to itself, the load another.{sharing}
{setting.rounds} rounds of {setting.seconds:g} s for each measurement, servers taking turns, each started afresh. The
median of the rounds stands first, the least and the greatest in brackets. A question has {sizes.question:,} bytes,
extauthz's answer {sizes.answer:,}, a tiny one {sizes.tiny}; every answer was checked. One bare ES256 verification costs
{costs.text() if costs else "?"} µs here.
"""


def _goals(results: Results, goals: Iterable[Goal], who: str = "extauthz, compared with") -> str:
    lines = [f"| engine | {who} | goal | measured | |", "| --- | --- | --- | --- | --- |"]
    for goal in goals:
        value = goal.value(results)
        measured = value.text(0 if goal.unit == "µs" else 2) if value else NOTHING
        lines.append(f"| {goal.engine} | {goal.sentence} | {goal.wanted()} | {measured} | {goal.verdict(results)} |")
    return "\n".join(lines) + "\n"


def _closed(results: Results, everybody: Sequence[Contestant], workloads: Sequence[str]) -> str:
    lines = [
        f"| server | asked | checks/s | CPU µs | p50 ms | p99 ms | RSS MB | {TIMES} constant | {TIMES} tiny |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in everybody:
        for workload in workloads:
            speed = results.spread(one.name, workload, rate)
            if speed is None:
                continue
            asked = "constant" if one.name.startswith(("constant", "tiny")) else _TITLES[workload]
            shares = " | ".join(_share(results, one, workload, floors) for floors in (_FLOORS, _TINY))
            lines.append(
                f"| {one.title} | {asked} | {speed.text()}{_wrong(results, one, workload)} "
                f"| {_cells(results, one, workload)} | {shares} |"
            )
    return "\n".join(lines) + "\n"


def _share(results: Results, one: Contestant, workload: str, floors: Mapping[str, str]) -> str:
    floor = (floors.get(one.name, ""), workload if workload == ENVOY else CACHED)
    share = results.compare((one.name, workload), floor, rate_ratio)
    return share.text(2) if share else NOTHING


def _cells(results: Results, one: Contestant, workload: str) -> str:
    cpu = results.spread(one.name, workload, lambda sample: sample.cpu_us)
    p50 = results.spread(one.name, workload, lambda sample: sample.p50_us / 1000)
    p99 = results.spread(one.name, workload, lambda sample: sample.p99_us / 1000)
    memory = results.spread(one.name, workload, lambda sample: sample.rss_mb)
    if cpu is None or p50 is None or p99 is None or memory is None:
        return " | ".join([NOTHING] * 4)
    return f"{cpu.middle:,.0f} | {p50.middle:.2f} | {p99.middle:.2f} | {memory.middle:.0f}"


def _open(results: Results, everybody: Sequence[Contestant], workload: str) -> str:
    lines = ["| server | p50 ms | p99 ms | CPU µs |", "| --- | --- | --- | --- |"]
    for one in everybody:
        p50 = results.spread(one.name, workload, lambda sample: sample.p50_us)
        p99 = results.spread(one.name, workload, lambda sample: sample.p99_us)
        cpu = results.spread(one.name, workload, lambda sample: sample.cpu_us)
        if p50 is None or p99 is None or cpu is None:
            continue
        wrong = _wrong(results, one, workload)
        lines.append(f"| {one.title}{wrong} | {p50.text(2, 1e-3)} | {p99.text(2, 1e-3)} | {cpu.middle:,.0f} |")
    return "\n".join(lines) + "\n"


def _wrong(results: Results, one: Contestant, workload: str) -> str:
    samples = results.of(one.name, workload).values()
    first = next((sample.first_wrong for sample in samples if sample.wrong), "")
    return f" **{results.wrong(one.name, workload):,} wrong, first: {_cell(first)}**" if first else ""


def _tls(results: Results) -> str:
    shares = [
        (workload, results.compare(("extauthz-grpcio-tls", workload), ("extauthz-grpcio", workload), rate_ratio))
        for workload in (CACHED, COLD)
    ]
    texts = [f"{share.text(2)} {TIMES} with {_TITLES[workload]}" for workload, share in shares if share]
    if not texts:
        return ""
    return (
        "## TLS\n\nTLS between Envoy and extauthz runs on the grpcio engine. Compared with plaintext on that engine it "
        f"answers {', '.join(texts)}.\n"
    )


def _absent(results: Results, everybody: Sequence[Contestant]) -> str:
    lines = [f"- {one.title}: not run: {_cell(one.missing)}" for one in everybody if one.missing]
    lines += [
        f"- {one.title}: failed: {_cell(results.failures[one.name].splitlines()[0])}"
        for one in everybody
        if one.name in results.failures
    ]
    return "## Not run\n\n" + "\n".join(lines) + "\n" if lines else ""


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
