"""The Check method and what it learns from a call, without a server."""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.model.reason import Reason
from extauthz.response.to_envoy import UNANSWERABLE
from extauthz.server.grpcio_engine import CheckHandler, find_asker
from extauthz.server.peer import peer_at
from extauthz.server.pool import DecisionPool
from extauthz.server.proxies import ProxyRegistry
from tests.simulators.checker import ScriptedChecker
from tests.simulators.grpc_client import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 10.0


@dataclass
class Call:
    """The part of `grpc.ServicerContext` that is looked at."""

    where: str = "ipv4:192.0.2.1:4711"
    metadata: tuple[tuple[str, str], ...] | None = (("x-extauthz-proxy-token", TOKEN),)
    properties: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    left: float = 5.0

    def peer(self) -> str:
        """Return the address."""
        return self.where

    def invocation_metadata(self) -> tuple[tuple[str, str], ...] | None:
        """Return the metadata."""
        return self.metadata

    def auth_context(self) -> dict[str, tuple[bytes, ...]]:
        """Return what the handshake proved."""
        return self.properties

    def time_remaining(self) -> float:
        """Return the caller's patience."""
        return self.left


def registry(*proxies: dict[str, Any]) -> ProxyRegistry:
    """Return a registry of these proxies."""
    return ProxyRegistry(Settings.model_validate({"policy": ["p"], "proxies": proxies}))


EDGE = {"name": "edge", "token": TOKEN}
SIDECAR = {"name": "sidecar", "unix_socket": True}


def asker(call: Any, *proxies: dict[str, Any]) -> str | None:
    """Return the name of who makes a call."""
    proxy = find_asker(call, registry(*proxies))
    return proxy.name if proxy is not None else None


@pytest.mark.parametrize(
    ("where", "unix_socket", "loopback"),
    [
        ("ipv4:127.0.0.1:4711", False, True),
        ("ipv4:127.9.9.9:4711", False, True),
        ("ipv6:%5B::1%5D:4711", False, True),
        ("ipv6:[::1]:4711", False, True),
        ("ipv6:%5B::ffff:127.0.0.1%5D:4711", False, True),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", False, False),
        ("ipv4:192.0.2.1:4711", False, False),
        ("ipv6:%5B2001:db8::1%5D:4711", False, False),
        ("ipv6:%5B::ffff:192.0.2.1%5D:4711", False, False),
        ("unix:", True, False),
        ("unix:/run/check.sock", True, False),
        ("unix-abstract:x", False, False),
        ("ipv4:nonsense", False, False),
        ("", False, False),
    ],
)
def test_where_a_call_comes_from_is_read_from_the_transport(where: str, unix_socket: bool, loopback: bool) -> None:
    """What is not understood is from elsewhere."""
    peer = peer_at(where, ())
    assert (peer.unix_socket, peer.loopback, peer.tokens) == (unix_socket, loopback, ())


def test_every_token_is_seen_and_nothing_else() -> None:
    """Two tokens are two, so that they can be refused."""
    metadata = (("x-extauthz-proxy-token", "a"), ("x-other", "b"), ("x-extauthz-proxy-token", "c"))
    assert peer_at("", metadata).tokens == ("a", "c")


@pytest.mark.parametrize(
    ("kind", "name", "found"),
    [
        ("peer_uri", b"spiffe://a/b", "mesh"),
        ("peer_dns", b"dns.example", "mesh"),
        ("peer_dns", b"\xff", None),
        ("x509_common_name", b"dns.example", None),
        ("x509_subject_alternative_name", b"dns.example", None),
        ("peer_email", b"dns.example", None),
    ],
)
def test_only_uri_and_dns_names_of_certificates_count(kind: str, name: bytes, found: str | None) -> None:
    """Not the common name, not mail addresses."""
    mesh = {"name": "mesh", "certificate_names": ["spiffe://a/b", "dns.example"]}
    assert asker(Call(metadata=None, properties={kind: (name,)}), mesh) == found


def test_a_token_counts_beside_a_proxy_that_is_known_by_its_certificate() -> None:
    """And two proofs of two proxies are nobody."""
    mesh = {"name": "mesh", "certificate_names": ["dns.example"]}
    assert asker(Call(), mesh, EDGE) == "edge"
    assert asker(Call(properties={"peer_dns": (b"dns.example",)}), mesh, EDGE) is None


def test_a_proxy_on_the_unix_socket_is_known_by_the_address() -> None:
    """Alone, or beside others."""
    assert asker(Call("unix:", metadata=None), SIDECAR, EDGE) == "sidecar"
    assert asker(Call("ipv4:127.0.0.1:4711", metadata=None), SIDECAR, EDGE) is None
    assert asker(Call(metadata=None), EDGE) is None


class Closed(Call):
    """A call that tells neither address nor certificate."""

    def peer(self) -> str:
        """Fail."""
        pytest.fail("asked for the address")

    def auth_context(self) -> dict[str, tuple[bytes, ...]]:
        """Fail."""
        pytest.fail("asked for the certificate")


def test_what_no_proxy_is_known_by_is_not_asked_for() -> None:
    """Both cost time on every call."""
    assert asker(Closed(), EDGE) == "edge"
    with pytest.raises(pytest.fail.Exception):
        asker(Closed(), EDGE, SIDECAR)


class Jump(SystemClock):
    """A stopwatch that has moved by `seconds` each time one looks."""

    def __init__(self, seconds: float) -> None:
        self._step = seconds
        self._seconds = 0.0

    def monotonic(self) -> float:
        """Return the next reading."""
        self._seconds += self._step
        return self._seconds


@dataclass
class Method:
    """The method on a pool of its own."""

    checker: ScriptedChecker
    pool: DecisionPool

    def __post_init__(self) -> None:
        self.handler: Any = CheckHandler(self.checker, registry(EDGE), self.pool, deadline=1.0)
        self.pool.start()

    def call(self, messages: Iterator[bytes], call: Call) -> bytes:
        """Return the answer to a call that went through the pool."""
        answers: SimpleQueue[bytes] = SimpleQueue()
        self.pool.submit(lambda: answers.put(self.handler(messages, call)))
        return answers.get(timeout=SECONDS)


@pytest.mark.parametrize(
    ("waited", "left", "remaining"), [(0.25, 5.0, 0.75), (0.25, 0.5, 0.5), (1.5, 5.0, -0.5), (0.0, 0.0, 0.0)]
)
def test_time_in_the_queue_is_time_used_up(waited: float, left: float, remaining: float) -> None:
    """What is told is the lesser of our deadline less the wait, and the caller's patience."""
    method = Method(ScriptedChecker(), DecisionPool(1, 1, Jump(waited)))
    method.call(iter((b"x",)), Call(left=left))
    assert method.checker.asked[0].remaining == pytest.approx(remaining)
    method.pool.shutdown()


def test_beyond_the_backlog_the_message_is_not_read() -> None:
    """Refused by name of the proxy, without touching the message."""
    method = Method(ScriptedChecker(), DecisionPool(1, 0, SystemClock()))
    messages = iter((b"unread",))
    assert b"overloaded" in method.call(messages, Call())
    assert method.checker.refused == [Reason.OVERLOADED]
    assert next(messages) == b"unread"
    method.pool.shutdown()


def test_a_caller_that_went_away_is_not_answered() -> None:
    """The transport raises while the message is read; it knows what to do with its own error."""

    def leave() -> bytes:
        raise grpc.RpcError

    method = Method(ScriptedChecker(), DecisionPool(1, 1, SystemClock()))
    with pytest.raises(grpc.RpcError):
        method.handler(iter(leave, b""), Call())
    method.pool.shutdown()


def test_a_call_that_cannot_be_understood_is_answered() -> None:
    """By the prepared denial."""
    method = Method(ScriptedChecker(), DecisionPool(1, 1, SystemClock()))
    assert method.handler(iter((b"",)), object()) is UNANSWERABLE
    method.pool.shutdown()
