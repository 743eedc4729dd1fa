"""Health and reflection, alike on every engine, on threads of their own: being busy is not being ill."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from extauthz.server.engine import SERVICE

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class SideServices:
    """What a Check server also offers; NOT_SERVING until told otherwise."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="health")
        """For the server itself, and so for health."""
        self._reflection_pool = ThreadPoolExecutor(2, thread_name_prefix="reflection")
        self._health = health.HealthServicer()
        self.set_serving(False)

    def add_to(self, server: grpc.Server) -> None:
        """Add both services; reflection on its own threads, because each open stream of it keeps one."""
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        servicer = reflection.ReflectionServicer((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME))
        servicer.ServerReflectionInfo = _InPool(servicer.ServerReflectionInfo, self._reflection_pool)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 — it is the value
        """Set what the health service answers for us and for the whole server."""
        for name in ("", SERVICE):
            self._health.set(name, _SERVING if serving else _NOT_SERVING)

    def shutdown(self) -> None:
        """End the threads; the server that they served has stopped."""
        for pool in (self.pool, self._reflection_pool):
            pool.shutdown()


class _InPool:
    """A method that runs in a pool of its own."""

    def __init__(self, method: Callable[..., Any], pool: ThreadPoolExecutor) -> None:
        self._method = method
        self.experimental_thread_pool = pool

    def __call__(self, *args: Any) -> Any:
        """Run the method."""
        return self._method(*args)
