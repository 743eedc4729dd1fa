"""Fetching a stream's events (RFC 8936). One thread for each stream, in the process that keeps the state.

1. An event is acknowledged when the desk has accepted it, so after it is durable and in force; one that is refused is
   reported (`setErrs`); one that cannot be taken now is neither, so it comes again. So does everything after a restart:
   the desk knows events again.
2. After a poll that brought something new the next one goes out at once, with the acknowledgements, whether or not
   there is said to be more. One that brought nothing new has the next wait, whatever it says: `poll.interval` after its
   own beginning, so that a transmitter that holds polls open is asked again at once.
3. A poll may be held open (`returnImmediately: false`). One that was not answered in time may have been held for too
   long: the next asks for an answer at once. If that is not answered either, the transmitter fails.
4. A transmitter that fails is asked again after a pause that doubles up to a minute, shortened by chance so that many
   receivers do not come back at one moment; or as it says (`Retry-After`).
5. The access token is read from its file for every poll.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from extauthz.errors import AnswerError, FetchError, StrictJsonError
from extauthz.limits import MAX_EVENT_ID_CHARACTERS, MAX_POLL_BYTES
from extauthz.receiver.backoff import Backoff, retry_after
from extauthz.receiver.bearer import bearer_of
from extauthz.receiver.desk import ACCEPTED, REFUSED, word_of
from extauthz.server.breaker import random_share
from extauthz.server.fetch import Ask
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.clock import Clock
    from extauthz.config.signals import PollSettings
    from extauthz.receiver.desk import Desk
    from extauthz.server.fetch import Fetch, Reply

_log = structlog.get_logger(__name__)

_OK: Final = 200
_STATUSES: Final = frozenset({_OK, 429, 503})
_HELD: Final = 0.9
"""Share of the time for a poll after which one without an answer may have been held open."""
_NOT_A_TOKEN: Final = {"err": "invalid_request", "description": "This is not a security event token."}


@dataclass(slots=True)
class _Owed:
    """What the transmitter is told with the next poll."""

    ack: list[str] = field(default_factory=list)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)


class Poller:
    """Fetches one stream's events. Used by one thread at a time.

    Args:
        stream: its name.
        settings: where from, and how often.
        fetch: the way out.
        desk: takes events.
        clock: only its monotonic side is read.
        plain_http: whether `http` is allowed beyond loopback.
        chance: returns a factor for a pause, between 0.5 and 1.
        stopping: set when no more events are to be taken.
    """

    def __init__(  # noqa: PLR0913 — each is an argument of its own
        self,
        stream: str,
        settings: PollSettings,
        *,
        fetch: Fetch,
        desk: Desk,
        clock: Clock,
        plain_http: bool = False,
        chance: Callable[[], float] = random_share,
        stopping: threading.Event | None = None,
    ) -> None:
        self._stream = stream
        self._settings = settings
        self._fetch = fetch
        self._desk = desk
        self._clock = clock
        self._plain_http = plain_http
        self._stopping = stopping or threading.Event()
        self._backoff = Backoff(chance)
        self._owed = _Owed()
        self._before: frozenset[str] = frozenset()
        self._holds = True
        """Whether the transmitter may hold the next poll open."""

    def step(self) -> float:
        """Poll once; return the seconds to wait before the next poll. Never raises an error of ours."""
        began = self._clock.monotonic()
        try:
            reply = self._poll()
            if reply.status != _OK:
                return self._failed(f"answered with status {reply.status}", at_least=retry_after(reply.headers))
            answer = _read(reply)
        except FetchError as error:
            if isinstance(error, AnswerError):
                self._owed = _Owed()  # What it complains of may be what it was told; events come again without it.
            if self._holds and self._clock.monotonic() - began >= _HELD * self._settings.timeout:
                self._holds = False
                return 0.0
            return self._failed(str(error))
        self._holds = True
        self._owed = _Owed()
        if not self._take(answer):
            return self._backoff.failed()
        if self._backoff.succeeded():
            _log.info("the transmitter answers again", stream=self._stream)
        news = frozenset(answer) - self._before
        self._before = frozenset(answer)
        if news:
            return 0.0
        return max(0.0, self._settings.interval - (self._clock.monotonic() - began))

    def _poll(self) -> Reply:
        settings = self._settings
        document: dict[str, Any] = {"maxEvents": settings.max_events, "returnImmediately": not self._holds}
        if self._owed.ack:
            document["ack"] = self._owed.ack
        if self._owed.errors:
            document["setErrs"] = self._owed.errors
        return self._fetch(
            Ask(
                url=settings.url,
                timeout=settings.timeout,
                max_bytes=MAX_POLL_BYTES,
                plain_http=self._plain_http,
                headers=bearer_of(settings.token_file),
                document=document,
                statuses=_STATUSES,
            )
        )

    def _take(self, sets: Mapping[str, Any]) -> bool:
        """Hand over events, in the order in which they came; return whether the desk took them all, or refused them.

        More of them than were asked for are left: they come again.
        """
        for name, token in list(sets.items())[: self._settings.max_events]:
            if self._stopping.is_set():
                return False
            if not isinstance(token, str):
                self._owed.errors[name] = _NOT_A_TOKEN
                continue
            word = word_of(self._desk, self._stream, token)
            if word.status == ACCEPTED:
                self._owed.ack.append(name)
            elif word.status == REFUSED:
                _log.info("an event was refused", stream=self._stream, err=word.err, description=word.description)
                self._owed.errors[name] = {"err": word.err, "description": word.description}
            else:
                # What follows may lift what this one would have taken away, so it waits too.
                return False
        return True

    def _failed(self, problem: str, *, at_least: float = 0.0) -> float:
        """Note a poll that brought nothing; return the seconds to wait."""
        pause = max(self._backoff.failed(), at_least)
        _log.warning("events could not be fetched", stream=self._stream, problem=problem, again_in=round(pause, 1))
        return pause


def _read(reply: Reply) -> dict[str, Any]:
    """Return the events of an answer: name → token.

    Raises:
        FetchError: it is no answer to a poll.
    """
    try:
        document = load_object(reply.body, max_bytes=MAX_POLL_BYTES)
    except StrictJsonError:
        message = "the answer is not a strict JSON object"
        raise FetchError(message) from None
    sets = document.get("sets")
    if not isinstance(sets, dict):
        message = "the answer has no `sets`"
        raise FetchError(message)
    if any(not 0 < len(name) <= MAX_EVENT_ID_CHARACTERS for name in sets):
        message = "an event has no name, or one that is too long"
        raise FetchError(message)
    return sets
