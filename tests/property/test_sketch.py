"""Equal sketches mean equal names, whatever a client, a proxy or a torn wire makes of a message."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.request import sketch
from extauthz.request.question import read_question
from extauthz.request.sketch import LARGEST, PASSING, Sketches

if TYPE_CHECKING:
    from collections.abc import Iterable

READ = frozenset({"x-mode"})
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
REQUEST_ID = "7d9f1c8e-5b0a-4a53-9f6e-0c7f2f3b8a11"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a message says; the fields that follow a comment are those that no name knows."""

    path: str = "/things/7"
    mode: str = "x"
    token: str = "Bearer aaa"
    agent: str = "curl"
    host: str = "api.example.com"
    address: str = "192.0.2.10"
    context: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    names: tuple[str, ...] = ("x-request-id", "traceparent")
    # Passing:
    request_id: str = REQUEST_ID
    trace: str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    stream: str = "1234567890123456789"
    port: int = 40312
    seconds: int = 1_790_000_000
    nanos: int = 5

    def serialised(self) -> bytes:
        """Return the message as Envoy sends it with `encode_raw_headers`."""
        message = CheckRequest()
        attributes = message.attributes
        attributes.source.address.socket_address.address = self.address
        attributes.source.address.socket_address.port_value = self.port
        attributes.destination.address.socket_address.address = "127.0.0.1"
        attributes.request.time.seconds = self.seconds
        attributes.request.time.nanos = self.nanos
        http = attributes.request.http
        http.id, http.method, http.path, http.host, http.scheme = self.stream, "GET", self.path, self.host, "https"
        http.raw_body = self.body
        passing = {"x-request-id": self.request_id, "traceparent": self.trace}
        lines = [
            (":authority", self.host),
            (":path", self.path),
            ("authorization", self.token),
            ("x-mode", self.mode),
            ("user-agent", self.agent),
            *((name, passing.get(name, self.request_id)) for name in self.names),
        ]
        for name, value in lines:
            line = http.header_map.headers.add()
            line.key, line.raw_value = name, value.encode()
        for name, value in self.context:
            attributes.context_extensions[name] = value
        return message.SerializeToString()


BASE = Told()
MESSAGE = BASE.serialised()


def book(*learned: bytes) -> Sketches:
    """Return sketches that have learned from these messages."""
    sketches = Sketches(READ)
    for raw in learned:
        assert sketches.learn(raw)
    return sketches


def digests(sketches: Sketches, raw: bytes) -> set[bytes]:
    """Return what a message may be known as."""
    return {found.digest for found in sketches.read(raw)}


def broken_law(base: bytes, others: Iterable[bytes]) -> tuple[int, str]:
    """Return how many of `others` have a sketch of `base`, and what is wrong with one of them, if anything."""
    sketches = book(base)
    name = read_question(base, READ)
    assert name is not None
    known = digests(sketches, base)
    alike = 0
    for raw in others:
        for found in sketches.read(raw):
            if found.digest not in known:
                continue
            alike += 1
            question = read_question(raw, READ)
            if question is None:
                return alike, "it has no name"
            if question.name != name.name:
                return alike, "it has another name"
            if (question.request_id, question.trace_id) != (found.request_id, found.trace_id):
                return alike, "it is of another request or trace"
    return alike, ""


@given(
    st.builds(
        Told,
        request_id=st.from_regex(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", fullmatch=True),
        stream=st.integers(0, 2**64 - 1).map(str),
        seconds=st.integers(0, 2**40),
        nanos=st.integers(0, 999_999_999),
    )
)
def test_what_passes_does_not_change_the_sketch(other: Told) -> None:
    """Stream id and time of any length; ids of the length that was learned."""
    assert digests(book(MESSAGE), other.serialised()) == digests(book(MESSAGE), MESSAGE)


def test_another_port_is_learned_and_then_known() -> None:
    """A connection's source is remembered as a whole, so its first question is named."""
    sketches = book(MESSAGE)
    elsewhere = replace(BASE, port=50_000).serialised()
    assert sketches.read(elsewhere) == []
    assert sketches.learn(elsewhere)
    assert digests(sketches, elsewhere) == digests(sketches, MESSAGE)


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/things/8"},
        {"mode": "y"},
        {"token": "Bearer aab"},
        {"host": "api.example.org"},
        {"address": "192.0.2.11"},
        {"context": (("a", "b"),)},
        {"names": ("traceparent", "x-request-id")},
        {"request_id": REQUEST_ID[:-1]},
        {"request_id": REQUEST_ID[:-1] + "\x01"},
        {"request_id": REQUEST_ID[:-2] + "é"},
        {"stream": "é"},
    ],
)
def test_everything_else_does(change: dict[str, Any]) -> None:
    """Also an id of another length, or one that has no place in a named question."""
    sketches = book(MESSAGE)
    assert digests(sketches, replace(BASE, **change).serialised()).isdisjoint(digests(sketches, MESSAGE))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x0a",
        MESSAGE + b"\x12\x00",
        MESSAGE[:-1],
        replace(BASE, names=("x-request-id", "x-request-id")).serialised(),
        replace(BASE, names=("X-Request-Id", "x-request-id")).serialised(),
        replace(BASE, body=b"{}").serialised(),
        replace(BASE, agent="a" * LARGEST).serialised(),
        CheckRequest.FromString(MESSAGE).SerializeToString().replace(b"\x22", b"\x2a", 1),
    ],
)
def test_what_is_unusual_is_not_learned(raw: bytes) -> None:
    """It is named each time, or has no name."""
    assert not Sketches().learn(raw)
    assert Sketches().read(raw) == []


def test_what_policy_reads_never_passes() -> None:
    """A header that is an attribute stays in the digest."""
    sketches = Sketches(frozenset({"x-request-id"}))
    other = replace(BASE, request_id="0" * 36).serialised()
    assert sketches.learn(MESSAGE)
    assert digests(sketches, other).isdisjoint(digests(sketches, MESSAGE))
    assert digests(sketches, MESSAGE)


def test_no_passing_header_is_read_by_anything_else() -> None:
    """The list agrees with the one of values that names know."""
    from extauthz.request.question import VALUES_READ  # noqa: PLC0415 — used once

    assert VALUES_READ.isdisjoint(PASSING)


def torn(random: Random, raw: bytes) -> bytes:
    """Return a message with a few bytes changed, moved, doubled or gone."""
    changed = bytearray(raw)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(changed))
        what = random.random()
        if what < 0.5:
            changed[at] = random.choice([random.randrange(256), changed[at] ^ 1, changed[at] ^ 0x80])
        elif what < 0.7:
            changed[at : at + 1] = changed[at : at + random.randint(1, 4)] * 2
        elif what < 0.9:
            to = random.randrange(len(changed))
            changed[at], changed[to] = changed[to], changed[at]
        else:
            del changed[at : at + random.randint(1, 3)]
    return bytes(changed)


@pytest.mark.parametrize("seed", range(8))
def test_no_torn_message_is_taken_for_another(seed: int) -> None:
    """16,000 messages with a few wrong bytes: those that are recognised have the very same name."""
    random = Random(seed)
    alike, problem = broken_law(MESSAGE, (torn(random, MESSAGE) for _ in range(2000)))
    assert problem == ""
    assert alike, "the test means nothing when nothing is recognised"


@given(st.builds(Told, path=TEXT, mode=TEXT, token=TEXT, agent=TEXT, host=TEXT, address=TEXT), st.randoms())
def test_the_law_holds_for_messages_of_clients(base: Told, random: Random) -> None:
    """Whatever they put into what they choose, framing bytes included."""
    raw = base.serialised()
    if read_question(raw, READ) is not None and Sketches(READ).learn(raw):
        assert broken_law(raw, [torn(random, raw) for _ in range(20)])[1] == ""


def test_without_the_shape_of_passing_values_the_law_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a time that is none, cut unseen, makes a message that has no name."""
    monkeypatch.setattr(sketch, "_TIMESTAMP", re.compile(b".*", re.DOTALL))
    at = MESSAGE.index(b"\x0a\x08\x08") if b"\x0a\x08\x08" in MESSAGE else MESSAGE.index(b"\x08\x80")
    random = Random(1)
    wrong = [MESSAGE[:at] + bytes([random.randrange(256)]) + MESSAGE[at + 1 :] for at in range(at, at + 9)] * 40
    assert broken_law(MESSAGE, wrong)[1] == "it has no name"
