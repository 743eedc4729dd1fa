"""The answer of the constant servers: an allow with two headers."""

from __future__ import annotations

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse

METHOD = "/envoy.service.auth.v3.Authorization/Check"


def constant_answer() -> bytes:
    """Return a serialised allow."""
    answer = CheckResponse()
    answer.status.code = 0
    for name, value in (("x-subject", "somebody"), ("x-client", "something")):
        option = answer.ok_response.headers.add()
        option.header.key, option.header.value = name, value
    return answer.SerializeToString()
