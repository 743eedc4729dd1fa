"""The push endpoint under requests that are nearly right: one answer of ours or none, and nothing slips through."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extauthz.receiver.authorization import AuthorizationFile
from tests.simulators.desk import ScriptedDesk
from tests.simulators.transmitter import AUTHORIZATION
from tests.unit.receiver.receiving import EVENT, answer_or_nothing, connect, receiving, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.receiver.push import PushReceiver

LINES = [
    "POST /events/idp HTTP/1.1",
    f"authorization: {AUTHORIZATION}",
    "content-type: application/secevent+jwt",
    f"content-length: {len(EVENT)}",
]
STATUSES = {0, 202, 400, 404, 405, 411, 413, 431, 505}
ODD = st.sampled_from(
    [
        "",
        " ",
        "\t",
        "\n",
        "\r",
        "\x00",
        ":",
        "é",
        "authorization: x",
        "transfer-encoding: chunked",
        "content-length: 1",
        "GET / HTTP/1.1",
        " folded",
        "x" * 300,
    ]
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PushReceiver, ScriptedDesk]]:
    """Run one receiver for all examples."""
    desk = ScriptedDesk()
    with receiving(tmp_path_factory.mktemp("receiver"), desk, seconds=2.0) as receiver:
        yield receiver, desk


@st.composite
def nearly_right(draw: st.DrawFn) -> bytes:
    """Return a request in which something is added, doubled, left out, cut or swapped."""
    lines = list(LINES)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["insert", "double", "remove", "into", "swap"])):
            case "insert":
                lines.insert(place, draw(ODD))
            case "double":
                lines.insert(place, lines[place])
            case "remove" if len(lines) > 1:
                del lines[place]
            case "into":
                cut = draw(st.integers(0, len(lines[place])))
                lines[place] = lines[place][:cut] + draw(ODD) + lines[place][cut:]
            case _:
                lines[place], lines[0] = lines[0], lines[place]
    end = draw(st.sampled_from(["\r\n", "\r\n", "\n"]))
    raw = (end.join(lines) + end + end + EVENT).encode()
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.booleans()) else raw


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=nearly_right())
def test_one_answer_of_ours_or_none(served: tuple[PushReceiver, ScriptedDesk], raw: bytes) -> None:
    """The desk hears an event only when it was whole and rightly sent, and then the answer is 202."""
    receiver, desk = served
    desk.heard.clear()
    with connect(receiver) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = answer_or_nothing(connection)
    assert status_of(answer) in STATUSES
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert len(desk.heard) == (status_of(answer) == 202)
    if desk.heard:
        assert AUTHORIZATION.encode() in raw
        assert b"secevent+jwt" in raw
        assert EVENT.startswith(desk.heard[0][1])


@given(st.lists(st.text(st.characters(codec="latin-1"), max_size=40), max_size=3), st.text(max_size=40))
def test_only_the_exact_value_is_admitted(
    tmp_path_factory: pytest.TempPathFactory, given_values: list[str], odd: str
) -> None:
    """One header, byte by byte."""
    file = tmp_path_factory.getbasetemp() / "authorization"
    file.write_text(f"{AUTHORIZATION}\n")
    admits = AuthorizationFile(file).admits
    assert admits([AUTHORIZATION])
    assert not admits([AUTHORIZATION, odd])
    assert admits(given_values) == (given_values == [AUTHORIZATION])
    assert admits([AUTHORIZATION + odd]) == (odd == "")
