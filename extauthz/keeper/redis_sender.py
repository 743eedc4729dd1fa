"""Tells other machines what this one was told, and asks how far they are.

1. The state file is the outbox: what was acknowledged here has a number, and is sent in that order from the last number
   that was sent in this life of the shared state. Nobody who acknowledges waits for Redis.
2. A new life may know less than the one before (`redis_journal.py`). So everything in the file is offered again, what
   others were told first included: one machine that is left is enough. What is there already is not written again.
3. News goes first; what is offered again goes in between, so that a large file holds up no revocation.
4. What is sealed wrongly in our file is never sent: the seal of the shared key would make it true.
5. That a stream was heard is told when all that was heard before is: else others would seem to know what they do not.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import ExtAuthzError
from extauthz.keeper.redis_connection import RedisConnection
from extauthz.keeper.redis_journal import STREAMS, TOGETHER, Journal, Life
from extauthz.keeper.redis_nodes import Sent
from extauthz.keeper.redis_place import Place
from extauthz.keeper.redis_rows import UNVERIFIED, shared_seal, write_row
from extauthz.keeper.redis_scripts import FOLLOWING
from extauthz.keeper.redis_streams import Told
from extauthz.state.changes import RESTRICTION, read_numbers
from extauthz.state.restrictions import read_since
from extauthz.state.seal import open_seal, read_incarnation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extauthz.clock import Clock
    from extauthz.config.state import RedisSettings
    from extauthz.keeper.keeper import Keeper
    from extauthz.keeper.redis_nodes import Nodes
    from extauthz.keeper.redis_rows import Row
    from extauthz.state.restriction_rows import Numbered
    from extauthz.state.signals import StreamHeard

_log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.005
"""Between two looks at other machines, while somebody waits for them."""

RETRY_SECONDS: Final = 0.05
"""After something went wrong; attempts to connect are further apart."""

_NODE_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class _Outbox:
    """How far the file was sent in a life.

    Attributes:
        life: of the shared state.
        news: the newest change of the file that was sent.
        again: the newest change of what is offered again that was sent.
        again_to: the newest change that is offered again.
    """

    life: Life
    news: int
    again: int
    again_to: int


class RedisSender:
    """One thread that sends. `start` once, then `stop` once.

    Args:
        redis: where.
        key: that machines share.
        clock: of the server.
        keeper: whose file is the outbox.
        nodes: where the other machines are.
        beat: seconds within which Redis must have taken what we say.
        silences: for how many seconds a stream may be silent, by name.
        on_new_life: called when the shared state has begun anew while we knew it.
    """

    def __init__(  # noqa: PLR0913 — the parts that it joins
        self,
        redis: RedisSettings,
        key: bytes,
        clock: Clock,
        keeper: Keeper,
        nodes: Nodes,
        *,
        beat: float,
        silences: Mapping[str, float],
        on_new_life: Callable[[], object],
    ) -> None:
        self._key = key
        self._clock = clock
        self._keeper = keeper
        self._nodes = nodes
        self._every = beat / 3
        self._on_new_life = on_new_life
        self._connection = RedisConnection(redis, FOLLOWING, clock)
        self._journal = Journal(self._connection, redis.prefix)
        self._place = Place(keeper, clock, "redis told")
        self._told = Told(silences)
        self._node = ""
        self._life: Life | None = None
        self._outbox: _Outbox | None = None
        self._failing = False
        self._beat_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="redis tell", daemon=True)
        # Everything below is read and written under this lock only.
        self._lock = threading.Condition()
        self._stopping = False
        self._poked = False
        self._doubted = False

    @property
    def beat_at(self) -> float:
        """Return when Redis last took what we say, in seconds since the machine started."""
        return self._beat_at

    @property
    def life(self) -> Life | None:
        """Return the life that is told in; None when nothing is."""
        return self._life

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send what there is, say goodbye, and return when the thread has ended."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        self._thread.join()

    def reconnect(self) -> None:
        """Open another connection, since this one may lead to another server; from any thread."""
        with self._lock:
            self._doubted = self._poked = True
            self._lock.notify_all()

    def poke(self) -> None:
        """Send now; from any thread."""
        with self._lock:
            self._poked = True
            self._lock.notify_all()

    def _run(self) -> None:
        self._attempt(self._resume)
        while not self._stopping:
            self._attempt(self._round)
            self._wait()
        if self._life is not None:
            self._attempt(self._say_goodbye)
        self._connection.close()

    def _attempt(self, step: Callable[[], object]) -> None:
        """Do something; what goes wrong is tried again in a new round."""
        try:
            step()
        except ExtAuthzError as error:
            self._fail(str(error))
        except Exception:  # noqa: BLE001 — this thread must outlive what nobody foresaw, or nobody is told again
            _log.exception("telling other machines failed")
            self._fail("an error of ours, see above")

    def _resume(self) -> None:
        """Go on where the last run stopped; whether that was in the same life is seen later."""
        with self._keeper.reading() as query:
            self._node = read_incarnation(query).hex()[:_NODE_DIGITS]
        place = self._place.read()
        names = ("news", "again", "again_to")
        if {"incarnation", "server", *names} <= place.keys():
            life = Life(str(place["incarnation"]), str(place["server"]))
            self._keep_place(_Outbox(life, *(int(place[name]) for name in names)), now=True)

    def _round(self) -> None:
        """Send news, something of what is offered again, and a beat."""
        with self._lock:
            doubted, self._doubted, self._poked = self._doubted, False, False
        if doubted:
            self._connection.close()
            self._lose()
        life = self._life or self._enter()
        outbox = self._send(self._open_outbox(life))
        if outbox is None or not self._beat(life):
            # It is another life by now: the next round begins with that.
            self._lose()
            return
        self._keep_place(outbox)
        if self._failing:
            _log.info("other machines are told again")
        self._failing = False

    def _enter(self) -> Life:
        life, newest = self._journal.begin()
        outbox = self._outbox
        if outbox is not None and outbox.life != life:
            _log.warning("the shared Redis is another one than before; all that we know is offered to it")
            if outbox.life.incarnation != life.incarnation:
                self._on_new_life()
        self._life = life
        self._nodes.enter(life, newest)
        return life

    def _open_outbox(self, life: Life) -> _Outbox:
        """Return how far our file was sent in this life; in a new one, and when it is another file, not at all."""
        outbox = self._outbox
        with self._keeper.reading() as query:
            if outbox is not None and outbox.life == life and self._place.is_ours(query):
                return outbox
            newest = read_numbers(query)[RESTRICTION]
        outbox = _Outbox(life, newest, 0, newest)
        self._keep_place(outbox, now=True)
        return outbox

    def _send(self, outbox: _Outbox) -> _Outbox | None:
        """Return how far the file was sent; None when it is another life."""
        streams = self._keeper.hearing.read()
        news = self._read(outbox.news)
        own = [row for row in news if row.own]
        again = self._read(outbox.again) if outbox.again < outbox.again_to else ()
        again = tuple(row for row in again if row.number <= outbox.again_to)
        position = None
        for rows in (own, again):
            written = self._write(rows, outbox.life)
            if written:
                position = self._journal.publish(outbox.life, self._node, written)
                if position is None:
                    return None
            if rows is own:
                outbox = replace(outbox, news=news[-1].number if news else outbox.news)
                self._nodes.sent(self._sent(outbox), position)
        outbox = replace(outbox, again=again[-1].number if again else outbox.again_to)
        self._nodes.sent(self._sent(outbox), position)
        if len(news) == TOGETHER or outbox.again < outbox.again_to:
            self.poke()
        elif not self._tell_streams(streams, outbox.life):
            return None
        return outbox

    def _tell_streams(self, streams: Sequence[StreamHeard], life: Life) -> bool:
        """Tell how streams fare; return whether it is still that life."""
        rows = self._told.news(streams, life, shared_seal(self._key, life.incarnation))
        if rows and self._journal.publish(life, self._node, rows, STREAMS) is None:
            return False
        self._told.note(rows)
        return True

    def _read(self, since: int) -> tuple[Numbered, ...]:
        with self._keeper.reading() as query:
            return read_since(query, since, TOGETHER, open_seal(query, self._key))

    def _write(self, rows: Sequence[Numbered], life: Life) -> list[Row]:
        """Return what is sent of `rows`: nothing that is over, that was not ours, or that is sealed wrongly."""
        seal = shared_seal(self._key, life.incarnation)
        now = self._clock.now()
        return [
            write_row(row.restriction, seal, life.incarnation)
            for row in rows
            if row.sealed
            and not row.restriction.source.startswith(UNVERIFIED)
            and (row.restriction.until is None or row.restriction.until > now)
        ]

    def _beat(self, life: Life) -> bool:
        """Say where this machine is, and hear where the others are; return whether it is still that life."""
        asked = self._clock.boot()
        pulse = self._journal.beat(self._node, self._nodes.say(self._node, life))
        if pulse.incarnation != life.incarnation:
            return False
        self._nodes.heard(self._node, life, pulse.nodes)
        self._beat_at = asked
        return True

    def _say_goodbye(self) -> None:
        self._round()
        self._journal.leave(self._node)

    def _keep_place(self, outbox: _Outbox, *, now: bool = False) -> None:
        self._outbox = outbox
        values: dict[str, str | int] = {
            "incarnation": outbox.life.incarnation,
            "server": outbox.life.run,
            "news": outbox.news,
            "again": outbox.again,
            "again_to": outbox.again_to,
        }
        self._place.write(values, now=now)

    def _sent(self, outbox: _Outbox) -> Sent:
        return Sent(outbox.news, offered=outbox.again >= outbox.again_to, before=outbox.again_to)

    def _wait(self) -> None:
        seconds = POLL_SECONDS if self._nodes.waiting and self._life is not None else self._every
        if self._failing:
            seconds = max(RETRY_SECONDS, self._connection.pause)
        with self._lock:
            self._lock.wait_for(lambda: self._stopping or (self._poked and not self._failing), seconds)

    def _lose(self) -> None:
        self._life = None
        self._nodes.lose()

    def _fail(self, problem: str) -> None:
        if not self._failing:
            _log.error("the shared Redis takes nothing; other machines are not told", problem=problem)
        self._failing = True
        self._lose()
