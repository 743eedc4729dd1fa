"""How decisions see the state file: as new as it is at every look, whichever process changed it.

1. Whoever asks for epochs has the file looked at first (`state/follower.py`, some microseconds). A decision asks
   before it looks for facts, and again whenever it is found among the kept ones. So what was committed is in force.
2. Restrictions and facts are looked up in the file when a decision needs them. In memory are only the epochs of what
   has changed (`nameepochs.py`), the API keys, and what was heard last (`freshness.py`). A look takes a bounded time.
3. A look up sees the file as it is, which may be newer than the epochs that were noted before, and is never older.
4. While the file cannot be read nothing is known: facts and restrictions are refused, and no two readings of an epoch
   are the same, so no kept decision holds.
5. Epochs are numbered here and none is used twice, whatever numbers a restored file brings. Another file, one that went
   back in time, and a wall clock that has jumped are new beginnings: another epoch for everything.
"""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import structlog

from extauthz.errors import Refusal, StateError
from extauthz.model.reason import Reason
from extauthz.model.standing_facts import Risk
from extauthz.model.state import STANDING, StateName
from extauthz.server.apikeys import ApiKeys
from extauthz.server.nameepochs import MAX_CHANGES, NameEpochs
from extauthz.state.changes import read_numbers
from extauthz.state.facts import find_fact, read_changed_facts
from extauthz.state.follower import Follower, Seen
from extauthz.state.restrictions import find_restrictions, read_changed_marks
from extauthz.state.seal import Seal, read_incarnation
from extauthz.state.sessions import find_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from extauthz.clock import Clock, Instant
    from extauthz.model.restriction import Mark, Restriction
    from extauthz.ports import ApiKey
    from extauthz.server.freshness import Freshness

_log = structlog.get_logger(__name__)

_Found = TypeVar("_Found")

_RETRY_SECONDS: Final = 0.1
"""Shortest time between two attempts at a file that cannot be read, so that attempts do not cost every decision."""

_UNHEARD: Final = -1
"""Number of the restrictions of a file that was never read."""


Warned = Literal["forged_row", "clock_jump"]
"""What metrics count: a record that was not written by us, a clock that was set."""


def _tell_nobody(_: Warned) -> None: ...


class StateView:
    """A state file as decisions see it. Use it from any thread.

    Implements `ports.RestrictionSource`, `ports.StateSource` and `ports.ApiKeySource`.

    Args:
        path: of the file.
        key: that its records are sealed with.
        clock: of the server.
        freshness: what is expected of the beat and of streams.
        on_alarm: told what metrics count.

    Attributes:
        epochs: readers by kind, for `Epochs`; call `freshen` before.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        clock: Clock,
        freshness: Freshness,
        on_alarm: Callable[[Warned], object] = _tell_nobody,
    ) -> None:
        self._follower = Follower(path)
        self._key = key
        self._clock = clock
        self._freshness = freshness
        self._on_alarm = on_alarm
        self._numbers = count(1)
        self._seal: Seal | None = None
        self._api_keys = ApiKeys()
        self._restrictions = NameEpochs()
        self._facts = NameEpochs()
        # Everything above is changed, and everything below read and changed, under this lock only.
        self._lock = threading.Lock()
        self._incarnation = b""
        self._retry_at = clock.monotonic()
        self.epochs: dict[str, Callable[[str], int]] = {
            **{kind: self._reader(self._fact_reader(kind)) for kind in STANDING},
            "api_key": self._reader(self._api_keys.epochs.epoch),
            "restriction": self._reader(self._restrictions.epoch),
            "freshness": self._reader(self._freshness.epoch),
        }

    @property
    def keys(self) -> int:
        """Return how many API keys there are, expired and revoked ones included."""
        return len(self._api_keys.keys)

    @property
    def failing(self) -> bool:
        """Return whether the file could not be read the last time."""
        return self._seal is None

    @property
    def number(self) -> int:
        """Return the newest change of restrictions that decisions go by."""
        return self._restrictions.number if self._seal is not None else _UNHEARD

    def freshen(self) -> int:
        """Look at file and clocks; return the newest change of restrictions that decisions go by, -1 for unknown."""
        with self._lock:
            self._look()
            return self.number

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._follower.close()
            self._seal = None

    def find_api_key(self, key_id: str) -> ApiKey | None:
        """Return the key; see `ports.ApiKeySource`.

        Raises:
            Refusal: the keys are not known at the moment.
        """
        if self._seal is None:
            raise _unreadable()
        return self._api_keys.keys.get(key_id)

    def find_restrictions(self, marks: Sequence[Mark], at: Instant) -> tuple[Restriction, ...]:
        """Return what is in force on any of `marks`; see `ports.RestrictionSource`."""
        return self._read(lambda seal: find_restrictions(self._follower.read, marks, seal, at, on_alarm=self._forged))

    def is_state_fresh(self, at: Instant) -> bool:
        """Return whether somebody keeps the state up; see `ports.RestrictionSource`."""
        return self._freshness.is_state_fresh(at)

    def are_signals_fresh(self, issuer: str, at: Instant) -> bool:
        """Return whether everybody who reports about callers of an issuer is heard; see `ports.RestrictionSource`."""
        return self._freshness.are_signals_fresh(issuer, at)

    def silent_streams(self) -> tuple[str, ...]:
        """Return the streams on which nothing is heard, as the file says now."""
        self.freshen()
        return self._freshness.silent_streams(self._clock.now())

    def find_state(self, name: StateName, at: Instant) -> object | None:
        """Return a fact; see `ports.StateSource`. The risk of whom nobody reports is what their stream says to assume.

        Raises:
            Refusal: facts cannot be read at the moment.
        """
        if name.kind == "session":
            issuer, _, session = name.of.partition(" ")
            return self._read(lambda _: find_session(self._follower.read, issuer, session))
        found = self._read(lambda seal: find_fact(self._follower.read, name, seal, at, on_alarm=self._forged))
        if name.kind == "risk" and not isinstance(found, Risk):
            return self._freshness.find_assumed_risk(name.of.partition(" ")[0], at)
        return found

    def _read(self, read: Callable[[Seal], _Found]) -> _Found:
        """Return what a reading of the file finds.

        Raises:
            Refusal: it cannot be read.
        """
        with self._lock:
            if self._seal is None:
                raise _unreadable()
            try:
                return read(self._seal)
            except StateError as error:
                self._fail(error)
                raise _unreadable() from error

    def _fact_reader(self, kind: str) -> Callable[[str], int]:
        return lambda of: self._facts.epoch(f"{kind} {of}")

    def _reader(self, read: Callable[[str], int]) -> Callable[[str], int]:
        """Return a reader of epochs: those that are held, or while nothing can be read another one each time."""
        return lambda of: self._next_epoch() if self._seal is None else read(of)

    def _look(self) -> None:
        """Bring everything up to the file and the clocks as they are now."""
        if self._seal is None and self._clock.monotonic() < self._retry_at:
            return
        whole = False
        try:
            seen = self._follower.look()
            if seen is Seen.REPLACED or self._seal is None:
                self._begin()
            elif seen is Seen.CHANGED:
                self._go_on(self._seal)
            whole = True
        except StateError as error:
            self._fail(error)
            return
        finally:
            if not whole:
                self._seal = None  # Whatever went wrong: what was half done must be begun anew.
        if self._freshness.has_jumped():
            _log.warning("the wall clock was set; everything is decided anew")
            self._on_alarm("clock_jump")
            self._freshness.begin(self._next_epoch())
        self._freshness.notice(self._next_epoch)

    def _begin(self) -> None:
        """Read what is held: the first time, from another file, or after a failure."""
        query = self._follower.read
        epoch = self._next_epoch()
        numbers = read_numbers(query)
        self._incarnation = read_incarnation(query)
        seal = Seal(self._key, self._incarnation)
        self._api_keys.begin(query, seal, self._forged, epoch)
        self._restrictions.begin(numbers["restriction"], epoch)
        self._facts.begin(numbers["fact"], epoch)
        self._freshness.read(query)
        self._freshness.begin(epoch)
        self._seal = seal
        _log.info("state read", restrictions=numbers["restriction"], facts=numbers["fact"])

    def _go_on(self, seal: Seal) -> None:
        """Read what has changed since; everything when the file is another one, or went back in time."""
        query = self._follower.read
        numbers = read_numbers(query)
        parts = {
            "api_key": self._api_keys.epochs.number,
            "restriction": self._restrictions.number,
            "fact": self._facts.number,
        }
        if read_incarnation(query) != self._incarnation or any(numbers[kind] < known for kind, known in parts.items()):
            self._begin()
            return
        self._freshness.read(query)
        if numbers["api_key"] != parts["api_key"]:
            self._api_keys.go_on(query, seal, self._forged, self._next_epoch())
        if numbers["restriction"] != parts["restriction"]:
            marks = read_changed_marks(query, parts["restriction"], MAX_CHANGES)
            self._restrictions.go_on(marks.number, marks.names, self._next_epoch())
        if numbers["fact"] != parts["fact"]:
            facts = read_changed_facts(query, parts["fact"], MAX_CHANGES)
            names = None if facts.names is None else [f"{name.kind} {name.of}" for name in facts.names]
            self._facts.go_on(facts.number, names, self._next_epoch())

    def _fail(self, error: StateError) -> None:
        """Know nothing until the file can be read again."""
        if self._seal is not None:
            _log.error("the state cannot be read", problem=str(error))
        self._seal = None
        self._retry_at = self._clock.monotonic() + _RETRY_SECONDS

    def _forged(self, sentence: str) -> None:
        _log.error("a record of the state was not written by us", problem=sentence)
        self._on_alarm("forged_row")

    def _next_epoch(self) -> int:
        return next(self._numbers)


def _unreadable() -> Refusal:
    return Refusal(Reason.EVIDENCE_UNAVAILABLE, "Try again shortly.", inner="the state cannot be read")
