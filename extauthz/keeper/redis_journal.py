"""What machines say to one another through Redis: the commands, and what their answers mean. No threads, no decisions.

A life of the shared state is one incarnation on one run of the server: whatever begins anew, an empty Redis, a restored
one, or another that took over, may know less than was known before, so it is another life.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from extauthz.errors import SharedStoreError
from extauthz.ids import new_random_bytes
from extauthz.keeper.redis_scripts import BEAT, BEGIN, PUBLISH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extauthz.keeper.redis_connection import RedisConnection, Word
    from extauthz.keeper.redis_rows import Row

KEEP_ENTRIES: Final = 50_000
"""About so many changes stay in the stream; who was away for longer reads everything once."""

LEEWAY_SECONDS: Final = 300
"""How far the clocks of machines and Redis may differ before rows are taken for nonsense, or forgotten too early."""

FORGET_NODES: Final = 600.0
"""Seconds after which a machine that says nothing is forgotten."""

TOGETHER: Final = 256
"""Rows of one command: Redis does nothing else meanwhile."""

_INCARNATION_BYTES: Final = 16
RESTRICTIONS: Final = "restrictions"
STREAMS: Final = "streams"
"""The kinds of rows that there are: what was taken away from somebody, and how streams of signals fare."""

_KINDS: Final = {kind.encode(): kind for kind in (RESTRICTIONS, STREAMS)}


class Life(NamedTuple):
    """One life of the shared state.

    Attributes:
        incarnation: of the shared state.
        run: of the server.
    """

    incarnation: str
    run: str


class Entry(NamedTuple):
    """One change in the stream.

    Attributes:
        position: of the change.
        text: the row; all that there is of an entry that we do not write; None for the beginning of an incarnation.
        kind: of the row, as the entry says.
    """

    position: int
    text: bytes | None
    kind: str = RESTRICTIONS


class Pulse(NamedTuple):
    """What a beat brings back.

    Attributes:
        incarnation: of the shared state; empty when there is none.
        position: the newest change.
        nodes: what every machine said last, with how many seconds ago.
    """

    incarnation: str
    position: int
    nodes: dict[str, tuple[bytes, float]]


class Journal:
    """The shared state through one connection; for one thread at a time.

    Args:
        connection: that has loaded the scripts `FOLLOWING`.
        prefix: of all keys.
    """

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        self._connection = connection
        self._incarnation, self._journal, self._nodes = (
            f"{prefix}:{name}" for name in ("incarnation", "journal", "nodes")
        )
        self._rows = {kind: f"{prefix}:{kind}" for kind in (RESTRICTIONS, STREAMS)}

    def begin(self) -> tuple[Life, int]:
        """Return the life of the shared state and the position of its newest change; begin one when there is none.

        Raises:
            SharedStoreError: it does not answer. So do all methods.
        """
        candidate = new_random_bytes(_INCARNATION_BYTES).hex()
        answer = self._connection.ask(*BEGIN.call((self._incarnation, self._journal), candidate))
        match answer:
            case [bytes() as incarnation, int() as position]:
                return Life(incarnation.decode("ascii", "replace"), self._connection.server.run), position
        raise _strange()

    def publish(self, life: Life, node: str, rows: Sequence[Row], kind: str = RESTRICTIONS) -> int | None:
        """Write rows, all or none; return the position that contains them, None when the life is another one."""
        words: list[Word] = [life.incarnation, kind, node, KEEP_ENTRIES, LEEWAY_SECONDS]
        for row in rows:
            words += [row.field, repr(row.at), "" if row.until is None else repr(row.until), row.text]
        keys = (self._incarnation, self._journal, self._rows[kind], f"{self._rows[kind]}:ends")
        answer = self._connection.ask(*PUBLISH.call(keys, *words))
        match answer:
            case [int() as position, int()]:
                return position if position and self._connection.server.run == life.run else None
        raise _strange()

    def beat(self, node: str, says: bytes) -> Pulse:
        """Say how far this machine is, and return what there is to know."""
        keys = (self._incarnation, self._journal, self._nodes)
        answer = self._connection.ask(*BEAT.call(keys, node, says, FORGET_NODES))
        match answer:
            case [bytes() as incarnation, int() as position, int() as now, list() as heard]:
                nodes = dict(_read_nodes(heard, now))
                return Pulse(incarnation.decode("ascii", "replace"), position, nodes)
        raise _strange()

    def leave(self, node: str) -> None:
        """Say that this machine is gone, so that nobody waits for it."""
        self._connection.ask("HDEL", self._nodes, node)

    def read_all(self, kind: str = RESTRICTIONS) -> Iterator[list[bytes]]:
        """Yield every row of a kind that is there from beginning to end, and perhaps newer ones, some at a time."""
        cursor = b"0"
        while True:
            match self._connection.ask("HSCAN", self._rows[kind], cursor, "COUNT", TOGETHER):
                case [bytes() as cursor, list() as found]:
                    yield [text for text in found[1::2] if isinstance(text, bytes)]
                case _:
                    raise _strange()
            if cursor == b"0":
                return

    def read_after(self, position: int, wait: float) -> tuple[str, list[Entry]]:
        """Return the incarnation and the changes after `position`; wait for one when there is none.

        Args:
            position: what is known.
            wait: seconds at most.
        """
        read = (
            "XREAD",
            "COUNT",
            TOGETHER,
            "BLOCK",
            max(1, int(wait * 1000)),
            "STREAMS",
            self._journal,
            f"{position}-0",
        )
        answer, incarnation = self._connection.ask_all([read, ("GET", self._incarnation)])
        match answer:
            case None:
                entries: list[Entry] = []
            case [[bytes(), list() as found]]:
                entries = [_read_entry(each) for each in found]
            case _:
                raise _strange()
        return incarnation.decode("ascii", "replace") if isinstance(incarnation, bytes) else "", entries


def _read_entry(entry: Any) -> Entry:
    match entry:
        case [bytes() as name, list() as pairs]:
            number, _, rest = name.partition(b"-")
            fields = dict(zip(pairs[::2], pairs[1::2], strict=False))
            kind = _KINDS.get(fields.get(b"kind", b""))
            text = None
            if b"begin" not in fields:
                # What is of no kind that we write is no row either, and whoever reads it raises the alarm.
                text = fields.get(b"row", b"") if kind is not None else b" ".join(pairs)
            if number.isdigit() and rest == b"0":
                return Entry(int(number), text, kind or RESTRICTIONS)
    raise _strange()


def _read_nodes(heard: list[Any], now: int) -> Iterator[tuple[str, tuple[bytes, float]]]:
    """Yield what each machine said, and how many seconds ago."""
    for node, said in zip(heard[::2], heard[1::2], strict=True):
        at, _, says = said.partition(b" ")
        if at.isdigit():
            yield node.decode("ascii", "replace"), (says, (now - int(at)) / 1000)


def _strange() -> SharedStoreError:
    return SharedStoreError("the shared Redis answers what is not ours; is `prefix` used by another program?")
