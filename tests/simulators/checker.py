"""A `CheckFunction` that answers as a test wishes, to look at engines alone."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.rpc.status_pb2 import Status

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse

if TYPE_CHECKING:
    from extauthz.model.reason import Reason
    from extauthz.request.bounds import Proxy


@dataclass(frozen=True)
class Asked:
    """One question as it arrived."""

    raw: bytes
    proxy: str | None
    remaining: float | None


@dataclass
class ScriptedChecker:
    """Answers every question with code 7 and the number of bytes; refusals with code 14 and the reason.

    Attributes:
        asked: every question.
        refused: every reason given to `refuse`.
        entered: released once for each question that has arrived.
        turned_away: released once for each refusal.
        gate: questions wait for it; set from the start. While it is shut, questions are such as need a fetch.
        failure: raised instead of an answer.
    """

    asked: list[Asked] = field(default_factory=list)
    refused: list[Reason] = field(default_factory=list)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    turned_away: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    gate: threading.Event = field(default_factory=threading.Event)
    failure: Exception | None = None

    def __post_init__(self) -> None:
        self.gate.set()

    def check(self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None) -> bytes:
        """Answer, once the gate is open."""
        self.asked.append(Asked(raw, proxy.name if proxy else None, remaining))
        self.entered.release()
        self.gate.wait(30)
        if self.failure is not None:
            raise self.failure
        return answer(7, str(len(raw)))

    def try_check(
        self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None, asked: float | None = None
    ) -> bytes | Later:
        """Answer when the gate is open; else say that the question has to wait."""
        del asked
        if self.gate.is_set():
            return self.check(raw, proxy, remaining=remaining)
        return Later(self, raw, proxy, remaining)

    def refuse(self, reason: Reason, proxy: Proxy | None) -> bytes:
        """Refuse at once."""
        del proxy
        self.refused.append(reason)
        self.turned_away.release()
        return answer(14, reason.value)


@dataclass(frozen=True)
class Later:
    """A question that has to wait."""

    checker: ScriptedChecker
    raw: bytes
    proxy: Proxy | None
    remaining: float | None

    def finish(self) -> bytes:
        """Answer, once the gate is open."""
        return self.checker.check(self.raw, self.proxy, remaining=self.remaining)


def answer(code: int, message: str) -> bytes:
    """Return a serialised `CheckResponse` with this status and nothing else."""
    return CheckResponse(status=Status(code=code, message=message)).SerializeToString()
