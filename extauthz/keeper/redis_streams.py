"""How streams of signals fare, as it travels through Redis: written like restrictions (`redis_rows.py`), and one rule.

1. A row says one thing of one stream: when it was heard last, or what its transmitter said of it.
2. Only a row whose MAC holds counts, also where it narrows. Somebody who writes to Redis could only make us refuse, and
   there is no person who could lift it; a machine with another key leaves the others where they are without it.
3. Nobody is said to have been heard later than now by our clock: what is in the future would count for too long.
4. When a stream was heard is told after everything that was told of it before (`redis_sender.py`), and not each time.
"""

from __future__ import annotations

import json
from hashlib import sha256
from math import isfinite
from typing import TYPE_CHECKING, Final

from extauthz.clock import Instant
from extauthz.errors import StrictJsonError
from extauthz.keeper.redis_rows import Row, Trust, split_row
from extauthz.state.signals import StreamHeard

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extauthz.keeper.redis_journal import Life
    from extauthz.state.seal import Seal

_KIND: Final = "stream"
_FIELD_DIGITS: Final = 32
_LEAST_SECONDS: Final = 1.0
_UNLIMITED: Final = 600.0
"""Of a stream that may be silent for ever: when it was heard is for people only."""


def write_stream(name: str, status: str | None, at: Instant, seal: Seal, incarnation: str) -> Row:
    """Return the row that says that a stream was heard, or with `status` what its transmitter says of it."""
    text = json.dumps({"name": name, "status": status, "at": float(at)}, separators=(",", ":"), ensure_ascii=True)
    mac = seal.seal(_KIND, name, status, float(at)).hex()
    return Row(
        field=sha256(name.encode()).hexdigest()[:_FIELD_DIGITS] + ("h" if status is None else "s"),
        at=float(at),
        until=None,
        text=f"{incarnation} {float(at)!r} {mac} {text}".encode("ascii"),
    )


def read_stream(text: object, seal: Seal, incarnation: str, now: Instant) -> tuple[Trust, StreamHeard | None]:
    """Return what is believed of a row from Redis, and where it is ours what it says."""
    try:
        of, mac, members = split_row(text)
    except (ValueError, StrictJsonError):
        return Trust.FORGED, None
    name, status, at = (members.pop(member, False) for member in ("name", "status", "at"))
    sound = isinstance(name, str) and (status is None or isinstance(status, str)) and isinstance(at, float)
    if members or not sound or not isfinite(at):
        return Trust.FORGED, None
    if of != incarnation:
        return Trust.OLD, None
    if not seal.holds(mac, _KIND, name, status, at):
        return Trust.FORGED, None
    if status is None:
        return Trust.OURS, StreamHeard(name=name, heard_at=min(Instant(at), now))
    return Trust.OURS, StreamHeard(name=name, heard_at=None, status=status, status_at=Instant(at))


class Told:
    """What the others were told in one life of the shared state.

    Args:
        silences: for how many seconds a stream may be silent, by name.
    """

    def __init__(self, silences: Mapping[str, float]) -> None:
        self._silences = silences
        self._life: Life | None = None
        self._told: dict[str, Row] = {}

    def news(self, streams: Iterable[StreamHeard], life: Life, seal: Seal) -> list[Row]:
        """Return what is to be told of how streams fare."""
        if life != self._life:
            self._life, self._told = life, {}
        rows: list[Row] = []
        for stream in streams:
            if stream.heard_at is not None:
                row = write_stream(stream.name, None, stream.heard_at, seal, life.incarnation)
                step = max(_LEAST_SECONDS, self._silences.get(stream.name, _UNLIMITED) / 10)
                rows += [row] if self._is_news(row, step) else []
            if stream.status_at is not None:
                row = write_stream(stream.name, stream.status, stream.status_at, seal, life.incarnation)
                rows += [row] if self._is_news(row, 0.0) else []
        return rows

    def note(self, rows: Iterable[Row]) -> None:
        """Note that rows were told."""
        self._told.update({row.field: row for row in rows})

    def _is_news(self, row: Row, step: float) -> bool:
        told = self._told.get(row.field)
        return told is None or (row.text != told.text and row.at - told.at >= step)
