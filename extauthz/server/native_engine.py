"""gRPC in by `pygrpc-native`: HTTP/2 and gRPC outside the interpreter's lock, for Envoys on this machine.

What `grpcio_engine.py` promises holds here too: raw bytes, no receive limit, no RPC error where a denial is possible.
What differs:

1. No TLS. So listeners are Unix sockets or loopback addresses and nothing else; `engines.py` sees to it.
2. Messages are received whole before our code learns of the call, so a caller that is not known, or sends slowly, costs
   memory of the transport but no thread. A call without any message is refused by the transport (INTERNAL); Envoy sends
   none.
3. Health and reflection are a `grpcio` server on a private Unix socket, to which the front forwards every other method;
   what that server does not have is UNIMPLEMENTED.
4. A front cannot stop listening without dropping its calls. While it stops, questions are still answered, those that
   need a fetch by `overloaded`; then it closes. Answers need a moment to leave: closing sooner loses them.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
from pygrpc_native import NativeGrpcFront
from pygrpc_native import __version__ as INSTALLED  # noqa: N812 — it is a constant

from extauthz.errors import ConfigError, Problem
from extauthz.server.engine import METHOD, SERVICE
from extauthz.server.evidence_pool import EvidencePool
from extauthz.server.listen import Address, judge_listeners, prepared_socket
from extauthz.server.native_loop import FLUSH_SECONDS, AnsweringLoop
from extauthz.server.side_services import SideServices

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock
    from extauthz.config.settings import ListenerSettings, Settings
    from extauthz.server.engine import CheckFunction
    from extauthz.server.proxies import ProxyRegistry

__all__ = ["INSTALLED", "NativeEngine"]

_MAX_METADATA: Final = 512 * 1024
"""Bytes of metadata of one call, far from what Envoy sends: exceeding it is an RPC error."""

_MAX_STREAMS: Final = 2**31 - 1
"""Calls at once on one connection: the backlog is the bound, because it ends in a denial and not in a queue."""

_IO_THREADS: Final = 1
"""Threads of the transport for each listener; they share a core with the loop or have one of their own."""


class NativeEngine:
    """A front and a loop for each listener, a pool for questions that wait, and a server for health and reflection.

    Args:
        checker: answers questions.
        proxies: tells who asks.
        settings: listeners and `server` of it.
        clock: the stopwatch.
        on_death: ends the process; called when questions can no longer be answered.

    Raises:
        ConfigError: a listener cannot be.
    """

    def __init__(
        self,
        checker: CheckFunction,
        proxies: ProxyRegistry,
        settings: Settings,
        clock: Clock,
        *,
        on_death: Callable[[], object],
    ) -> None:
        self._checker = checker
        self._proxies = proxies
        self._settings = settings
        self._clock = clock
        self._on_death = on_death
        self._places = judge_listeners(settings)
        self._pool = EvidencePool(settings.server.threads, settings.server.backlog)
        self._side = _PrivateServer()
        self._bound: list[Address] = []
        self._fronts: list[NativeGrpcFront] = []
        self._loops: list[AnsweringLoop] = []

    @property
    def name(self) -> str:
        """Return what the setting `server.engine` calls it."""
        return "native"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the bound addresses in the order of the listeners, real port numbers in place of 0."""
        return tuple(str(address) for address in self._bound)

    def start(self) -> None:
        """Bind every listener and serve.

        Raises:
            ConfigError: an address cannot be bound, or there is no place for a private socket.
        """
        self._side.start()
        for address, listener in zip(self._places, self._settings.listeners, strict=True):
            front = _bind(address, listener)
            self._fronts.append(front)
            bound = address if address.path is not None else Address(host=address.host, port=front.bound_port)
            self._bound.append(bound)
        for front in self._fronts:
            front.set_fallback(str(self._side.path))
            front.start()
            loop = AnsweringLoop(
                front,
                checker=self._checker,
                proxies=self._proxies,
                pool=self._pool,
                server=self._settings.server,
                clock=self._clock,
                on_death=self._on_death,
            )
            self._loops.append(loop)
            loop.start()

    def is_deciding(self, within: float) -> bool:
        """Return whether every loop turns; see `engine.Engine`."""
        return all(loop.has_turned(within) for loop in self._loops)

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 — it is the value
        """Set what the health service answers."""
        self._side.services.set_serving(serving)

    def stop(self, grace: float) -> None:
        """Refuse what needs a fetch, give what waits for one `grace` seconds, and return when all has ended."""
        self.set_serving(False)
        for loop in self._loops:
            loop.stop_waiting()
        self._pool.drain(grace)
        for loop in self._loops:
            loop.answer_the_rest()
        if self._loops:
            threading.Event().wait(FLUSH_SECONDS)
        for loop in self._loops:
            loop.close()
        for front in self._fronts:
            front.close()  # Also those whose loop never began; twice is harmless.
        self._pool.shutdown()
        self._side.stop()


class _PrivateServer:
    """Health and reflection on a Unix socket that only we can reach."""

    def __init__(self) -> None:
        self.services = SideServices()
        self.path = Path()
        self._server = grpc.server(self.services.pool)
        self.services.add_to(self._server)

    def start(self) -> None:
        """Serve.

        Raises:
            ConfigError: there is no folder for temporary files, or its path is too long for a socket.
        """
        try:
            self.path = Path(tempfile.mkdtemp(prefix="extauthz-")) / "side.sock"
            self._server.add_insecure_port(f"unix:{self.path}")
        except (OSError, RuntimeError) as error:
            fix = "set TMPDIR to a folder with a short path that can be written, or server.engine: grpcio"
            message = "the native engine finds no place for a private socket"
            raise ConfigError([Problem("server.engine", 0, 0, message, fix)]) from error
        self._server.start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.stop(None).wait()
        self.services.shutdown()
        if self.path.name:
            shutil.rmtree(self.path.parent, ignore_errors=True)


def _bind(address: Address, listener: ListenerSettings) -> NativeGrpcFront:
    """Return a front that is bound and accepts nothing yet, so that a socket has its permissions first."""
    with prepared_socket(address, listener):
        try:
            return NativeGrpcFront(
                str(address),
                [(f"/{SERVICE}/{METHOD}", False)],
                io_threads=_IO_THREADS,
                call_details=True,
                max_concurrent_streams=_MAX_STREAMS,
                max_metadata_size=_MAX_METADATA,
            )
        except OSError as error:
            fix = "is another server running?"
            raise ConfigError([Problem(f"listener {address}", 0, 0, "cannot listen here", fix)]) from error
