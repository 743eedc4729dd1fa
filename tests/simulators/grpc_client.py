"""Asks a Check server as Envoy does: raw bytes, optional proxy token."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECK = "/envoy.service.auth.v3.Authorization/Check"
TOKEN = "proxy-token-of-the-tests"
SECONDS = 20.0


class Client:
    """A channel to one server.

    Args:
        channel: to the server.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self._check: Callable[..., bytes] = channel.unary_unary(CHECK)

    def ask(self, raw: bytes = b"", token: str | None = TOKEN, seconds: float | None = SECONDS) -> CheckResponse:
        """Return the answer; an RPC error is raised."""
        metadata = (("x-extauthz-proxy-token", token),) if token is not None else ()
        return CheckResponse.FromString(self._check(raw, metadata=metadata, timeout=seconds))

    def ask_soon(self, raw: bytes = b"", token: str | None = TOKEN) -> Callable[[], CheckResponse]:
        """Ask without waiting; the result waits and returns the answer."""
        metadata = (("x-extauthz-proxy-token", token),) if token is not None else ()
        check: Any = self.channel.unary_unary(CHECK)
        future = check.future(raw, metadata=metadata, timeout=SECONDS)
        return lambda: CheckResponse.FromString(future.result())


@contextmanager
def client(address: str, credentials: grpc.ChannelCredentials | None = None) -> Iterator[Client]:
    """Yield a client of the server at `address`."""
    options = (
        ("grpc.max_send_message_length", -1),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
    )
    if credentials is None:
        channel = grpc.insecure_channel(address, options)
    else:
        channel = grpc.secure_channel(address, credentials, options)
    with channel:
        yield Client(channel)


def code_of(error: Any) -> grpc.StatusCode:
    """Return the code of an RPC error; its type does not show that it has one."""
    code: grpc.StatusCode = error.code()
    return code


def reason_of(answer: CheckResponse) -> str:
    """Return the reason code of an answer; `allowed` only where Envoy would let the request through."""
    if answer.status.code == 0:
        return "allowed"
    return next(
        (option.header.value for option in answer.denied_response.headers if option.header.key == "x-extauthz-reason"),
        "none",
    )


def outcome_of(answer: CheckResponse) -> tuple[int, str]:
    """Return the HTTP status that the client would see (200 for an allow) and the reason code."""
    reason = reason_of(answer)
    return (200 if reason == "allowed" else answer.denied_response.status.code), reason
