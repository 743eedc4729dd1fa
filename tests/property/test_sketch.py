"""Equal sketches mean equal names, whatever a client, a proxy or a torn wire makes of a message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from extauthz.request import layout
from extauthz.request.layout import LARGEST, PASSING
from extauthz.request.question import read_question
from extauthz.request.sketch import Sketches

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


def readings(sketches: Sketches, raw: bytes) -> list[tuple[bytes, tuple[str, str]]]:
    """Return by each layout that fits the digest of a message, with its request id and trace id."""
    read = [(layout, layout.read(raw)) for layout in sketches.layouts_for(raw)]
    return [(found[0], layout.ids(found[1])) for layout, found in read if found is not None]


def digests(sketches: Sketches, raw: bytes) -> set[bytes]:
    """Return what a message may be known as."""
    return {digest for digest, _ in readings(sketches, raw)}


def broken_law(base: bytes, others: Iterable[bytes]) -> tuple[int, str]:
    """Return how many of `others` have a sketch of `base`, and what is wrong with one of them, if anything."""
    sketches = book(base)
    name = read_question(base, READ)
    assert name is not None
    known = digests(sketches, base)
    alike = 0
    for raw in others:
        for digest, ids in readings(sketches, raw):
            if digest not in known:
                continue
            alike += 1
            question = read_question(raw, READ)
            if question is None:
                return alike, "it has no name"
            if question.name != name.name:
                return alike, "it has another name"
            if (question.request_id, question.trace_id) != ids:
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
    """Stream id and time of any length, once their lengths were met with another question; ids of one length."""
    sketches = book(MESSAGE, replace(other, token="Bearer bbb").serialised())
    assert digests(sketches, other.serialised()) == digests(sketches, MESSAGE)


def test_a_port_as_long_as_another_is_known() -> None:
    """A longer one is learned from any question that comes from it."""
    sketches = book(MESSAGE)
    assert digests(sketches, replace(BASE, port=50_000).serialised()) == digests(sketches, MESSAGE)
    short = replace(BASE, port=443)
    assert digests(sketches, short.serialised()) == set()
    assert sketches.learn(replace(short, token="Bearer bbb").serialised())
    assert digests(sketches, short.serialised()) == digests(sketches, MESSAGE)


def test_of_one_layout_the_header_names_count() -> None:
    """Where one has its request id, the other has a trace; each sketch tells its own."""
    trace = replace(BASE, names=("traceparent",)).serialised()
    other = trace.replace(b"traceparent", b"x-b3-spanid")
    sketches = book(trace, other)
    assert len(digests(sketches, trace)) == 2
    assert digests(book(trace), trace).isdisjoint(digests(book(other), other))
    assert broken_law(trace, [other])[1] == broken_law(other, [trace])[1] == ""


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
        b"\x0a\xff\xff\x01",
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


def edited(where: str, **fields: Any) -> bytes:
    """Return the message with fields of one of its parts set."""
    message = CheckRequest.FromString(MESSAGE)
    part: Any = message.attributes
    for name in where.split("."):
        part = getattr(part, name)
    for name, value in fields.items():
        setattr(part, name, value)
    return message.SerializeToString()


SOCKET, HTTP = "source.address.socket_address", "request.http"


@pytest.mark.parametrize(
    ("raw", "learned"),
    [
        (edited(HTTP, size=5), True),
        (edited(HTTP, size=-1), False),
        (edited(HTTP, size=2**62), True),
        (edited("source", principal="spiffe://a", certificate="a"), True),
        (edited(SOCKET, port_value=0), True),
        (edited(SOCKET, named_port="http"), False),
        (edited(SOCKET, protocol=1), False),
        (edited("source.address.pipe", path="/run/socket"), False),
        (edited("tls_session", sni="a"), True),
        (MESSAGE.replace(b"\x0a\x06x-mode\x1a\x01x", b"\x0a\x06x-mode\x12\x01x"), False),
        (MESSAGE.replace(b"\x0a\x06x-mode\x1a\x01x", b"\x1a\x01x\x0a\x06x-mode"), False),
        (MESSAGE.replace(b"\x0a\x06x-mode\x1a\x01x", b"\x0a\x04mode\x1a\x00\x1a\x01x"), False),
    ],
)
def test_only_one_framing_is_learned(raw: bytes, *, learned: bool) -> None:
    """That of a proxy that shows one connection, in the order of the fields."""
    assert (Sketches(READ).learn(raw) is not None) is learned


def test_what_policy_reads_never_passes() -> None:
    """Each question is another one then, and its id has to be read for the record."""
    for name in ("x-request-id", "traceparent"):
        assert not Sketches(frozenset({name})).learn(MESSAGE)
    assert Sketches(frozenset({"x-b3-traceid"})).learn(MESSAGE)


@pytest.mark.parametrize("name", ["x-request-id", "traceparent"])
def test_of_two_ids_none_is_taken_for_the_other(name: str) -> None:
    """The first one is empty, and it is the one that counts."""
    message = CheckRequest.FromString(replace(BASE, names=(name,)).serialised())
    first = message.attributes.request.http.header_map.headers.add()
    first.key = name
    lines = list(message.attributes.request.http.header_map.headers)
    message.attributes.request.http.header_map.ClearField("headers")
    message.attributes.request.http.header_map.headers.extend([lines[-1], *lines[:-1]])
    raw = message.SerializeToString()
    assert read_question(raw, READ) is not None
    assert not Sketches(READ).learn(raw)


SOCKET_ADDRESS = b"\x0a\x0e\x12\x0a192.0.2.10\x18\x01"
REST = b"\x22\x02/a\x6a\x05\x0a\x03\x0a\x01a"


def sized(tag: bytes, part: bytes) -> bytes:
    """Return a field of a short part."""
    return tag + bytes([len(part)]) + part


def framed(
    address: bytes = SOCKET_ADDRESS, peer: bytes = b"", destination: bytes = b"", rest: bytes = REST, tail: bytes = b""
) -> bytes:
    """Return a message of these parts; `peer` stands behind the address in the source, `rest` behind the stream id."""
    source = sized(b"\x0a", sized(b"\x0a", address) + peer)
    request = sized(b"\x22", sized(b"\x12", b"\x0a\x011" + rest))
    return sized(b"\x0a", source + destination + request + tail)


@pytest.mark.parametrize(
    ("parts", "learned"),
    [
        ({}, True),
        ({"address": SOCKET_ADDRESS + b"\x1a\x00"}, False),
        ({"peer": b"\x22\x01a"}, True),
        ({"peer": b"\x3a\x01a"}, False),
        ({"rest": REST + b"\x52\x01a"}, False),
        ({"tail": b"\x62\x00"}, True),
        ({"tail": b"\x22\x00"}, False),
        ({"tail": b"\x52"}, False),
    ],
)
def test_no_field_may_stand_where_none_is_expected(parts: dict[str, bytes], *, learned: bool) -> None:
    """It could mean what another one there has meant."""
    assert (Sketches(READ).learn(framed(**parts)) is not None) is learned


def test_a_destination_is_not_made_of_what_stands_behind_one_that_is_missing() -> None:
    """The same bytes in the same order, framed so that the method becomes an address and the context a protocol."""
    tail, method = b"\x52\x04\x0a\x00\x12\x00", b"\x12\x04POST"
    one, other = framed(rest=method + REST, tail=tail), framed(destination=method, rest=REST + tail)
    names = [question and question.name for question in (read_question(raw, READ) for raw in (one, other))]
    assert None not in names
    assert names[0] != names[1]
    assert digests(book(one), one)
    assert digests(book(one), one).isdisjoint(digests(book(one), other))


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


def among_each_other(random: Random, *, own: bool) -> str:
    """Return what is wrong with messages of one length whose passing headers stand elsewhere in each, if anything.

    Args:
        random: chooses them, and changes to them.
        own: remember a message by its own layout only, and not by those of all others.
    """
    sketches, known, raws = Sketches(READ), {}, []
    for _ in range(40):
        names = tuple(random.sample(["traceparent", "x-request-id", "x-b3-traceid"], 3))
        told = replace(BASE, names=names, token="t" * random.randrange(60), request_id="r" * random.randrange(60))
        length = len(told.agent) + 600 - len(told.serialised())
        message = CheckRequest.FromString(replace(told, agent="c" * length).serialised())
        shown = message.attributes.request.http.header_map
        lines = list(shown.headers)
        random.shuffle(lines)
        shown.ClearField("headers")
        shown.headers.extend(lines)
        raw = message.SerializeToString()
        question, found = read_question(raw, READ), sketches.learn(raw)
        assert question is not None
        assert found is not None
        raws.append(raw)
        known.update(dict.fromkeys([found] if own else digests(sketches, raw), question.name))
    for raw in raws * 20:
        at = random.randrange(100, len(raw))
        other = raw[:at] + b"z" + raw[at + 1 :]
        question = read_question(other, READ)
        for digest in digests(sketches, other):
            if digest in known and (question is None or question.name != known[digest]):
                return "it has another name"
    return ""


def test_the_law_holds_among_messages_of_one_length() -> None:
    """Each is laid out otherwise; in one of them a token stands where another has an id."""
    assert [among_each_other(Random(seed), own=True) for seed in range(20)] == [""] * 20


def test_by_the_layouts_of_others_the_law_breaks() -> None:
    """The negative control: what is cut out of a message then is whatever stands there."""
    assert any(among_each_other(Random(seed), own=False) for seed in range(20))


def test_without_the_shape_of_passing_values_the_law_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a time that is none, cut unseen, makes a message that has no name."""
    mask_of = layout._mask
    monkeypatch.setattr(layout, "_mask", lambda raw, numbers: mask_of(raw, numbers).replace(b"\x80", b"\x00"))
    at = MESSAGE.index(b"\x0a\x08\x08") if b"\x0a\x08\x08" in MESSAGE else MESSAGE.index(b"\x08\x80")
    random = Random(1)
    wrong = [MESSAGE[:at] + bytes([random.randrange(256)]) + MESSAGE[at + 1 :] for at in range(at, at + 9)] * 40
    assert broken_law(MESSAGE, wrong)[1] == "it has no name"
