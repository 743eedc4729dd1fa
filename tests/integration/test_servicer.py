"""The Check method on the test server of `grpcio-testing`: no sockets, simulated time."""

from __future__ import annotations

from typing import Any

import grpc
import grpc_testing
import pytest

from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.gen.envoy.service.auth.v3 import external_auth_pb2
from extauthz.server.grpcio_engine import CheckHandler
from extauthz.server.pool import DecisionPool
from extauthz.server.proxies import ProxyRegistry
from tests.simulators.checker import ScriptedChecker
from tests.simulators.grpc_client import TOKEN

SERVICE = external_auth_pb2.DESCRIPTOR.services_by_name["Authorization"]
METHOD = SERVICE.methods_by_name["Check"]


class Located:
    """A context that also tells where the call comes from, which the test server does not."""

    def __init__(self, context: Any) -> None:
        self.invocation_metadata = context.invocation_metadata
        self.time_remaining = context.time_remaining

    def peer(self) -> str:
        """Return an address elsewhere."""
        return "ipv4:192.0.2.1:4711"


class Servicer:
    """The handler under the name that the test server looks for."""

    def __init__(self, checker: ScriptedChecker) -> None:
        proxy = {"name": "edge", "token": TOKEN}
        settings = Settings.model_validate({"policy": ["p"], "proxies": [proxy]})
        self.pool = DecisionPool(1, 1, SystemClock())
        self._handler = CheckHandler(checker, ProxyRegistry(settings), self.pool, deadline=0.15)

    def Check(self, message: bytes, context: Any) -> bytes:  # noqa: N802 — the name of the method
        """Hand the one message over as the stream that the engine sees."""
        return self._handler(iter((message,)), Located(context))  # type: ignore[arg-type]  # the part that is used


def ask(checker: ScriptedChecker, raw: bytes, metadata: tuple[tuple[str, str], ...], seconds: float) -> tuple[Any, Any]:
    """Return answer and RPC status."""
    time = grpc_testing.strict_fake_time(1_790_000_000.0)
    servicer = Servicer(checker)
    server = grpc_testing.server_from_dictionary({SERVICE: servicer}, time)
    call = server.invoke_unary_unary(METHOD, metadata, raw, seconds)
    answer, _, code, _ = call.termination()
    servicer.pool.shutdown()
    return answer, code


@pytest.mark.parametrize("raw", [b"", b"\xff\xff", b"x" * 100])
def test_every_message_is_an_rpc_that_succeeds(raw: bytes) -> None:
    """With the time that the caller has left."""
    checker = ScriptedChecker()
    answer, code = ask(checker, raw, (("x-extauthz-proxy-token", TOKEN),), 0.1)
    assert code is grpc.StatusCode.OK
    assert str(len(raw)).encode() in answer
    (asked,) = checker.asked
    assert (asked.raw, asked.proxy) == (raw, "edge")
    assert asked.remaining is not None
    assert asked.remaining <= 0.1


def test_a_failure_and_an_unknown_proxy_are_rpcs_that_succeed() -> None:
    """Neither is an error to Envoy."""
    failing = ScriptedChecker(failure=RuntimeError("boom"))
    assert ask(failing, b"", (("x-extauthz-proxy-token", TOKEN),), 1)[1] is grpc.StatusCode.OK
    stranger = ScriptedChecker()
    assert ask(stranger, b"secret", (), 1)[1] is grpc.StatusCode.OK
    assert [(asked.raw, asked.proxy) for asked in stranger.asked] == [(b"", None)]
