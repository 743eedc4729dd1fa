"""Has asked what requirements have to have asked: other decision points, and plug-ins that wait. An `EvidenceSource`.

Answers are remembered by what was asked, so long as whoever answered says. One that holds for the decision that asked
only is kept for the moment until that decision looks for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.errors import AnswerError, FetchError, StrictJsonError
from extauthz.limits import MAX_INTROSPECTION_BYTES, MAX_SECRET_BYTES
from extauthz.model.enquiry import Answered
from extauthz.ports import AnswerOf, Fetched
from extauthz.server.answers import Answers
from extauthz.server.breaker import Breaker
from extauthz.server.fetch import Ask
from extauthz.server.remote import Remote
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.clock import Clock
    from extauthz.config.decisionpoints import DecisionPointSettings
    from extauthz.model.enquiry import Enquiry
    from extauthz.ports import Need
    from extauthz.server.breaker import State
    from extauthz.server.fetch import Fetch

ONCE_SECONDS: Final = 10.0
"""How long an answer that is for one decision waits for that; decisions have far less time."""

PLUGIN_SLOTS: Final = 8
PLUGIN_ANSWERS: Final = 10_000
EXTERNAL: Final = "external"
PLUGIN: Final = "plugin"


class Enquirers:
    """Everybody who can be asked: a `ports.AnswerSource`, and what asks for it. Use it from any thread.

    Args:
        points: other decision points by name.
        plugins: kinds of plug-ins that wait.
        fetch: the way out.
        clock: for ages and deadlines.
        on_asked: called after every question; must not raise.
    """

    def __init__(
        self,
        points: Mapping[str, DecisionPointSettings],
        plugins: tuple[str, ...],
        *,
        fetch: Fetch,
        clock: Clock,
        on_asked: Callable[[str, str, Fetched], None],
    ) -> None:
        self._asked: dict[tuple[str, str], _Asked] = {
            (EXTERNAL, name): _DecisionPoint(name, settings, fetch, clock, on_asked)
            for name, settings in points.items()
        }
        self._asked.update({(PLUGIN, kind): _Plugin(kind, clock, on_asked) for kind in plugins})

    def find_answer(self, enquiry: Enquiry, at: Instant) -> Answered | None:
        """Return what was answered, from memory; see `ports.AnswerSource`."""
        asked = self._asked.get((enquiry.kind, enquiry.of))
        return asked.find(enquiry.digest, at) if asked is not None else None

    def epoch(self, of: str) -> int:
        """Return the epoch of an answer, by `KIND NAME DIGEST`; see `ports.EpochView`."""
        kind, name, digest = of.split(" ")
        asked = self._asked.get((kind, name))
        return asked.answers.epoch(digest) if asked is not None else -1

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Ask within `timeout` seconds; see `ports.EvidenceSource`."""
        if not isinstance(need, AnswerOf):
            return Fetched.UNAVAILABLE
        asked = self._asked.get((need.enquiry.kind, need.enquiry.of))
        return asked.fetch(need.enquiry, timeout) if asked is not None else Fetched.UNAVAILABLE

    def breakers(self) -> Mapping[str, State]:
        """Return whether each decision point is asked at this moment, for the metrics."""
        return {name: asked.breaker.state for (kind, name), asked in self._asked.items() if kind == EXTERNAL}


class _Asked(ABC):
    """Somebody who is asked."""

    def __init__(  # noqa: PLR0913, PLR0917 — who it is, how many may ask, and who is told
        self,
        kind: str,
        name: str,
        slots: int,
        capacity: int,
        clock: Clock,
        on_asked: Callable[[str, str, Fetched], None],
    ) -> None:
        self.answers: Answers[Answered] = Answers(capacity)
        self.breaker = Breaker(clock)
        self._clock = clock
        self._remote = Remote(
            f"{kind} {name}",
            clock=clock,
            slots=slots,
            breaker=self.breaker,
            on_fetch=lambda outcome: on_asked(kind, name, outcome),
        )

    def find(self, digest: str, at: Instant) -> Answered | None:
        """Return the answer that may be used at `at`."""
        answered = self.answers.find(digest)
        if answered is None:
            return None
        until = answered.until if answered.until is not None else answered.asked_at + ONCE_SECONDS
        # One from the future is from before the clock was set back: its age is not known.
        return answered if answered.asked_at <= at < until else None

    def fetch(self, enquiry: Enquiry, timeout: float) -> Fetched:
        """Ask, unless an answer that lasts came meanwhile."""
        now = self._clock.now()
        known = self.find(enquiry.digest, now)
        if known is not None and known.until is not None:
            return Fetched.DONE
        return self._remote.fetch(enquiry.digest, lambda began: self._keep(enquiry, began), timeout, now)

    def _keep(self, enquiry: Enquiry, began: Instant) -> None:
        answered = self.ask(enquiry, began)
        known = self.answers.find(enquiry.digest)
        if known is None or known.asked_at <= began or known.asked_at > self._clock.now():
            self.answers.keep(enquiry.digest, answered, same=known is not None and known.said == answered.said)

    @abstractmethod
    def ask(self, enquiry: Enquiry, began: Instant) -> Answered:
        """Return the answer.

        Raises:
            ExtAuthzError: there is none that we can use.
        """
        ...


class _DecisionPoint(_Asked):
    """Another decision point (AuthZEN 1.0, section 6)."""

    def __init__(
        self,
        name: str,
        settings: DecisionPointSettings,
        fetch: Fetch,
        clock: Clock,
        on_asked: Callable[[str, str, Fetched], None],
    ) -> None:
        super().__init__(EXTERNAL, name, settings.slots, settings.cached_answers, clock, on_asked)
        self._settings = settings
        self._fetch = fetch

    def ask(self, enquiry: Enquiry, began: Instant) -> Answered:
        """Return its decision; see `_Asked.ask`."""
        settings = self._settings
        reply = self._fetch(
            Ask(
                url=settings.url,
                timeout=settings.timeout,
                max_bytes=MAX_INTROSPECTION_BYTES,
                plain_http=settings.insecure_http,
                headers=self._proof(),
                document=enquiry.question,
            )
        )
        if reply.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            message = "the answer is not application/json"
            raise FetchError(message)
        until = Instant(began + settings.cache) if settings.cache else None
        return Answered(said=_read(reply.body), asked_at=began, until=until)

    def _proof(self) -> dict[str, str]:
        if self._settings.token_file is None:
            return {}
        try:
            with self._settings.token_file.open("rb") as file:
                token = file.read(MAX_SECRET_BYTES).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            message = f"our token cannot be read ({type(error).__name__})"
            raise FetchError(message) from None
        if not token.isprintable() or not token:
            message = "the file with our token holds no token"
            raise FetchError(message)
        return {"authorization": f"Bearer {token}"}


class _Plugin(_Asked):
    """A plug-in whose checks wait for others."""

    def __init__(self, kind: str, clock: Clock, on_asked: Callable[[str, str, Fetched], None]) -> None:
        super().__init__(PLUGIN, kind, PLUGIN_SLOTS, PLUGIN_ANSWERS, clock, on_asked)

    def ask(self, enquiry: Enquiry, began: Instant) -> Answered:
        """Return what its check answers; it raises nothing."""
        said = enquiry.question()
        until = getattr(said, "until", None)
        lasts = type(until) in {int, float} and float(until or 0) > began
        return Answered(said=said, asked_at=began, until=Instant(float(until or 0)) if lasts else None)


def _read(body: bytes) -> dict[str, Any]:
    try:
        said = load_object(body, max_bytes=MAX_INTROSPECTION_BYTES)
    except StrictJsonError:
        message = "the answer is not a strict JSON object"
        raise FetchError(message) from None
    if not isinstance(said.get("decision"), bool) or not isinstance(said.get("context", {}), dict):
        message = "`decision` is no boolean, or `context` no object"
        raise AnswerError(message)
    return said
