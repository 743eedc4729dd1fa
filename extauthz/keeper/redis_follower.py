"""Reads what other machines were told, and puts it in force here.

1. First the position, then everything that is there, then what comes after the position: nothing falls in between, and
   what is read twice changes nothing (`state/restrictions.py`).
2. The stream is numbered without gaps. Where a number is missing (we were away for long, or somebody removed entries),
   where the shared state has begun a new life, or our own file is another one, everything is read once more.
3. Read to the end is only what Redis itself has just said: an answer that came in time, within the same life, and
   within the one that we tell in: after a failover one connection may still lead to the server that was cut off.
4. Workers are asked on a thread of their own, so a worker that hangs does not keep this machine from reading on. Others
   hear of a position when every worker here decides by it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import ExtAuthzError
from extauthz.keeper.redis_connection import RedisConnection
from extauthz.keeper.redis_journal import STREAMS, TOGETHER, Journal, Life
from extauthz.keeper.redis_place import Place
from extauthz.keeper.redis_rows import Trust, read_row, shared_seal
from extauthz.keeper.redis_scripts import FOLLOWING
from extauthz.keeper.redis_streams import read_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extauthz.clock import Clock
    from extauthz.config.state import RedisSettings, StateSettings
    from extauthz.keeper.keeper import Keeper
    from extauthz.keeper.redis_journal import Entry
    from extauthz.model.restriction import Restriction
    from extauthz.state.signals import StreamHeard

_log = structlog.get_logger(__name__)

UNVERIFIED_AN_HOUR: Final = 1000
"""Rows without a MAC that are believed at most: who can write to Redis must not be able to fill our disk."""

RETRY_SECONDS: Final = 0.05
"""After something went wrong; attempts to connect are further apart."""

CONFIRM_SECONDS: Final = 2.0
"""How long the workers of this machine are waited for before they are asked once more."""

_HOUR: Final = 3600.0
_ALARMS_REMEMBERED: Final = 1024


class _OtherLifeError(ExtAuthzError):
    """What we know about the shared state is about another one: read everything."""


class RedisFollower:
    """Two threads: one reads, one asks the workers. `start` once, then `stop` once.

    Args:
        redis: where.
        state: of this machine.
        key: that machines share.
        clock: of the server.
        keeper: puts in force.
        beat: seconds within which Redis must have answered.
        told_life: returns the life in which this machine tells the others now; None when it does not.
        on_other_life: called when we read in another one.
        on_confirmed: called with the life and the position that every worker here decides by.
    """

    def __init__(  # noqa: PLR0913 — the parts that it joins
        self,
        redis: RedisSettings,
        state: StateSettings,
        key: bytes,
        clock: Clock,
        keeper: Keeper,
        *,
        beat: float,
        told_life: Callable[[], Life | None],
        on_other_life: Callable[[], object],
        on_confirmed: Callable[[Life, int], object],
    ) -> None:
        self._wait = beat / 3
        self._timeout = redis.timeout
        self._keep = state.keep_revocations
        self._key = key
        self._clock = clock
        self._keeper = keeper
        self._told_life = told_life
        self._on_other_life = on_other_life
        self._on_confirmed = on_confirmed
        self._connection = RedisConnection(redis, FOLLOWING, clock, patience=self._wait)
        self._journal = Journal(self._connection, redis.prefix)
        self._place = Place(keeper, clock, "redis read")
        self._life: Life | None = None
        self._position = 0
        self._failing = False
        self._unverified = 0
        self._hour = clock.monotonic()
        self._alarmed: dict[bytes, None] = {}
        self._at_end = float("-inf")
        self._threads = [
            threading.Thread(target=self._run, name="redis read", daemon=True),
            threading.Thread(target=self._run_confirming, name="redis confirm", daemon=True),
        ]
        # Everything below is read and written under this lock only.
        self._lock = threading.Condition()
        self._stopping = False
        self._wanted: tuple[Life, int, int] | None = None

    @property
    def at_end(self) -> float:
        """Return when the stream was last read to its end, in seconds since the machine started."""
        return self._at_end

    @property
    def life(self) -> Life | None:
        """Return the life that is read in; None when it is not known."""
        return self._life

    def start(self) -> None:
        """Begin to read."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Read no more, and return when nothing is under way."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        self._resume()
        while not self._stopping:
            try:
                self._follow()
            except _OtherLifeError as reason:
                _log.warning("everything in the shared Redis is read anew", reason=str(reason))
                self._life = None
            except ExtAuthzError as error:
                self._fail(str(error))
            except Exception:  # noqa: BLE001 — this thread must outlive what nobody foresaw, or nothing is read again
                _log.exception("reading from the shared Redis failed")
                self._fail("an error of ours, see above")
                self._life = None
            self._pause(max(RETRY_SECONDS, self._connection.pause))
        self._connection.close()

    def _resume(self) -> None:
        """Go on where the last run stopped, if it was in the same life."""
        try:
            place = self._place.read()
            life = Life(str(place["incarnation"]), str(place["server"]))
            self._position, self._life = int(place["position"]), life
            self._keep_place(life, now=True)
        except (ExtAuthzError, KeyError, ValueError):
            self._life = None

    def _follow(self) -> None:
        """Read until something goes wrong or it is time to stop."""
        life, newest = self._journal.begin()
        if life != self._life or newest < self._position:
            self._read_everything(life, newest)
        else:
            self._verify_own_file()
            # What was read in the last run is in the file, and nobody has heard yet that it is decided by in this one.
            self._want(life, self._position, self._apply(life, ()))
        while not self._stopping:
            self._verify_own_file()
            if self._told_life() not in {None, life}:
                self._connection.close()
                self._on_other_life()
                message = "we tell and read in two lives of it; both connections are opened anew"
                raise _OtherLifeError(message)
            asked = self._clock.boot()
            incarnation, entries = self._journal.read_after(self._position, self._wait)
            answered = self._clock.boot()
            if incarnation != life.incarnation:
                message = "it has begun anew"
                raise _OtherLifeError(message)
            self._take_over(life, entries)
            if len(entries) < TOGETHER and answered - asked <= self._wait + self._timeout:
                # Else the machine slept meanwhile, and the answer may be as old as that.
                self._at_end = answered
                self._recover()
            self._keep_place(life)

    def _read_everything(self, life: Life, newest: int) -> None:
        self._life = None
        # First read and last put in force: who is said to have been heard by then was told of what was heard.
        streams = [stream for texts in self._journal.read_all(STREAMS) for stream in self._hear(life, texts)]
        for texts in self._journal.read_all():
            self._apply(life, texts)
            if self._stopping:
                return
        number = self._apply(life, (), streams)
        self._life, self._position = life, newest
        self._want(life, newest, number)
        self._keep_place(life, now=True)
        _log.info("everything in the shared Redis was read", position=newest)

    def _take_over(self, life: Life, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        for number, entry in enumerate(entries, self._position + 1):
            if entry.position != number:
                message = "changes are missing"
                raise _OtherLifeError(message)
        rows = [entry.text for entry in entries if entry.text is not None and entry.kind != STREAMS]
        streams = self._hear(
            life, [entry.text for entry in entries if entry.text is not None and entry.kind == STREAMS]
        )
        number = self._apply(life, rows, streams)
        self._position = entries[-1].position
        self._want(life, self._position, number)

    def _apply(self, life: Life, texts: Sequence[bytes], streams: Sequence[StreamHeard] = ()) -> int:
        """Put in force what can be believed; return the newest change of our file."""
        seal = shared_seal(self._key, life.incarnation)
        at = self._clock.now()
        believed: list[Restriction] = []
        for text in texts:
            arrived = read_row(text, seal, life.incarnation, at, self._keep)
            if arrived.trust is Trust.OURS and arrived.restriction is not None:
                believed.append(arrived.restriction)
            elif arrived.trust is not Trust.OLD:
                self._alarm(text, arrived.trust)
                if arrived.restriction is not None and arrived.restriction.in_force and self._may_believe():
                    believed.append(arrived.restriction)
        return self._keeper.take_over(believed, streams=streams).number

    def _hear(self, life: Life, texts: Sequence[bytes]) -> list[StreamHeard]:
        """Return what other machines of ours say of streams."""
        seal = shared_seal(self._key, life.incarnation)
        at = self._clock.now()
        arrived = [(text, *read_stream(text, seal, life.incarnation, at)) for text in texts]
        for text, trust, _ in arrived:
            if trust is Trust.FORGED:
                self._alarm(text, trust)
        return [stream for _, _, stream in arrived if stream is not None]

    def _may_believe(self) -> bool:
        """Return whether one more row without a MAC is believed."""
        now = self._clock.monotonic()
        if now - self._hour > _HOUR:
            self._hour, self._unverified = now, 0
        self._unverified += 1
        return self._unverified <= UNVERIFIED_AN_HOUR

    def _alarm(self, text: bytes, trust: Trust) -> None:
        """Say once about each row that it is not ours."""
        if text in self._alarmed:
            return
        while len(self._alarmed) >= _ALARMS_REMEMBERED:
            self._alarmed.pop(next(iter(self._alarmed)))
        self._alarmed[text] = None
        done = "it only takes away, and stands apart" if trust is Trust.NARROWS else "it is ignored"
        self._keeper.alarm(f"a row of the shared Redis was not written by a machine that has our key: {done}")

    def _verify_own_file(self) -> None:
        with self._keeper.reading() as query:
            ours = self._place.is_ours(query)
        if not ours:
            message = "our state file is another one"
            raise _OtherLifeError(message)

    def _keep_place(self, life: Life, *, now: bool = False) -> None:
        values: dict[str, str | int] = {"incarnation": life.incarnation, "server": life.run, "position": self._position}
        self._place.write(values, now=now)

    def _want(self, life: Life, position: int, number: int) -> None:
        """Have workers asked about what is in force in the file."""
        with self._lock:
            self._wanted = (life, position, number)
            self._lock.notify_all()

    def _run_confirming(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._stopping or self._wanted is not None)
                wanted, self._wanted = self._wanted, None
            if wanted is None or self._stopping:
                return
            life, position, number = wanted
            confirmed = self._keeper.confirm(number, CONFIRM_SECONDS)
            if confirmed.by == confirmed.of:
                self._on_confirmed(life, position)
            else:
                self._want_again(wanted)

    def _want_again(self, wanted: tuple[Life, int, int]) -> None:
        """Have workers asked once more, unless something newer is wanted by then."""
        with self._lock:
            if self._wanted is None:
                self._wanted = wanted
            self._lock.wait_for(lambda: self._stopping, RETRY_SECONDS)

    def _fail(self, problem: str) -> None:
        if not self._failing:
            _log.error("the shared Redis cannot be read; what other machines are told is not known", problem=problem)
        self._failing = True

    def _recover(self) -> None:
        if self._failing:
            _log.info("the shared Redis is read again")
        self._failing = False

    def _pause(self, seconds: float) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._stopping, seconds)
