"""The answer of the constant servers: an allow, the one that extauthz gives or a tiny one with two headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse

if TYPE_CHECKING:
    from pathlib import Path

METHOD = "/envoy.service.auth.v3.Authorization/Check"


def constant_answer(file: Path | None = None) -> bytes:
    """Return a serialised allow: what `file` holds, a tiny one of some 60 bytes without it."""
    return tiny_answer() if file is None else file.read_bytes()


def tiny_answer() -> bytes:
    """Return a serialised allow with two short headers, like those of the references."""
    answer = CheckResponse()
    answer.status.code = 0
    for name, value in (("x-subject", "somebody"), ("x-client", "something")):
        option = answer.ok_response.headers.add()
        option.header.key, option.header.value = name, value
    return answer.SerializeToString()
