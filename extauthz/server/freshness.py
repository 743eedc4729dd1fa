"""How old what we know may be: the heart-beat of whoever keeps the state, and when streams of signals were heard.

1. A beat holds the wall clock's time and the seconds since the machine started. Both ages have to be right: the wall
   clock can be set, and the other one begins anew when the machine does, so a beat from before shows by it.
2. Freshness ends by mere passing of time. Its epochs change with whether it holds, and no epoch is used twice.
3. Whether it holds is asked at an instant that is never before now: a decision whose instant was read before freshness
   was noticed to have ended must not be kept under the epoch of the time after.
4. A wall clock that has moved against the other one, in one jump or little by little, makes everything that was kept be
   decided anew: what it was kept until was reckoned by another clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extauthz.clock import Instant
from extauthz.model.standing_facts import SCORES, Risk, RiskLevel
from extauthz.model.state import FRESH_STATE, fresh_signals
from extauthz.state.beat import read_beat
from extauthz.state.signals import read_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.state.beat import Beat
    from extauthz.state.follower import Query
    from extauthz.state.signals import StreamHeard

BACKWARDS_SECONDS: Final = 1.0
"""How far ahead of us a beat or a stream may seem to be: clocks are set in small steps all the time."""

JUMP_SECONDS: Final = 1.0
"""How far the wall clock may move against the other one before it counts as another clock."""

_SILENT: Final = frozenset({"paused", "disabled"})
"""What a transmitter says of a stream on which nothing comes any more (SSF 1.0)."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What we expect of a stream.

    Attributes:
        name: of the stream.
        issuers: about whose callers it reports.
        max_silence: seconds after which it counts as not heard; None waits for ever.
        assumed_risk: of callers of whom it has reported none; None when that is not known.
    """

    name: str
    issuers: frozenset[str]
    max_silence: float | None = None
    assumed_risk: RiskLevel | None = None


def expected_streams(settings: Settings) -> tuple[Expected, ...]:
    """Return what settings expect of each stream."""
    return tuple(
        Expected(
            name=stream.name,
            issuers=frozenset(stream.authority.issuers),
            max_silence=stream.max_silence,
            assumed_risk=RiskLevel(stream.assumed_risk) if stream.assumed_risk is not None else None,
        )
        for stream in settings.signals.streams
    )


class Freshness:
    """What was heard last. One thread changes it at a time; any may ask.

    Args:
        clock: the wall clock, and the one that counts from the machine's start.
        max_staleness: seconds that a beat may be old.
        streams: what is expected of them.
    """

    def __init__(self, clock: Clock, max_staleness: float, streams: Iterable[Expected] = ()) -> None:
        self._clock = clock
        self._max_staleness = max_staleness
        self._streams = tuple(streams)
        self._issuers = tuple(dict.fromkeys(issuer for stream in self._streams for issuer in stream.issuers))
        self._beat: Beat | None = None
        self._heard: Mapping[str, StreamHeard] = {}
        self._offset: float | None = None
        self._held: tuple[bool, ...] = ()
        self._beginning = 0
        self._epochs: dict[str, int] = {}

    def read(self, query: Query) -> None:
        """Read what was heard last."""
        self._beat = read_beat(query)
        self._heard = read_streams(query) if self._streams else {}

    def begin(self, epoch: int) -> None:
        """Give all freshness this epoch."""
        self._beginning, self._epochs = epoch, {}

    def has_jumped(self) -> bool:
        """Return whether the wall clock has moved against the other one since that was last said."""
        offset = self._clock.now() - self._clock.boot()
        if self._offset is not None and abs(offset - self._offset) <= JUMP_SECONDS:
            return False
        first, self._offset = self._offset is None, offset
        return not first

    def notice(self, next_epoch: Callable[[], int]) -> None:
        """Give what has become fresh, or stopped being so, another epoch."""
        at = self._clock.now()
        held = (self.is_state_fresh(at), *[self.are_signals_fresh(issuer, at) for issuer in self._issuers])
        if held == self._held:
            return
        names = (FRESH_STATE, *map(fresh_signals, self._issuers))
        before = self._held or (None,) * len(held)
        changed = [name.of for name, was, now in zip(names, before, held, strict=True) if was is not now]
        self._epochs = {**self._epochs, **dict.fromkeys(changed, next_epoch())}
        self._held = held

    def epoch(self, of: str) -> int:
        """Return the epoch of one freshness, as it was noticed last."""
        return self._epochs.get(of, self._beginning)

    def is_state_fresh(self, at: Instant) -> bool:
        """Return whether somebody keeps the state up; see `ports.RestrictionSource`."""
        beat = self._beat
        if beat is None:
            return False
        ages = (self._not_before_now(at) - beat.wall, self._clock.boot() - beat.boot)
        return all(-BACKWARDS_SECONDS <= age <= self._max_staleness for age in ages)

    def are_signals_fresh(self, issuer: str, at: Instant) -> bool:
        """Return whether everybody who reports about callers of an issuer is heard; see `ports.RestrictionSource`."""
        reporting = [stream for stream in self._streams if issuer in stream.issuers]
        if not reporting:
            return True
        now = self._not_before_now(at)
        return all(self._is_heard(stream, now) for stream in reporting)

    def silent_streams(self, at: Instant) -> tuple[str, ...]:
        """Return the streams on which nothing is heard, for people."""
        return tuple(stream.name for stream in self._streams if not self._is_heard(stream, at))

    def find_assumed_risk(self, issuer: str, at: Instant) -> Risk | None:
        """Return the risk of callers of an issuer of whom nobody has reported any; None when that is not known.

        Of several streams the one that assumes most counts.
        """
        assumed = [
            (stream.assumed_risk, self._heard_until(stream))
            for stream in self._streams
            if issuer in stream.issuers and stream.assumed_risk is not None and self._is_heard(stream, at)
        ]
        if not assumed:
            return None
        level, until = max(assumed, key=lambda each: SCORES[each[0]])
        return Risk(score=SCORES[level], level=level, until=Instant(until))

    def _not_before_now(self, at: Instant) -> Instant:
        return max(at, self._clock.now())

    def _is_heard(self, stream: Expected, at: Instant) -> bool:
        heard = self._heard.get(stream.name)
        if heard is not None and heard.status in _SILENT:
            return False
        if stream.max_silence is None:
            return True
        if heard is None or heard.heard_at is None:
            return False
        return -BACKWARDS_SECONDS <= at - heard.heard_at <= stream.max_silence

    def _heard_until(self, stream: Expected) -> float:
        """Return until when a stream that is heard now counts as heard, if nothing comes."""
        heard = self._heard.get(stream.name)
        if stream.max_silence is None or heard is None or heard.heard_at is None:
            return float("inf")
        return heard.heard_at + stream.max_silence
