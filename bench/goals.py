"""The goals, as ratios within one run: machines differ, so no goal is a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.contestants import CACHED, COLD, ENVOY, ENVOY_STEADY, STEADY
from bench.results import TIMES, Results, Spread, p99_difference, p99_ratio, rate_ratio, spread_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.measure import Sample

_NATIVE: Final = "extauthz-native"
_GRPCIO: Final = "extauthz-grpcio"
_OPA: Final = "opa-nocache"
_OPA_NOTE: Final = "OPA's Rego in grpc-go, without token cache, in place of OPA-Envoy"


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
    rows: tuple[tuple[str, str], ...]
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


def _ratio(  # noqa: PLR0913 — a row of the table
    engine: str,
    sentence: str,
    bound: float,
    one: tuple[str, str],
    other: tuple[str, str],
    *,
    how: Callable[[Sample, Sample], float] = rate_ratio,
    unit: str = TIMES,
) -> Goal:
    def value(results: Results) -> Spread | None:
        return results.compare(one, other, how)

    return Goal(engine, sentence, bound, how is rate_ratio, value, (one, other), unit)


def _cold(engine: str, name: str, constant: str) -> Goal:
    """Compare with a server that does nothing but its engine's work and one signature."""

    def value(results: Results) -> Spread | None:
        ours, floor = results.of(name, COLD), results.of(constant, CACHED)
        rounds = ours.keys() & floor.keys() & results.signature_us.keys()
        costs = {number: 1e6 / floor[number].rate + results.signature_us[number] for number in rounds}
        return spread_of(ours[number].rate * costs[number] / 1e6 for number in rounds)

    sentence = "new tokens: engine and one bare signature alone"
    return Goal(engine, sentence, 0.85, at_least=True, value=value, rows=((name, COLD), (constant, CACHED)))


GOALS: Final = (
    _ratio("native", "cached: its own constant answer", 0.6, (_NATIVE, CACHED), ("constant-native", CACHED)),
    _ratio("native", "cached: Go by hand with token cache", 1.0, (_NATIVE, CACHED), ("go-cache", CACHED)),
    _ratio("native", f"cached: {_OPA_NOTE}", 10.0, (_NATIVE, CACHED), (_OPA, CACHED)),
    _ratio("native", "new tokens: Go by hand without cache", 1.0, (_NATIVE, COLD), ("go-nocache", COLD)),
    _cold("native", _NATIVE, "constant-native"),
    _ratio(
        "native",
        "new tokens at 1,000/s: p99 less that of Go by hand",
        500.0,
        (_NATIVE, STEADY),
        ("go-cache", STEADY),
        how=p99_difference,
        unit="µs",
    ),
    _ratio("native", "behind Envoy: a constant answer", 0.97, (_NATIVE, ENVOY), ("constant-native", ENVOY)),
    _ratio(
        "native",
        "behind Envoy at 1,000/s: p99 of a constant answer",
        1.2,
        (_NATIVE, ENVOY_STEADY),
        ("constant-native", ENVOY_STEADY),
        how=p99_ratio,
    ),
    _ratio("grpcio", "cached: its own constant answer", 0.9, (_GRPCIO, CACHED), ("constant-grpcio", CACHED)),
    _ratio("grpcio", f"cached: {_OPA_NOTE}", 1.5, (_GRPCIO, CACHED), (_OPA, CACHED)),
    _cold("grpcio", _GRPCIO, "constant-grpcio"),
    _ratio(
        "grpcio",
        f"new tokens at 1,000/s: p99 of {_OPA_NOTE}",
        1.0,
        (_GRPCIO, STEADY),
        (_OPA, STEADY),
        how=p99_ratio,
    ),
    _ratio("grpcio", "behind Envoy: a constant answer", 0.9, (_GRPCIO, ENVOY), ("constant-grpcio", ENVOY)),
)
"""Each compares extauthz with what the sentence names."""
