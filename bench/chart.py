"""A bar chart of answers per second, written as SVG by hand."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from bench.contestants import CACHED, COLD, Contestant
from bench.results import Results, Spread, rate

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH: Final = 900
_LEFT: Final = 260
_RIGHT: Final = 90
_TOP: Final = 72
_BAR: Final = 13
_GAP: Final = 12
_OURS: Final = {CACHED: "#0b7285", COLD: "#66b9c7"}
_OTHERS: Final = {CACHED: "#868e96", COLD: "#ced4da"}
_INK: Final = "#212529"
_FONT: Final = "font-family='system-ui, sans-serif'"


def svg(results: Results, everybody: Sequence[Contestant]) -> str:
    """Return the chart: for each server a bar for one token and a bar for new tokens, with the rounds' spread."""
    rows: list[str] = []
    most = max((value.most for one in everybody for _, value in _bars(results, one)), default=1.0)
    y = _TOP
    for one in everybody:
        bars = _bars(results, one)
        if not bars:
            continue
        middle = y + len(bars) * _BAR / 2 + 4
        rows.append(_text(_LEFT - 10, middle, one.title, "end"))
        colours = _OURS if one.name.startswith("extauthz") else _OTHERS
        for workload, value in bars:
            rows.append(_bar(y, value, most, colours[workload]))
            y += _BAR
        y += _GAP
    return "\n".join([*_head(y), *rows, "</svg>"]) + "\n"


def _bars(results: Results, one: Contestant) -> list[tuple[str, Spread]]:
    found = ((workload, results.spread(one.name, workload, rate)) for workload in (CACHED, COLD))
    return [(workload, value) for workload, value in found if value is not None]


def _head(height: int) -> list[str]:
    title = "Checks per second on one core; every answer checked"
    return [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {height}' role='img' aria-label='{title}'>",
        f"<rect width='{_WIDTH}' height='{height}' fill='#ffffff'/>",
        f"<text x='16' y='28' font-size='17' font-weight='600' fill='{_INK}' {_FONT}>{title}</text>",
        *_key(16, _OURS[CACHED], _OTHERS[CACHED], "one token (or a constant answer)"),
        *_key(330, _OURS[COLD], _OTHERS[COLD], "every token seen for the first time"),
    ]


def _key(x: int, ours: str, other: str, text: str) -> list[str]:
    return [
        f"<rect x='{x}' y='42' width='12' height='12' fill='{ours}'/>",
        f"<rect x='{x + 14}' y='42' width='12' height='12' fill='{other}'/>",
        _text(x + 34, 52, text, "start"),
    ]


def _bar(y: float, value: Spread, most: float, colour: str) -> str:
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    width, least, farthest = value.middle * scale, value.least * scale, value.most * scale
    line = y + (_BAR - 1) / 2
    return "\n".join(
        [
            f"<rect x='{_LEFT}' y='{y}' width='{width:.1f}' height='{_BAR - 1}' fill='{colour}'/>",
            f"<path d='M{_LEFT + least:.1f} {line}H{_LEFT + farthest:.1f}' stroke='{_INK}' stroke-width='1.5'/>",
            _text(_LEFT + farthest + 8, y + _BAR - 3, f"{value.middle:,.0f}", "start"),
        ]
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    where = f"x='{x:.1f}' y='{y:.1f}' font-size='12' fill='{_INK}' text-anchor='{anchor}'"
    return f"<text {where} {_FONT}>{escape(text)}</text>"
