"""Authorizers that do what ours never does, for the controls of the end-to-end tests."""

from __future__ import annotations

from concurrent import futures
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SERVICE = "envoy.service.auth.v3.Authorization"
_SECONDS = 15
"""For extauthz to answer: less than what the Envoys of these tests wait."""


@contextmanager
def authorizer(check: Callable[[bytes, grpc.ServicerContext], bytes]) -> Iterator[int]:
    """Run an authorizer that answers with `check`, and give its port."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Check": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def point_at(bootstrap: dict[str, Any], port: int) -> int:
    """Make Envoy ask the authorizer on `port`, and return the port that it asked before."""
    clusters = {cluster["name"]: cluster for cluster in bootstrap["static_resources"]["clusters"]}
    endpoint = clusters["extauthz"]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    address = endpoint["address"]["socket_address"]
    former: int = address["port_value"]
    address["port_value"] = port
    return former


class Relay:
    """Stands between Envoy and extauthz and changes the questions on their way; answers pass unchanged.

    Attributes:
        change: makes the bytes that extauthz is asked with from those that Envoy sent.
        to: port of extauthz.
    """

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self.change = change
        self.to = 0

    def check(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """Ask extauthz with changed bytes, and with the proof that Envoy gave."""
        shown = [(key, value) for key, value in context.invocation_metadata() if key == "x-extauthz-proxy-token"]
        with grpc.insecure_channel(f"127.0.0.1:{self.to}", options=[("grpc.enable_http_proxy", 0)]) as channel:
            ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{_SERVICE}/Check")
            return ask(self.change(raw), metadata=tuple(shown), timeout=_SECONDS)
