"""The text of `docs/reference/metrics.md`: every metric that the code makes, found in the source.

`tools/make_reference.py` writes it with the other pages.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "extauthz"
PREFIX: Final = "extauthz_"

_TYPES: Final = {
    "Counter": "counter",
    "CounterMetricFamily": "counter",
    "Gauge": "gauge",
    "GaugeMetricFamily": "gauge",
    "Histogram": "histogram",
    "HistogramMetricFamily": "histogram",
}

_HEAD: Final = """\
# Metrics

Made by `make docs` from the code; a test keeps it current.

`http://ADDRESS/metrics` in the Prometheus text format, where `telemetry.metrics` of the settings says. With
`server.workers`, that address shows the supervisor with what the keeper and the receiver say of themselves, and worker
N has the port that is N + 1 above it.

Labels are bounded: their values are closed vocabularies (outcomes, reason codes, kinds) or names that the operator
wrote (resources, issuers, streams), never anything from a request.

## What to alert on

| when | because |
| --- | --- |
"""

ALERTS: Final = (
    (
        "increase(extauthz_alarms_total[5m]) > 0",
        "somebody who is not us wrote into the state, a stream reports beyond its authority, or a clock was set",
    ),
    ("extauthz_held_events > 0", "an event waits for a person: `extauthz signals held`"),
    (
        "extauthz_state_beat_age_seconds > 2",
        "the state is about to be too old to be believed (`state.max_staleness`, 5 seconds unless set)",
    ),
    (
        "extauthz_stream_silent_seconds > 300",
        "beyond the stream's `max_silence`, callers of its issuers are refused `signals_stale`",
    ),
    (
        'extauthz_stream_status{status="enabled"} == 0',
        "the transmitter has paused or ended the stream: what happens there is not reported",
    ),
    (
        'rate(extauthz_decisions_total{reason=~"(state|signals)_stale"}[5m]) > 0',
        "what is known may be too old, so requests are refused; by `resource`, whose policy says what happens then",
    ),
    (
        "histogram_quantile(0.99, rate(extauthz_propagation_replica_seconds_bucket[5m])) > 1",
        "other machines learn late of what was taken away",
    ),
    (
        "extauthz_shared_lag_seconds > 2",
        "the shared Redis does not answer, or takes nothing: soon requests are refused `state_stale`",
    ),
    (
        "extauthz_records_failing == 1",
        "decisions cannot be recorded, so allows are refused unless `records.overflow: drop`",
    ),
    ("extauthz_process_up == 0", "a process of ours does not answer and is started anew"),
)
"""Expressions, and why somebody should look."""


@dataclass(frozen=True, slots=True, order=True)
class Family:
    """One metric.

    Attributes:
        name: as the code has it.
        kind: `counter`, `gauge` or `histogram`.
        labels: in order.
        text: what it says.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str

    @property
    def shown(self) -> str:
        """Return its name as queries have it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def families() -> list[Family]:
    """Return every metric by name."""
    return sorted(family for path in PACKAGE.rglob("*.py") for family in families_in(path.read_text("utf-8")))


def families_in(source: str) -> Iterator[Family]:
    """Yield the metrics that a module makes.

    Raises:
        ValueError: one is not made of constants, so that nobody can tell what it is called.
    """
    if PREFIX not in source:
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _TYPES:
            name, text, labels = _read(node)
            yield Family(name, _TYPES[node.func.id], labels, text)


def _read(call: ast.Call) -> tuple[str, str, tuple[str, ...]]:
    positional = call.args
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    labels = named.get("labels")
    if labels is None and len(positional) > 2 and isinstance(positional[2], ast.Tuple):  # noqa: PLR2004 — name, text, labels
        labels = positional[2]
    try:
        name, text = (str(ast.literal_eval(each)) for each in positional[:2])
        return name, text, tuple(ast.literal_eval(labels)) if labels is not None else ()
    except ValueError as error:
        message = f"line {call.lineno}: name, text and labels of a metric are constants"
        raise ValueError(message) from error


def page() -> str:
    """Return the whole page."""
    alerts = [f"| `{when}` | {because} |\n" for when, because in ALERTS]
    rows = ["\n## All of them\n\n| name | type | labels | says |\n| --- | --- | --- | --- |\n"]
    for family in families():
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{family.shown}` | {family.kind} | {labels} | {family.text} |\n")
    rows.append("\nA histogram shows as `NAME_bucket`, `NAME_sum` and `NAME_count`.\n")
    return _HEAD + "".join([*alerts, *rows])
