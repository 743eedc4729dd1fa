"""gRPC in by `grpcio`: always there, and the one for TLS.

Envoy must never see an RPC error, because an error is not a denial: `failure_mode_allow` lets it through. Hence:

1. Messages are raw bytes in and out. Generated code would answer undecodable ones with INTERNAL.
2. No receive limit (`limits.MAX_CHECK_BYTES` is the decided one), no `maximum_concurrent_rpcs`: exceeding either
   answers RESOURCE_EXHAUSTED.
3. The method is served as if its request were a stream. On the wire it is the same, but our code runs before the
   message is read: a caller that is not a known proxy is answered without reading, and cannot keep a thread or memory
   by sending slowly or much; a call without a message gets an answer like any other.
4. A full backlog, and time that is used up, are answered `overloaded`.
5. Connections are not aged out (`grpc.max_connection_age_ms` stays unset): each end of a connection is a moment in
   which Envoy can lose a call. Envoy spreads load by listing every server, not by reconnecting.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog

from extauthz.errors import ConfigError, Problem
from extauthz.model.reason import Reason
from extauthz.response.to_envoy import UNANSWERABLE
from extauthz.server.engine import METHOD, SERVICE
from extauthz.server.listen import Address, judge_listeners, prepared_socket
from extauthz.server.peer import peer_at
from extauthz.server.pool import DecisionPool
from extauthz.server.side_services import SideServices
from extauthz.server.tls import server_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.clock import Clock
    from extauthz.config.settings import ListenerSettings, Settings
    from extauthz.request.bounds import Proxy
    from extauthz.server.engine import CheckFunction
    from extauthz.server.proxies import ProxyRegistry

_log = structlog.get_logger(__name__)

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", -1),
    (
        "grpc.max_metadata_size",
        256 * 1024,
    ),  # Exceeding it is RESOURCE_EXHAUSTED too, so it is far from what Envoy sends.
    ("grpc.absolute_max_metadata_size", 512 * 1024),
    ("grpc.so_reuseport", 0),  # Two servers on one port by mistake would each see a part of the questions.
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),  # gRPC's own five minutes end connections that Envoy pings.
    ("grpc.keepalive_permit_without_calls", 1),
)


class CheckHandler:
    """The method `Check`.

    Args:
        checker: answers questions.
        proxies: tells who asks.
        pool: where the calls run; it says how long each has waited.
        deadline: seconds that a call may take, waiting included.
    """

    def __init__(self, checker: CheckFunction, proxies: ProxyRegistry, pool: DecisionPool, deadline: float) -> None:
        self._checker = checker
        self._proxies = proxies
        self._pool = pool
        self._deadline = deadline
        self.experimental_thread_pool = pool
        """Where `grpcio` looks for a pool of this method's own; health and reflection run elsewhere."""

    def __call__(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Return the serialised answer to the one message in `messages`."""
        try:
            return self._answer(messages, context)
        except grpc.RpcError:
            raise  # The caller is gone; nobody reads an answer.
        except Exception:  # noqa: BLE001 — the outermost boundary: an exception here would become an RPC error
            _log.exception("call failed")
            return UNANSWERABLE

    def _answer(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        ticket = self._pool.ticket
        proxy = find_asker(context, self._proxies)
        if ticket.beyond_backlog:
            return self._checker.refuse(Reason.OVERLOADED, proxy)
        raw = next(messages, b"") if proxy is not None else b""
        remaining = min(context.time_remaining(), self._deadline - ticket.waited)
        return self._checker.check(raw, proxy, remaining=remaining)


def find_asker(context: grpc.ServicerContext, proxies: ProxyRegistry) -> Proxy | None:
    """Return the proxy that makes a call, or None when that is not known.

    Address and certificate are only asked for where a proxy is known by them. Asking for the address lets go of the
    interpreter twice, and each time the other threads that wait for it are woken.
    """
    metadata: Any = context.invocation_metadata() or ()
    where = (context.peer() or "") if proxies.wants_addresses else ""
    if proxies.wants_certificates:
        return proxies.find_proxy(peer_at(where, metadata, _certificate_names(context)))
    return proxies.find_caller(where, metadata)


def _certificate_names(context: grpc.ServicerContext) -> tuple[str, ...]:
    """Return the URI and DNS names of the client certificate; only mTLS listeners have one, and have verified it."""
    properties: Any = context.auth_context()
    names = (*properties.get("peer_uri", ()), *properties.get("peer_dns", ()))
    return tuple(name.decode("utf-8", "replace") for name in names)


class GrpcioEngine:
    """A `grpc.server` with the Check method, health and reflection.

    Args:
        checker: answers questions.
        proxies: tells who asks.
        settings: listeners and `server` of it.
        clock: the stopwatch.

    Raises:
        ConfigError: a listener cannot be.
    """

    def __init__(self, checker: CheckFunction, proxies: ProxyRegistry, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._places = judge_listeners(settings)
        self._pool = DecisionPool(settings.server.threads, settings.server.backlog, clock)
        self._side = SideServices()
        self._server = grpc.server(self._side.pool, options=_OPTIONS)
        handler = CheckHandler(checker, proxies, self._pool, settings.server.deadline)
        methods: dict[str, Any] = {METHOD: grpc.stream_unary_rpc_method_handler(handler)}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        self._side.add_to(self._server)
        self._bound: tuple[Address, ...] = ()

    @property
    def name(self) -> str:
        """Return what the setting `server.engine` calls it."""
        return "grpcio"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the bound addresses in the order of the listeners, real port numbers in place of 0."""
        return tuple(str(address) for address in self._bound)

    @property
    def pending(self) -> int:
        """Return how many calls wait for a thread."""
        return self._pool.pending

    def start(self) -> None:
        """Bind every listener and serve.

        Raises:
            ConfigError: an address cannot be bound, or TLS files are wrong.
        """
        pairs = zip(self._places, self._settings.listeners, strict=True)
        self._bound = tuple(self._bind(address, listener) for address, listener in pairs)
        self._pool.start()
        self._server.start()

    def is_deciding(self, within: float) -> bool:
        """Return whether a thread for decisions becomes free in that time; see `engine.Engine`."""
        return self._pool.has_turned(within)

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 — it is the value
        """Set what the health service answers for us and for the whole server."""
        self._side.set_serving(serving)

    def stop(self, grace: float) -> None:
        """Take no more calls, give those under way `grace` seconds, and return when all has ended."""
        self.set_serving(False)
        self._server.stop(grace).wait()
        self._pool.shutdown()
        self._side.shutdown()
        for address in self._bound:
            if address.path is not None:
                with suppress(OSError):
                    address.path.unlink()

    def _bind(self, address: Address, listener: ListenerSettings) -> Address:
        with prepared_socket(address, listener):
            try:
                if listener.tls is None:
                    port = self._server.add_insecure_port(str(address))
                else:
                    port = self._server.add_secure_port(str(address), server_credentials(listener.tls))
            except RuntimeError as error:
                fix = "is another server running?"
                raise ConfigError([Problem(f"listener {address}", 0, 0, "cannot listen here", fix)]) from error
        return address if address.path is not None else Address(host=address.host, port=port)
