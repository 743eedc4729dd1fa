"""A question under way, and the two kinds that have to wait. Part of `check.py`."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from extauthz.request.question import has_stream_id

if TYPE_CHECKING:
    from threading import Event

    from extauthz.ids import DecisionId
    from extauthz.pipeline import Answer
    from extauthz.policy.ruleset import Ruleset
    from extauthz.ports import NeedsEvidence
    from extauthz.request.bounds import Proxy
    from extauthz.server.check import Checker
    from extauthz.server.recall import Named


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """What does not change between the times that the core is asked."""

    raw: bytes
    proxy: Proxy | None
    ruleset: Ruleset | None
    decision_id: DecisionId
    started: float
    until: float

    @property
    def name(self) -> bytes:
        """Return what names this question: proxy and message, with Envoy's stream id, which a retry repeats.

        A proxy that shows no stream id asks the same for a retry and for a replay, so each of its questions is new.
        """
        own = "" if has_stream_id(self.raw) else self.decision_id
        return sha256(f"{self.proxy.name if self.proxy else ''}\0{own}\0".encode() + self.raw).digest()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question that needs a fetch, or spends something: `engine.Pending`."""

    checker: Checker
    question: Underway
    first: Answer | NeedsEvidence

    def finish(self) -> bytes:
        """Return the answer, after that."""
        return self.checker.finish(self.question, self.first)


@dataclass(frozen=True, slots=True)
class Joining:
    """A question that another thread decides just now: `engine.Pending`."""

    checker: Checker
    question: Underway
    named: Named
    flight: Event

    def finish(self) -> bytes:
        """Return the answer when the other thread has decided."""
        return self.checker.join(self.question, self.named, self.flight)
