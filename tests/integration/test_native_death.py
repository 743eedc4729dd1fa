"""The end of the native engine's loop, seen by real callers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import grpc
import pytest
from pygrpc_native import NativeGrpcFront

from extauthz.clock import SystemClock
from extauthz.config.settings import ServerSettings, Settings
from extauthz.server.evidence_pool import EvidencePool
from extauthz.server.native_loop import CALL, AnsweringLoop
from extauthz.server.proxies import ProxyRegistry
from tests.simulators.checker import ScriptedChecker
from tests.simulators.grpc_client import CHECK, TOKEN, client, code_of

if TYPE_CHECKING:
    from extauthz.request.bounds import Proxy
    from extauthz.server.native_loop import Event

SECONDS = 60.0
CALLS = 100
END = b"end"


class Gathering:
    """A real front that hands over all calls of the test as one batch, the one that ends the loop last."""

    def __init__(self) -> None:
        self.front = NativeGrpcFront("127.0.0.1:0", [(CHECK, False)], io_threads=1, call_details=True)
        self.respond = self.front.respond
        self.close = self.front.close

    def recv_batch_details(self, max_events: int, timeout_ms: int | None = None) -> list[Event] | None:
        """Return the batch."""
        calls: list[Event] = []
        while len(calls) < CALLS:
            arrived = self.front.recv_batch_details(max_events, timeout_ms)
            if arrived is None:
                return None
            calls.extend(event for event in arrived if event[0] == CALL)
        return sorted(calls, key=lambda event: event[3] == END)


class Mortal(ScriptedChecker):
    """Ends the loop for one question."""

    def check(self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None) -> bytes:
        """Answer the others."""
        if raw == END:
            raise SystemExit
        return super().check(raw, proxy, remaining=remaining)


def test_answers_that_were_held_when_the_loop_died_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them; only the call that was its end has none."""
    monkeypatch.setattr("extauthz.server.native_loop.FLUSH_SECONDS", 2.0)  # The transport's thread may have to wait.
    front, died = Gathering(), threading.Event()
    pool = EvidencePool(1, 1)
    loop = AnsweringLoop(
        front,
        checker=Mortal(),
        proxies=ProxyRegistry(
            Settings.model_validate({"policy": ["p"], "proxies": [{"name": "edge", "token": TOKEN}]})
        ),
        pool=pool,
        server=ServerSettings(),
        clock=SystemClock(),
        on_death=died.set,
    )
    front.front.start()
    loop.start()
    with client(f"127.0.0.1:{front.front.bound_port}") as asker:
        answers = [asker.ask_soon(raw) for raw in (*[b"q"] * (CALLS - 1), END)]
        *told, last = answers
        assert [answer().status.message for answer in told] == ["1"] * (CALLS - 1)
        with pytest.raises(grpc.RpcError) as error:
            last()
        assert code_of(error.value) is grpc.StatusCode.UNAVAILABLE
    assert died.wait(SECONDS)
    pool.shutdown()
