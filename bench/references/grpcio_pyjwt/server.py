"""A reference: grpcio and PyJWT the obvious way, the rules in code; with `--cache` verified tokens stay in a dict."""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import jwt

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

MAX_ENTRIES = 100_000
"""A full cache starts again empty."""


class Checker:
    """The check: a verified token with the scope reads reports.

    Args:
        jwks: the issuer's keys.
        cached: whether verified tokens are remembered.
    """

    def __init__(self, jwks: dict[str, Any], *, cached: bool) -> None:
        self._keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(jwks).keys}
        self._cache: dict[str, dict[str, Any]] | None = {} if cached else None

    def check(  # noqa: PLR0911 — the obvious way: one refusal after the other
        self, request: CheckRequest, _context: grpc.ServicerContext
    ) -> CheckResponse:
        """Answer one question."""
        http = request.attributes.request.http
        lines = {line.key: line.raw_value.decode() for line in http.header_map.headers}
        scheme, _, token = lines.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return _denied(401, "no_credentials")
        try:
            claims = self._identify(token)
        except jwt.ExpiredSignatureError:
            return _denied(401, "token_expired")
        except jwt.InvalidAudienceError:
            return _denied(401, "audience_mismatch")
        except (jwt.InvalidTokenError, KeyError):
            return _denied(401, "signature_invalid")
        if http.method != "GET" or http.host != "api.example.com" or not _is_report(http.path):
            return _denied(403, "no_resource")
        if "reports:read" not in claims["scope"].split():
            return _denied(403, "insufficient_scope")
        return _allowed(claims["sub"], claims["client_id"])

    def _identify(self, token: str) -> dict[str, Any]:
        if self._cache is not None and (known := self._cache.get(token)) and known["exp"] > time.time():
            return known
        key = self._keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["ES256"], audience="https://api.example.com", issuer="https://issuer.example.com"
        )
        if self._cache is not None:
            if len(self._cache) >= MAX_ENTRIES:
                self._cache.clear()
            self._cache[token] = claims
        return claims


def _is_report(path: str) -> bool:
    name = path.partition("?")[0].removeprefix("/v1/reports/")
    return bool(name) and "/" not in name and name != "embargoed"


def _allowed(subject: str, client: str) -> CheckResponse:
    answer = CheckResponse()
    answer.status.code = 0
    for name, value in (("x-subject", subject), ("x-client", client)):
        option = answer.ok_response.headers.add()
        option.header.key, option.header.value = name, value
    return answer


def _denied(status: int, reason: str) -> CheckResponse:
    answer = CheckResponse()
    answer.status.code = 16 if status == 401 else 7  # noqa: PLR2004 — UNAUTHENTICATED and PERMISSION_DENIED
    answer.status.message = reason
    answer.denied_response.status.code = status  # type: ignore[assignment]  # an enum on the wire
    answer.denied_response.body = reason
    return answer


def main() -> None:
    """Serve until told to stop."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--address", default="127.0.0.1:9191")
    arguments.add_argument("--jwks", type=Path, required=True)
    arguments.add_argument("--cache", action="store_true")
    chosen = arguments.parse_args()
    checker = Checker(json.loads(chosen.jwks.read_text("utf-8")), cached=chosen.cache)
    handler = grpc.unary_unary_rpc_method_handler(
        checker.check, CheckRequest.FromString, CheckResponse.SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": handler}),)
    )
    server.add_insecure_port(chosen.address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
