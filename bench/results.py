"""What was measured, round by round, and the ratios that mean something: those within one round."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bench.measure import Sample


TIMES: Final = "\N{MULTIPLICATION SIGN}"
NOTHING: Final = "\N{EN DASH}"
"""Stands where nothing was measured."""


@dataclass(frozen=True)
class Spread:
    """A median with the least and the greatest value of the rounds."""

    middle: float
    least: float
    most: float

    def text(self, digits: int = 0, scale: float = 1.0) -> str:
        """Return `median (least-most)`."""
        middle, least, most = (f"{value * scale:,.{digits}f}" for value in (self.middle, self.least, self.most))
        return f"{middle} ({least} to {most})"


@dataclass
class Results:
    """All samples.

    Attributes:
        samples: by server and workload, then by round.
        signature_us: what verifying one ES256 signature costs in `cryptography`, by round.
        failures: why a server gave no sample, by its name.
    """

    samples: dict[tuple[str, str], dict[int, Sample]] = field(default_factory=lambda: defaultdict(dict))
    signature_us: dict[int, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def of(self, name: str, workload: str) -> Mapping[int, Sample]:
        """Return the samples by round, empty when there are none."""
        return self.samples.get((name, workload), {})

    def wrong(self, name: str, workload: str) -> int:
        """Return how many answers were wrong."""
        return sum(sample.wrong for sample in self.of(name, workload).values())

    def spread(self, name: str, workload: str, value: Callable[[Sample], float]) -> Spread | None:
        """Return the spread of one figure, None when it was not measured."""
        return spread_of(value(sample) for sample in self.of(name, workload).values())

    def compare(
        self,
        one: tuple[str, str],
        other: tuple[str, str],
        how: Callable[[Sample, Sample], float],
    ) -> Spread | None:
        """Return the spread of a comparison of two rows, made within each round."""
        left, right = self.of(*one), self.of(*other)
        return spread_of(how(left[round_], right[round_]) for round_ in left.keys() & right.keys())


def spread_of(values: Iterable[float]) -> Spread | None:
    """Return the spread of `values`, None when there are none."""
    known = list(values)
    return Spread(median(known), min(known), max(known)) if known else None


def rate(sample: Sample) -> float:
    """Return answers per second."""
    return sample.rate


def rate_ratio(one: Sample, other: Sample) -> float:
    """Return how many times as many answers per second."""
    return one.rate / other.rate


def p99_ratio(one: Sample, other: Sample) -> float:
    """Return how many times as long a 99th percentile."""
    return one.p99_us / other.p99_us


def p99_difference(one: Sample, other: Sample) -> float:
    """Return how many microseconds longer a 99th percentile."""
    return one.p99_us - other.p99_us
