"""Which sessions are used: noted in memory with each allow, kept ones included, and told to the keeper each second.

Only what is let through is a use: a session that has ended must not be kept alive by being refused. What could not be
told is told the next time. A crash loses at most the last second.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import LinkError, StateError
from extauthz.state.sessions import SessionSeen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extauthz.clock import Instant
    from extauthz.model.decision import Decision
    from extauthz.model.identity import Identity

_log = structlog.get_logger(__name__)

TELL_SECONDS: Final = 1.0
"""Between two tellings."""

MAX_NOTED: Final = 50_000
"""Sessions, by address, that are noted between two tellings; the uses of more are lost, and counted."""

_Key = tuple[str, str, str]
"""Issuer, session, address."""


class _Uses:
    """Uses of one session from one address."""

    __slots__ = ("at", "decisions", "identity")

    def __init__(self, identity: Identity, at: Instant) -> None:
        self.identity = identity
        self.at = at
        self.decisions = 0


class _Noted:
    """What was noted since the last telling.

    Attributes:
        uses: what is to be told.
        seen: the same by the `id` of the decision, which is the same object whenever a kept one is given again. The
            decision is held as well, so that no other one gets that number meanwhile.
    """

    __slots__ = ("seen", "uses")

    def __init__(self) -> None:
        self.uses: dict[_Key, _Uses] = {}
        self.seen: dict[int, tuple[_Uses, Decision]] = {}


class SessionNotes:
    """Notes and tells. Use it from any thread.

    Args:
        tell: takes uses over; raises `LinkError` or `StateError` when it cannot.
        capacity: see `MAX_NOTED`.
    """

    def __init__(self, tell: Callable[[Sequence[SessionSeen]], object], capacity: int = MAX_NOTED) -> None:
        self._tell = tell
        self._capacity = capacity
        # Everything below is read and written under this lock only.
        self._lock = threading.Lock()
        self._noted = _Noted()
        self._lost = 0

    def note(self, decision: Decision, at: Instant) -> None:
        """Note the use of a session, if a decision is one.

        Args:
            decision: made now, or kept from before.
            at: when it was given out.
        """
        with self._lock:
            noted = self._noted
            again = noted.seen.get(id(decision))
            uses = again[0] if again is not None else self._uses_of(decision, noted, at)
            if uses is not None:
                uses.at = at
                uses.decisions += 1

    def _uses_of(self, decision: Decision, noted: _Noted, at: Instant) -> _Uses | None:
        """Return where the uses of a decision are noted; None when it is none, or there is no room."""
        identity, request = decision.identity, decision.request
        if identity is None or request is None or not decision.allowed or not identity.subject.issuer:
            return None
        key = (identity.subject.issuer, session_of(identity), request.source.address)
        uses = noted.uses.get(key)
        if uses is None:
            if len(noted.uses) >= self._capacity:
                self._lost += 1
                return None
            uses = noted.uses[key] = _Uses(identity, at)
        if len(noted.seen) < self._capacity:
            noted.seen[id(decision)] = (uses, decision)
        return uses

    def flush(self) -> None:
        """Tell what was noted since the last telling; what cannot be told waits."""
        with self._lock:
            noted, self._noted = self._noted.uses, _Noted()
            lost, self._lost = self._lost, 0
        if lost:
            _log.warning("uses of sessions are lost: too many at once", uses=lost)
        if not noted:
            return
        try:
            self._tell([_to_seen(key, uses) for key, uses in noted.items()])
        except (LinkError, StateError) as error:
            _log.warning("uses of sessions wait", sessions=len(noted), problem=str(error))
            self._put_back(noted)

    def _put_back(self, noted: dict[_Key, _Uses]) -> None:
        with self._lock:
            now = self._noted.uses
            for key, uses in noted.items():
                newer = now.get(key)
                if newer is not None:
                    newer.decisions += uses.decisions
                elif len(now) < self._capacity:
                    now[key] = uses


def session_of(identity: Identity) -> str:
    """Return the session of a caller; for one without, what stands for it: who it is and by which client."""
    return identity.session or f"{identity.subject.subject} {identity.client}"


def _to_seen(key: _Key, uses: _Uses) -> SessionSeen:
    issuer, session, source = key
    identity = uses.identity
    return SessionSeen(
        issuer=issuer,
        session=session,
        subject=identity.subject.subject,
        client=identity.client,
        tenant=identity.tenant,
        workload=identity.workload,
        device=identity.device,
        source=source,
        at=uses.at,
        decisions=uses.decisions,
    )
