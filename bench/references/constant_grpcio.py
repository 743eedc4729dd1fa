"""The floor of the grpcio engine: `grpc.server` that reads nothing and allows everything."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from bench.references.constant_answer import constant_answer


def main() -> None:
    """Serve until told to stop."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--address", default="127.0.0.1:9191")
    arguments.add_argument("--answer", type=Path, help="file with a serialised answer; a tiny one when left out")
    chosen = arguments.parse_args()
    answer = constant_answer(chosen.answer)

    def allow(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        return answer

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(allow)
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": handler}),)
    )
    server.add_insecure_port(chosen.address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
