"""The goals, as ratios within one run: machines differ, so no goal is a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.contestants import CACHED, COLD, ENVOY, ENVOY_STEADY, STEADY
from bench.results import TIMES, Results, Spread, p99_difference, p99_ratio, rate_ratio, spread_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure import Sample

    _Comparison = Callable[[Sample, Sample], float]

_Row = tuple[str, str]
"""A server's name and a workload."""

_CONSTANT: Final = "the same engine giving a constant answer of the same bytes"
_BARE_WORK: Final = f"{_CONSTANT} after one bare signature"
_OBVIOUS: Final = "grpcio + PyJWT, the same check without policy, records or revocation,"
_OPA: Final = "OPA's Rego in grpc-go without token cache, which stands in for OPA-Envoy"


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes:
        engine: whose.
        sentence: what is compared with what.
        bound: the value to reach or to stay below.
        at_least: whether larger is better.
        value: what was measured; None when a row is missing.
        rows: rows whose answers must all have been right.
        unit: of the value.
    """

    engine: str
    sentence: str
    bound: float
    at_least: bool
    value: Callable[[Results], Spread | None]
    rows: tuple[_Row, ...]
    unit: str = TIMES

    def verdict(self, results: Results) -> str:
        """Return `met`, `not met`, or why nothing can be said."""
        value = self.value(results)
        if value is None:
            return "not measured"
        if any(results.wrong(*row) for row in self.rows):
            return "**not met**: wrong answers"
        met = value.middle >= self.bound if self.at_least else value.middle <= self.bound
        return "met" if met else "**not met**"

    def wanted(self) -> str:
        """Return the bound as text."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g} {self.unit}"


def _at_least(engine: str, bound: float, sentence: str, one: _Row, other: _Row) -> Goal:
    """Want so many times as many answers per second."""

    def value(results: Results) -> Spread | None:
        return results.compare(one, other, rate_ratio)

    return Goal(engine, sentence, bound, at_least=True, value=value, rows=(one, other))


def _at_most(  # noqa: PLR0913 — a row of the table
    engine: str, bound: float, sentence: str, one: _Row, other: _Row, *, how: _Comparison = p99_ratio
) -> Goal:
    """Want the 99th percentile of latency to be at most so many times as long, or so many microseconds longer."""

    def value(results: Results) -> Spread | None:
        return results.compare(one, other, how)

    unit = "µs" if how is p99_difference else TIMES
    return Goal(engine, sentence, bound, at_least=False, value=value, rows=(one, other), unit=unit)


def _at_least_of_bare_work(engine: str, bound: float, sentence: str, one: _Row, constant: _Row) -> Goal:
    """Want so many times the answers of a server that spends one constant answer and one bare signature on each."""

    def value(results: Results) -> Spread | None:
        ours, floor = results.of(*one), results.of(*constant)
        rounds = ours.keys() & floor.keys() & results.signature_us.keys()
        costs = {number: 1e6 / floor[number].rate + results.signature_us[number] for number in rounds}
        return spread_of(ours[number].rate * costs[number] / 1e6 for number in rounds)

    return Goal(engine, sentence, bound, at_least=True, value=value, rows=(one, constant))


GOALS: Final = (
    _at_least(
        "native",
        0.6,
        f"one token: answers/s of {_CONSTANT}",
        ("extauthz-native", CACHED),
        ("constant-native", CACHED),
    ),
    _at_least(
        "native",
        1.0,
        "one token: answers/s of Go by hand with token cache",
        ("extauthz-native", CACHED),
        ("go-cache", CACHED),
    ),
    _at_least(
        "native",
        10.0,
        f"one token: answers/s of {_OPA}",
        ("extauthz-native", CACHED),
        ("opa-nocache", CACHED),
    ),
    _at_least(
        "native",
        1.0,
        "new tokens: answers/s of Go by hand without cache",
        ("extauthz-native", COLD),
        ("go-nocache", COLD),
    ),
    _at_least_of_bare_work(
        "native",
        0.85,
        f"new tokens: answers/s of {_BARE_WORK}",
        ("extauthz-native", COLD),
        ("constant-native", CACHED),
    ),
    _at_most(
        "native",
        500.0,
        "new tokens, 1,000 a second: p99 less the p99 of Go by hand with token cache",
        ("extauthz-native", STEADY),
        ("go-cache", STEADY),
        how=p99_difference,
    ),
    _at_least(
        "native",
        0.97,
        f"one token, behind Envoy: answers/s of {_CONSTANT}",
        ("extauthz-native", ENVOY),
        ("constant-native", ENVOY),
    ),
    _at_most(
        "native",
        1.2,
        f"one token, behind Envoy, 1,000 a second: p99 of {_CONSTANT}",
        ("extauthz-native", ENVOY_STEADY),
        ("constant-native", ENVOY_STEADY),
    ),
    _at_least(
        "grpcio",
        0.9,
        f"one token: answers/s of {_CONSTANT}",
        ("extauthz-grpcio", CACHED),
        ("constant-grpcio", CACHED),
    ),
    _at_least(
        "grpcio",
        1.5,
        f"one token: answers/s of {_OPA}",
        ("extauthz-grpcio", CACHED),
        ("opa-nocache", CACHED),
    ),
    _at_least_of_bare_work(
        "grpcio",
        0.85,
        f"new tokens: answers/s of {_BARE_WORK}",
        ("extauthz-grpcio", COLD),
        ("constant-grpcio", CACHED),
    ),
    _at_most(
        "grpcio",
        1.0,
        f"new tokens, 1,000 a second: p99 of {_OPA}",
        ("extauthz-grpcio", STEADY),
        ("opa-nocache", STEADY),
    ),
    _at_least(
        "grpcio",
        0.9,
        f"one token, behind Envoy: answers/s of {_CONSTANT}",
        ("extauthz-grpcio", ENVOY),
        ("constant-grpcio", ENVOY),
    ),
)
"""What the design asks for: engine, bound, what is compared, extauthz's row, and the row that it is compared with."""

GUARDS: Final = (
    _at_least(
        "native",
        0.4,
        f"one token: answers/s of {_CONSTANT}",
        ("extauthz-native", CACHED),
        ("constant-native", CACHED),
    ),
    _at_least(
        "native",
        4.0,
        f"one token: answers/s of {_OBVIOUS} with a dict of verified tokens",
        ("extauthz-native", CACHED),
        ("pyjwt-cache", CACHED),
    ),
    _at_least(
        "native",
        0.5,
        f"new tokens: answers/s of {_OBVIOUS} without cache",
        ("extauthz-native", COLD),
        ("pyjwt-nocache", COLD),
    ),
    _at_least(
        "grpcio",
        0.8,
        f"one token: answers/s of {_OBVIOUS} with a dict of verified tokens",
        ("extauthz-grpcio", CACHED),
        ("pyjwt-cache", CACHED),
    ),
    _at_least(
        "grpcio",
        0.4,
        f"new tokens: answers/s of {_OBVIOUS} without cache",
        ("extauthz-grpcio", COLD),
        ("pyjwt-nocache", COLD),
    ),
)
"""What must not get worse. Chosen after measuring, with room for noise: to hold them is no achievement (ADR 0026)."""

RULERS: Final = (
    _at_least_of_bare_work(
        "native",
        0.85,
        f"new tokens: answers/s of {_BARE_WORK}",
        ("least-native", COLD),
        ("constant-native", CACHED),
    ),
    _at_least_of_bare_work(
        "grpcio",
        0.85,
        f"new tokens: answers/s of {_BARE_WORK}",
        ("least-grpcio", COLD),
        ("constant-grpcio", CACHED),
    ),
)
"""What the least that Python can do for a new token reaches (`references/least.py`): who does more reaches less."""
