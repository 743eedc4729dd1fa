"""The floor of the grpcio engine: `grpc.server` that reads nothing and allows everything."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

import grpc

from bench.references.constant_answer import constant_answer


def main() -> None:
    """Serve until told to stop."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--address", default="127.0.0.1:9191")
    answer = constant_answer()

    def allow(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return answer

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(allow)
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": handler}),)
    )
    server.add_insecure_port(arguments.parse_args().address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
