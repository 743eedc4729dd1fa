"""What is asked: tokens, serialised CheckRequests, and the answer that each must get.

A question looks like an everyday API call: 1.3 kB, fifteen headers, an ES256 access token (RFC 9068). As behind a real
proxy no two of them have the same request id, trace, stream id or time, so that no server gains by comparing bytes.
Headers are shown line by line, as by the Envoy configurations in `envoy/` (`encode_raw_headers`).

An entry of a questions file is: u32 length, payload, u16 HTTP status of the expected denial (0 for an allow), u8
length, expected reason; integers big endian.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.timestamp_pb2 import Timestamp

from extauthz.gen.envoy.config.core.v3.address_pb2 import Address, SocketAddress
from extauthz.gen.envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from extauthz.gen.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ISSUER: Final = "https://issuer.example.com"
AUDIENCE: Final = "https://api.example.com"
HOST: Final = "api.example.com"
COLD_TOKENS: Final = 20_000
"""Tokens that are asked about in a closed loop, each for the first time."""
FRESH_TOKENS: Final = 10_000
"""Tokens that are asked about in an open loop, each for the first time."""
WARM_TOKENS: Final = 1_000
"""Tokens that let a server get going before a measurement; asked about again and again."""

_HERE: Final = SocketAddress(address="192.0.2.1", port_value=443)

_ONE_TOKEN_QUESTIONS: Final = 1_000
_REFUSED_TOKENS: Final = 256
_REPORTS: Final = 64
_LIFETIME_SECONDS: Final = 3600
_KID: Final = "bench-2026"


@dataclass(frozen=True)
class Question:
    """One request and what must be answered.

    Attributes:
        token: the access token.
        number: makes ids differ.
        status: HTTP status of the expected denial; 0 expects an allow.
        reason: of the expected denial.
    """

    token: str
    number: int
    status: int = 0
    reason: str = ""

    @property
    def path(self) -> str:
        """Return the request's path."""
        return f"/v1/reports/q{self.number % _REPORTS}-2026?page=2&per_page=50"

    def headers(self) -> dict[str, str]:
        """Return the request's headers, pseudo headers first."""
        digest = hashlib.blake2b(str(self.number).encode(), digest_size=24).hexdigest()
        return {
            ":authority": HOST,
            ":path": self.path,
            ":method": "GET",
            ":scheme": "https",
            "user-agent": "reporting-agent/4.2 (python-httpx/0.28.1)",
            "accept": "application/json",
            "accept-encoding": "gzip, deflate, br",
            "accept-language": "en-GB,en;q=0.8,de;q=0.5,fr;q=0.3",
            "x-forwarded-proto": "https",
            "x-forwarded-for": "198.51.100.7",
            "x-request-id": f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-9{digest[17:20]}-{digest[20:32]}",
            "traceparent": f"00-{digest[:32]}-{digest[32:48]}-01",
            "cache-control": "no-cache",
            "x-client-version": "2026.11.3",
            "authorization": f"Bearer {self.token}",
        }

    def to_check_request(self) -> bytes:
        """Return the serialised `CheckRequest` that Envoy would send."""
        lines = [HeaderValue(key=name, raw_value=value.encode()) for name, value in self.headers().items()]
        http = AttributeContext.HttpRequest(
            id=str(12345678901234567890 - self.number),
            method="GET",
            header_map=HeaderMap(headers=lines),
            path=self.path,
            host=HOST,
            scheme="https",
            protocol="HTTP/2",
        )
        address = Address(socket_address=SocketAddress(address="198.51.100.7", port_value=40312))
        time = Timestamp(seconds=1_790_000_000 + self.number // 1000, nanos=self.number % 1000 * 1_000_001)
        attributes = AttributeContext(
            source=AttributeContext.Peer(address=address),
            destination=AttributeContext.Peer(address=Address(socket_address=_HERE)),
            request=AttributeContext.Request(time=time, http=http),
        )
        return CheckRequest(attributes=attributes).SerializeToString()

    def to_header_lines(self) -> bytes:
        """Return the request as a client sends it to Envoy over plaintext HTTP/2."""
        fields = {**self.headers(), ":scheme": "http"}
        fields = {name: value for name, value in fields.items() if not name.startswith("x-forwarded")}
        return "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()


class Issuer:
    """Makes access tokens with one ES256 key."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def mint(self, number: int, now: float, **changes: Any) -> str:
        """Return an access token; `changes` replace claims."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": f"pipeline-{number}",
            "client_id": "reporting-agent",
            "iat": int(now) - 5,
            "exp": int(now) + _LIFETIME_SECONDS - 10,
            "jti": f"01J{number:023d}",
            "scope": "reports:read reports:list",
            "kind": "ci",
            "tenant": "acme",
            "roles": ["reader", "deployer"],
            **changes,
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"typ": "at+jwt", "kid": _KID})

    def jwks(self) -> dict[str, Any]:
        """Return the JWK set."""
        numbers = self._key.public_key().public_numbers()
        point = {"x": _base64url(numbers.x), "y": _base64url(numbers.y)}
        return {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": _KID, **point}]}


@dataclass(frozen=True)
class Corpus:
    """Files of one benchmark run.

    Attributes:
        folder: where they lie: `cached`, `cold`, `fresh`, `warm`, `refused` and `http` questions, `jwks.json`, and
            `answer`, which `bench/floors.py` adds.
        typical_bytes: size of a question.
        cold: how many `cold` questions there are.
    """

    folder: Path
    typical_bytes: int
    cold: int

    @property
    def jwks(self) -> Path:
        """Return the file with the issuer's keys."""
        return self.folder / "jwks.json"

    @property
    def answer(self) -> Path:
        """Return the file with what extauthz answers to the first `cached` question."""
        return self.folder / "answer"

    def questions(self, name: str) -> Path:
        """Return a questions file."""
        return self.folder / f"{name}.questions"


def make_corpus(folder: Path, now: float, *, cold: int = COLD_TOKENS, fresh: int = FRESH_TOKENS) -> Corpus:
    """Write the corpus into `folder`; its tokens are valid for an hour from `now`."""
    issuer = Issuer()
    corpus = Corpus(folder, len(Question(issuer.mint(0, now), 0).to_check_request()), cold)
    corpus.jwks.write_text(json.dumps(issuer.jwks()), "utf-8")
    one_token = issuer.mint(0, now)
    cached = [Question(one_token, number) for number in range(_ONE_TOKEN_QUESTIONS)]
    _write(corpus, "cached", cached)
    _write_http(corpus, cached)
    first = 1
    for name, count in (("cold", cold), ("fresh", fresh), ("warm", WARM_TOKENS)):
        numbers = range(first, first + count)
        _write(corpus, name, (Question(issuer.mint(number, now), number) for number in numbers))
        first += count
    _write(corpus, "refused", _refused(issuer, now))
    return corpus


def _refused(issuer: Issuer, now: float) -> Iterable[Question]:
    for number in range(_REFUSED_TOKENS):
        expired = issuer.mint(number, now, iat=int(now) - 1200, exp=int(now) - 600)
        yield Question(expired, number, 401, "token_expired")
        elsewhere = issuer.mint(number, now, aud="https://elsewhere.example.com")
        yield Question(elsewhere, number, 401, "audience_mismatch")


def _write(corpus: Corpus, name: str, questions: Iterable[Question]) -> None:
    with corpus.questions(name).open("wb") as file:
        for question in questions:
            file.write(_entry(question.to_check_request(), question.status, question.reason))


def _write_http(corpus: Corpus, questions: Iterable[Question]) -> None:
    with corpus.questions("http").open("wb") as file:
        for question in questions:
            file.write(_entry(question.to_header_lines(), question.status or 200, ""))


def _entry(payload: bytes, status: int, reason: str) -> bytes:
    return struct.pack(">I", len(payload)) + payload + struct.pack(">HB", status, len(reason)) + reason.encode()


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
