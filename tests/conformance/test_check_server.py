"""What every engine owes: one suite, run for each engine that there is."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.model.reason import Reason
from extauthz.response.to_envoy import UNANSWERABLE
from extauthz.server.engine import SERVICE
from extauthz.server.grpcio_engine import GrpcioEngine
from extauthz.server.native_engine import NativeEngine
from extauthz.server.proxies import ProxyRegistry
from tests.simulators.checker import ScriptedChecker
from tests.simulators.grpc_client import CHECK, SECONDS, TOKEN, Client, client, code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from extauthz.server.engine import CheckFunction, Engine

    Maker = Callable[[CheckFunction, Settings], Engine]


def _grpcio(checker: CheckFunction, settings: Settings) -> Engine:
    return GrpcioEngine(checker, ProxyRegistry(settings), settings, SystemClock())


def _native(checker: CheckFunction, settings: Settings) -> Engine:
    def never() -> None:
        pytest.fail("the loop died")

    return NativeEngine(checker, ProxyRegistry(settings), settings, SystemClock(), on_death=never)


ENGINES = {"grpcio": _grpcio, "native": _native}


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> Maker:
    """Return what makes the engine under test."""
    maker: Maker = ENGINES[request.param]
    return maker


def settings(**server: Any) -> Settings:
    """Return settings of one plaintext listener on loopback and one proxy."""
    return Settings.model_validate(
        {
            "policy": ["p"],
            "listeners": [{"address": "127.0.0.1:0"}],
            "proxies": [{"name": "edge", "token": TOKEN}],
            "server": {"threads": 4, "fetch_slots": 1, **server},
        }
    )


@contextmanager
def serving(make: Maker, checker: ScriptedChecker, **server: Any) -> Iterator[tuple[Engine, Client]]:
    """Yield a running engine and a client of it."""
    engine = make(checker, settings(**server))
    engine.start()
    try:
        with client(engine.addresses[0]) as asker:
            yield engine, asker
    finally:
        checker.gate.set()
        engine.stop(1.0)


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xff\xff\xff", b"{}", bytes(range(256)), b"x" * (5 << 20)])
def test_any_bytes_reach_the_checker_unchanged(make: Maker, raw: bytes) -> None:
    """Nothing decodes the message on the way, and no limit cuts it off."""
    checker = ScriptedChecker()
    with serving(make, checker) as (_, asker):
        assert asker.ask(raw).status.message == str(len(raw))
    assert [(asked.raw == raw, asked.proxy) for asked in checker.asked] == [(True, "edge")]


def test_64_mib_are_answered(make: Maker) -> None:
    """Far beyond every usual receive limit it is still an answer, not RESOURCE_EXHAUSTED."""
    with serving(make, ScriptedChecker()) as (_, asker):
        assert asker.ask(b"x" * (64 << 20)).status.message == str(64 << 20)


def test_a_call_without_a_message_is_answered() -> None:
    """Generated servers answer UNIMPLEMENTED, which is an error and not a denial.

    Not so on the native engine, whose transport refuses such a call before we learn of it: Envoy makes none.
    """
    with serving(_grpcio, ScriptedChecker()) as (_, asker):
        call: Any = asker.channel.stream_unary(CHECK)
        answer: bytes = call(iter(()), metadata=(("x-extauthz-proxy-token", TOKEN),), timeout=SECONDS)
    assert b"0" in answer


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x"])
def test_an_unknown_proxy_is_answered_unread(make: Maker, token: str | None) -> None:
    """The checker learns that nobody known asks, and nothing of what."""
    checker = ScriptedChecker()
    with serving(make, checker) as (_, asker):
        assert asker.ask(b"x" * (5 << 20), token=token).status.code == 7
    assert [(asked.raw, asked.proxy) for asked in checker.asked] == [(b"", None)]


def test_an_unknown_proxy_that_never_sends_its_message_keeps_no_thread(make: Maker) -> None:
    """Others are answered while calls are open and silent, however many there are; in the end so are these."""
    checker = ScriptedChecker()
    silence = threading.Event()

    def later() -> Iterator[bytes]:
        silence.wait(SECONDS)
        yield b""

    with serving(make, checker) as (_, asker):
        check: Any = asker.channel.stream_unary(CHECK)
        calls = [check.future(later(), timeout=SECONDS) for _ in range(12)]
        assert asker.ask().status.code == 7
        silence.set()
        assert all(call.result(SECONDS) for call in calls)


def test_an_unknown_proxy_is_answered_before_it_sends_its_message() -> None:
    """On grpcio, where our code runs first; the native transport hands over whole calls."""
    silence = threading.Event()

    def never() -> Iterator[bytes]:
        silence.wait(SECONDS)
        yield b""

    with serving(_grpcio, ScriptedChecker()) as (_, asker):
        check: Any = asker.channel.stream_unary(CHECK)
        calls = [check.future(never(), timeout=SECONDS) for _ in range(12)]
        assert all(call.result(SECONDS) for call in calls)
        silence.set()


def test_the_time_left_is_told(make: Maker) -> None:
    """The lesser of the caller's deadline and ours; ours where the caller has none."""
    checker = ScriptedChecker()
    with serving(make, checker, deadline=60) as (_, asker):
        asker.ask(seconds=30)
        asker.ask(seconds=None)
    first, second = (asked.remaining for asked in checker.asked)
    assert first is not None
    assert second is not None
    assert 0 < first < 30.5 < second <= 60  # The transport rounds the deadline up a little.


def test_a_failing_checker_is_still_an_answer(make: Maker) -> None:
    """The prepared denial, not an RPC error."""
    checker = ScriptedChecker(failure=RuntimeError("boom"))
    with serving(make, checker) as (_, asker):
        assert asker.ask().SerializeToString(deterministic=True)
        assert asker.ask().status.code == type(asker.ask()).FromString(UNANSWERABLE).status.code != 0


def test_beyond_the_backlog_calls_are_refused_at_once(make: Maker) -> None:
    """Two run, one waits, and all further ones are answered `overloaded` while those still run."""
    checker = ScriptedChecker()
    checker.gate.clear()
    with serving(make, checker, threads=2, backlog=1, deadline=20) as (_, asker):
        running = []
        for _ in range(2):  # One after the other: until a thread has taken it up, each of them waits as well.
            running.append(asker.ask_soon())
            assert checker.entered.acquire(timeout=SECONDS)
        later = [asker.ask_soon() for _ in range(9)]
        assert all(checker.turned_away.acquire(timeout=SECONDS) for _ in range(8))
        checker.gate.set()
        messages = [call().status.message for call in (*running, *later)]
    assert messages.count("0") == 3
    assert messages.count("overloaded") == 8
    assert set(checker.refused) == {Reason.OVERLOADED}


def other(asker: Client) -> Any:
    """Return a method that the service does not have."""
    return asker.channel.unary_unary("/envoy.service.auth.v3.Authorization/Other")


def test_other_methods_are_unimplemented(make: Maker) -> None:
    """We serve what we say and nothing else."""
    with serving(make, ScriptedChecker()) as (_, asker), pytest.raises(grpc.RpcError) as caught:
        other(asker)(b"", timeout=SECONDS)
    assert code_of(caught.value) is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("name", ["", SERVICE])
def test_health_says_what_it_was_told(make: Maker, name: str) -> None:
    """NOT_SERVING until somebody says otherwise: nothing begins as a success."""
    with serving(make, ScriptedChecker()) as (engine, asker):
        stub = health_pb2_grpc.HealthStub(asker.channel)
        found = []
        for serving_now in (None, True, False):
            if serving_now is not None:
                engine.set_serving(serving_now)
            found.append(stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=SECONDS).status)
    statuses = health_pb2.HealthCheckResponse
    assert found == [statuses.NOT_SERVING, statuses.SERVING, statuses.NOT_SERVING]


def test_health_of_an_unknown_service_is_not_found(make: Maker) -> None:
    """As the health protocol says."""
    with serving(make, ScriptedChecker()) as (_, asker), pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(asker.channel).Check(health_pb2.HealthCheckRequest(service="x"), timeout=SECONDS)
    assert code_of(caught.value) is grpc.StatusCode.NOT_FOUND


def test_health_answers_while_every_decision_thread_is_busy(make: Maker) -> None:
    """Being busy is not being ill."""
    checker = ScriptedChecker()
    checker.gate.clear()
    with serving(make, checker, threads=2, deadline=20) as (engine, asker):
        engine.set_serving(True)
        running = [asker.ask_soon(), asker.ask_soon()]
        assert all(checker.entered.acquire(timeout=SECONDS) for _ in range(2))
        stub = health_pb2_grpc.HealthStub(asker.channel)
        status = stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS).status
        checker.gate.set()
        assert [call().status.code for call in running] == [7, 7]
    assert status == health_pb2.HealthCheckResponse.SERVING


def test_open_reflection_streams_keep_no_decision_waiting(make: Maker) -> None:
    """Each of them holds a thread, but none of those that decide or answer for health."""
    release = threading.Event()

    def open_stream() -> Iterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        release.wait(SECONDS)

    with serving(make, ScriptedChecker()) as (_, asker):
        stub = reflection_pb2_grpc.ServerReflectionStub(asker.channel)
        streams = [stub.ServerReflectionInfo(open_stream(), timeout=SECONDS) for _ in range(8)]
        assert asker.ask().status.code == 7
        health_pb2_grpc.HealthStub(asker.channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        release.set()
        for stream in streams:
            stream.cancel()


def test_reflection_lists_the_service_and_its_types(make: Maker) -> None:
    """So that grpcurl works without our protos."""
    with serving(make, ScriptedChecker()) as (_, asker):
        stub = reflection_pb2_grpc.ServerReflectionStub(asker.channel)
        requests = (
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
        )
        listed, described = stub.ServerReflectionInfo(iter(requests), timeout=SECONDS)
    assert SERVICE in [service.name for service in listed.list_services_response.service]
    assert any(b"CheckRequest" in file for file in described.file_descriptor_response.file_descriptor_proto)


def ask_until_turned_away(asker: Client) -> None:
    """Ask until the connection is refused, or the answer is `overloaded`."""
    with suppress(grpc.RpcError):
        while asker.ask(seconds=1).status.message != "overloaded":
            pass


def test_stopping_lets_calls_under_way_end_and_takes_no_new_ones(make: Maker) -> None:
    """The caller under way gets its answer; later ones are turned away, and in the end the door is shut."""
    checker = ScriptedChecker()
    checker.gate.clear()
    engine = make(checker, settings(deadline=20))
    engine.start()
    address = engine.addresses[0]
    with client(address) as asker:
        under_way = asker.ask_soon()
        assert checker.entered.acquire(timeout=SECONDS)
        stopping = threading.Thread(target=engine.stop, args=(SECONDS,))
        stopping.start()
        with client(address) as late:
            ask_until_turned_away(late)
        checker.gate.set()
        assert under_way().status.code == 7
        stopping.join(SECONDS)
        assert not stopping.is_alive()
    with client(address) as late, pytest.raises(grpc.RpcError):
        late.ask(seconds=1)


def test_port_0_is_reported_as_the_port_that_was_bound(make: Maker) -> None:
    """Tests and demos need it."""
    with serving(make, ScriptedChecker()) as (engine, _):
        host, _, port = engine.addresses[0].rpartition(":")
    assert host == "127.0.0.1"
    assert int(port) > 0
