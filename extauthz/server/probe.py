"""Asks a running server whether it serves: the standard gRPC health protocol, or a plain HTTP answer of 200."""

from __future__ import annotations

from typing import Final

import grpc
import urllib3
from grpc_health.v1 import health_pb2, health_pb2_grpc

CHECK_SERVICE: Final = "envoy.service.auth.v3.Authorization"
"""The service whose health is the server's: SERVING means that it has a policy and is not draining."""

UNREACHABLE: Final = "UNREACHABLE"
"""Nobody answers there, in time or at all."""

_OK: Final = 200


def find_health(address: str, seconds: float, service: str = CHECK_SERVICE) -> str:
    """Return `SERVING`, or what is the matter: `NOT_SERVING`, `UNREACHABLE` or a gRPC or HTTP status.

    Args:
        address: `host:port` or `unix:/path` of a plaintext gRPC listener, or an `http://` URL.
        seconds: how long to wait for the answer.
        service: name to ask a gRPC server about.
    """
    if address.startswith("http://"):
        return _find_http_health(address, seconds)
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=seconds)
        except grpc.RpcError as failed:
            code: grpc.StatusCode = failed.code()  # what a call raises is a Call too
            unreachable = code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
            return UNREACHABLE if unreachable else code.name
    name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return name


def _find_http_health(url: str, seconds: float) -> str:
    with urllib3.PoolManager(retries=False) as pool:
        try:
            answer = pool.request("GET", url, timeout=seconds, redirect=False)
        except urllib3.exceptions.HTTPError:
            return UNREACHABLE
    return "SERVING" if answer.status == _OK else f"HTTP {answer.status}"
