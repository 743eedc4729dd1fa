"""Sends one request and reads one answer; no redirects, no retries, no cookies. Another way out can take its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import urllib3
from urllib3.exceptions import HTTPError

from extauthz.client.errors import TransportFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""Longest answer read unless told otherwise."""

_CHUNK_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer.

    Attributes:
        headers: by lower-case name; the values of lines of one name are joined by `, `.
        body: all of it.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Transport(Protocol):
    """A way to send requests."""

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Return the answer to exactly this request; redirects are not followed.

        Raises:
            TransportFailedError: there is none.
        """
        ...


class WebTransport:
    """HTTP by urllib3, with the system's authorities, and no proxy from the environment.

    Args:
        timeout: seconds to connect, and between two pieces of an answer.
        max_body: bytes of the longest answer that is read.
        pool: how connections are made, for other certificates than the usual ones.
    """

    def __init__(
        self, timeout: float = 30.0, max_body: int = MAX_BODY_BYTES, pool: urllib3.PoolManager | None = None
    ) -> None:
        self._timeout = urllib3.Timeout(connect=timeout, read=timeout)
        self._max_body = max_body
        self._pool = pool or urllib3.PoolManager()

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Return the answer; see `Transport`."""
        try:
            answer = self._pool.request(
                method,
                url,
                headers=dict(headers),
                body=body or None,
                redirect=False,
                retries=False,
                timeout=self._timeout,
                preload_content=False,
            )
            try:
                content = self._read(answer)
            finally:
                answer.close()
        except (HTTPError, OSError) as error:
            message = f"no complete answer ({type(error).__name__})"
            raise TransportFailedError(message) from error
        fields = {name.lower(): answer.headers[name] for name in answer.headers}
        return Response(status=answer.status, headers=fields, body=content)

    def _read(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        content = bytearray()
        for chunk in answer.stream(_CHUNK_BYTES):
            content += chunk
            if len(content) > self._max_body:
                message = "the answer is too long"
                raise TransportFailedError(message)
        return bytes(content)
