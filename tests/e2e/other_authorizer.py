"""Authorizers that do what ours never does, for the controls of the end-to-end tests."""

from __future__ import annotations

from concurrent import futures
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def authorizer(check: Callable[[bytes, grpc.ServicerContext], bytes]) -> Iterator[int]:
    """Run an authorizer that answers with `check`, and give its port."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(check)
    service = "envoy.service.auth.v3.Authorization"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Check": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def point_at(bootstrap: dict[str, Any], port: int) -> None:
    """Make Envoy ask the authorizer on `port` instead of ours."""
    for cluster in bootstrap["static_resources"]["clusters"]:
        if cluster["name"] == "extauthz":
            endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
            endpoint["address"]["socket_address"]["port_value"] = port
