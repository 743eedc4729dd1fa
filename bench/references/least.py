"""A reference: the least that Python can do for a new token, to see how near to a bare signature anybody could come.

The message is parsed by the protobuf library, the token cut and decoded by the standard library, its signature verified
by `cryptography` with a key that is held ready, five claims are looked at, the token is remembered by digest, one line
is written for the record, and the answer is made of prepared bytes. Nothing is normalised, nothing malformed is
thought of, no policy is read, nobody can be revoked: it is a ruler, not a server for anybody.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from binascii import a2b_base64
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pygrpc_native import EVENT_CALL, NativeGrpcFront

from bench.references.constant_answer import METHOD, constant_answer
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BATCH: Final = 256
_BUFFERED: Final = 500
_ID_HEADER: Final = "x-extauthz-decision-id"
_ES256: Final = ec.ECDSA(hashes.SHA256())
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


class Least:
    """The check.

    Args:
        key: the issuer's.
        answer: a serialised allow of extauthz; every answer is this one under an id of its own.
        write: takes lines for the record.
    """

    def __init__(self, key: ec.EllipticCurvePublicKey, answer: bytes, write: Callable[[bytes], object]) -> None:
        self._key = key
        headers = {one.header.key: one.header.value for one in CheckResponse.FromString(answer).ok_response.headers}
        own = headers[_ID_HEADER]
        self._pieces, self._id_bytes = answer.split(own.encode()), len(own) // 2
        self._write = write
        self._lines: list[str] = []
        self._kept: dict[bytes, tuple[int, str]] = {}

    def check(self, raw: bytes, _context: grpc.ServicerContext | None = None) -> bytes:
        """Answer one question.

        Raises:
            ValueError: it is not to be allowed.
        """
        http = CheckRequest.FromString(raw).attributes.request.http
        token = next(line.raw_value for line in http.header_map.headers if line.key == "authorization")[7:]
        signed, _, signature = token.rpartition(b".")
        claims: dict[str, Any] = json.loads(_decoded(signed.partition(b".")[2]))
        both = _decoded(signature)
        pair = encode_dss_signature(int.from_bytes(both[:32], "big"), int.from_bytes(both[32:], "big"))
        self._key.verify(pair, signed, _ES256)
        now = time.time()
        path = http.path
        if (
            http.method != "GET"
            or not path.startswith("/v1/reports/")
            or claims["iss"] != "https://issuer.example.com"
            or claims["aud"] != "https://api.example.com"
            or claims["exp"] <= now
            or "reports:read" not in claims["scope"].split()
        ):
            raise ValueError(path)
        subject = claims["sub"]
        decision_id = os.urandom(self._id_bytes).hex()
        self._kept[sha256(token).digest()] = claims["exp"], subject
        self._lines.append(f'{{"id":"{decision_id}","subject":"{subject}","path":"{path}","at":{now}}}\n')
        if len(self._lines) >= _BUFFERED:
            self._write("".join(self._lines).encode())
            self._lines.clear()
        return decision_id.encode().join(self._pieces)


def _decoded(part: bytes) -> bytes:
    return a2b_base64(part.translate(_STANDARD) + b"==")


def main() -> None:
    """Serve until told to stop."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--address", default="127.0.0.1:9191")
    arguments.add_argument("--jwks", type=Path, required=True)
    arguments.add_argument("--answer", type=Path, required=True, help="file with a serialised answer")
    arguments.add_argument("--records", type=Path, default=Path(os.devnull))
    arguments.add_argument("--engine", choices=("grpcio", "native"), required=True)
    chosen = arguments.parse_args()
    key = jwt.PyJWKSet.from_dict(json.loads(chosen.jwks.read_text("utf-8"))).keys[0].key
    with chosen.records.open("ab", buffering=0) as records:
        least = Least(key, constant_answer(chosen.answer), records.write)
        (_serve_native if chosen.engine == "native" else _serve_grpcio)(chosen.address, least)


def _serve_native(address: str, least: Least) -> None:
    front = NativeGrpcFront(address, [(METHOD, False)], io_threads=1, call_details=True)
    front.start()
    while (batch := front.recv_batch_details(MAX_BATCH)) is not None:
        for kind, call_id, _, raw, *_ in batch:
            if kind == EVENT_CALL:
                front.respond(call_id, least.check(raw or b""))


def _serve_grpcio(address: str, least: Least) -> None:
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(least.check)
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": handler}),)
    )
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
