"""The listener: broken and hostile clients hurt nobody else, and nobody else gets in."""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
import struct
import threading
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import SystemClock
from extauthz.errors import LinkError
from extauthz.link import listener as listener_module
from extauthz.link.caller import MAX_KEPT, LinkCaller
from extauthz.link.frames import MAX_FRAME, FrameSocket, to_frame
from extauthz.link.listener import LinkListener, make_run_dir
from tests.integration.running import seconds_of_patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PATIENCE = 10.0


def echo(message: dict[str, Any]) -> Mapping[str, Any]:
    """Answer with what was asked, or fail when asked to."""
    if message.get("fail"):
        message_text = "asked to fail"
        raise RuntimeError(message_text)
    return {"heard": message}


@contextmanager
def listening(
    path: Path, handle: Callable[[dict[str, Any]], Mapping[str, Any]] = echo, **turned: Any
) -> Iterator[LinkListener]:
    """Yield a listener that answers."""
    listener = LinkListener(path, handle, **turned)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a socket is to be."""
    return tmp_path / "test.sock"


@contextmanager
def connection(path: Path) -> Iterator[socket.socket]:
    """Yield a raw connection."""
    with closing(socket.socket(socket.AF_UNIX)) as raw:
        raw.settimeout(PATIENCE)
        raw.connect(str(path))
        yield raw


def answer_on(raw: socket.socket) -> dict[str, Any] | None:
    """Return the next answer on a raw connection; None when it is over."""
    return FrameSocket(raw, SystemClock()).receive(PATIENCE)


def test_questions_are_answered_in_order(path: Path) -> None:
    """On one connection, as many as there are."""
    with listening(path) as listener, closing(LinkCaller(path)) as caller:
        assert [caller.ask({"n": n}) for n in range(3)] == [{"heard": {"n": n}} for n in range(3)]
        assert listener.connections == 1


def test_the_socket_is_its_owners_alone(path: Path) -> None:
    """From the first moment on; and it goes when the listener goes."""
    with listening(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (struct.pack(">I", MAX_FRAME + 1), "was announced"),
        (struct.pack(">I", 5) + b"[1,2]", "no message"),
        (struct.pack(">I", 4) + b"\xff\xfe\xfd\xfc", "no message"),
        (struct.pack(">I", 13) + b'{"a":1,"a":2}', "no message"),
        (struct.pack(">I", 9) + b'{"a":NaN}', "no message"),
        (struct.pack(">I", 400) + b'{"a":' + b"[" * 195 + b"]" * 195 + b"     ", "no message"),
        (struct.pack(">I", 50) + b'{"a"', "in time"),
    ],
)
def test_a_broken_client_is_told_and_hung_up_on(path: Path, sent: bytes, said: str) -> None:
    """And the next one is served as if nothing had been."""
    # All others are told at once, and need not be quick themselves.
    patience = 1.0 if said == "in time" else PATIENCE
    with listening(path, frame_seconds=patience), closing(LinkCaller(path)) as caller:
        assert caller.ask({"n": 1}) == {"heard": {"n": 1}}
        with connection(path) as raw:
            raw.sendall(sent)
            answer = answer_on(raw)
            assert answer is not None
            assert said in answer["error"]
            assert answer_on(raw) is None
        assert caller.ask({"n": 2}) == {"heard": {"n": 2}}


def test_who_breaks_off_is_forgotten(path: Path) -> None:
    """In the middle of a message, or before one."""
    with listening(path) as listener, closing(LinkCaller(path)) as caller:
        for half in (b"", b"\0\0", to_frame({"a": 1})[:-1]):
            with connection(path) as raw:
                raw.sendall(half)
        caller.ask({})
        until_connections(listener, 1)


def until_connections(listener: LinkListener, number: int) -> None:
    """Wait until so many are served."""
    with listener._lock:
        assert listener._lock.wait_for(lambda: len(listener._served) == number, PATIENCE)


def test_a_handler_that_fails_fails_for_its_asker_only(path: Path) -> None:
    """The connection goes on."""
    with listening(path), closing(LinkCaller(path)) as caller:
        assert "could not be done" in caller.ask({"fail": True})["error"]
        assert caller.ask({"n": 1}) == {"heard": {"n": 1}}


def test_the_idlest_makes_room(path: Path) -> None:
    """So whoever only sits there keeps nobody out."""
    with listening(path, max_connections=3) as listener, ExitStack() as sitting:
        first = sitting.enter_context(connection(path))
        first.sendall(to_frame({"n": 0}))
        assert answer_on(first) == {"heard": {"n": 0}}
        until_idle(listener)
        others = [sitting.enter_context(connection(path)) for _ in range(2)]
        for other in others:
            other.sendall(to_frame({"n": 1}))
            assert answer_on(other) == {"heard": {"n": 1}}
            until_idle(listener)
        with closing(LinkCaller(path)) as caller:
            assert caller.ask({"n": 2}) == {"heard": {"n": 2}}
        assert answer_on(first) is None
        assert listener.connections <= 3


def until_idle(listener: LinkListener) -> None:
    """Wait until nobody is being answered: that one is not counts from a moment after its answer."""
    seconds_of_patience(lambda: all(served.idle_since is not None for served in tuple(listener._served)))


def test_when_all_are_busy_the_newcomer_goes(path: Path) -> None:
    """Threads are bounded; those who are served go on."""
    let_go, begun = threading.Event(), threading.Semaphore(0)

    def slow(message: dict[str, Any]) -> Mapping[str, Any]:
        begun.release()
        assert let_go.wait(PATIENCE)
        return message

    with listening(path, slow, max_connections=2), ExitStack() as busy:
        connections = [busy.enter_context(connection(path)) for _ in range(2)]
        for raw in connections:
            raw.sendall(to_frame({"n": 1}))
            assert begun.acquire(timeout=PATIENCE)
        with closing(LinkCaller(path, PATIENCE)) as caller, pytest.raises(LinkError):
            caller.ask({})
        let_go.set()
        assert [answer_on(raw) for raw in connections] == [{"n": 1}, {"n": 1}]


def test_many_clients_that_say_nothing_do_not_stop_the_others(path: Path) -> None:
    """However many connect."""
    with listening(path, max_connections=8), ExitStack() as silent:
        for n in range(100):
            silent.enter_context(connection(path))
            with closing(LinkCaller(path)) as caller:  # A new one comes behind the silent ones, however many wait.
                assert caller.ask({"n": n}) == {"heard": {"n": n}}


def test_another_user_is_hung_up_on(path: Path) -> None:
    """By the kernel's word, before a byte of theirs is read; and an impostor is not asked."""
    stranger = frozenset({os.geteuid() + 1})
    with listening(path, users=stranger) as listener, closing(LinkCaller(path)) as caller:
        with pytest.raises(LinkError):
            caller.ask({"n": 1})
        assert listener.connections == 0
    with listening(path), closing(LinkCaller(path, users=stranger)) as careful, pytest.raises(LinkError, match="user"):
        careful.ask({"n": 1})


def test_two_do_not_share_a_place(path: Path) -> None:
    """The second one is told; what a crash has left is replaced."""
    with listening(path), closing(LinkCaller(path)) as caller:
        with pytest.raises(LinkError, match="another extauthz"):
            LinkListener(path, echo).start()
        assert caller.ask({}) == {"heard": {}}
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))
    with listening(path), closing(LinkCaller(path)) as caller:
        assert caller.ask({}) == {"heard": {}}


def test_a_file_in_its_place_is_no_socket(path: Path) -> None:
    """It is replaced; nobody answers there."""
    path.write_text("something")
    with listening(path), closing(LinkCaller(path)) as caller:
        assert caller.ask({}) == {"heard": {}}


def test_a_place_that_cannot_be_had(tmp_path: Path) -> None:
    """The message names it."""
    with pytest.raises(LinkError, match="run_dir"):
        LinkListener(tmp_path / "no" / "test.sock", echo).start()
    with pytest.raises(LinkError, match="run_dir"):
        LinkListener(tmp_path / ("x" * 200), echo).start()


def test_one_that_never_started_stops(path: Path) -> None:
    """Nothing is left behind."""
    LinkListener(path, echo).stop()
    assert not path.exists()


def test_a_stop_does_not_wait_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that hangs is left alone."""
    monkeypatch.setattr(listener_module, "STOP_SECONDS", 0.01)
    let_go, begun = threading.Event(), threading.Event()

    def hangs(_: dict[str, Any]) -> Mapping[str, Any]:
        begun.set()
        let_go.wait(PATIENCE)
        return {}

    with listening(path, hangs), connection(path) as raw:
        raw.sendall(to_frame({}))
        assert begun.wait(PATIENCE)
    let_go.set()


def test_an_accept_that_fails_is_tried_again(path: Path) -> None:
    """A process that is out of descriptors for a moment answers afterwards."""
    with listening(path) as listener, closing(LinkCaller(path)) as caller:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        with closing(socket.socket(socket.AF_UNIX)) as raw:
            raw.settimeout(PATIENCE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
            try:
                raw.connect(str(path))
                raw.sendall(to_frame({"n": 1}))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            assert answer_on(raw) == {"heard": {"n": 1}}
        assert caller.ask({}) == {"heard": {}}
        assert listener.connections <= 2


def test_without_room_for_a_thread_a_connection_is_refused(path: Path) -> None:
    """And the listener goes on."""
    with listening(path) as listener, closing(LinkCaller(path)) as caller:
        threading.stack_size(1 << 46)  # More than there is: no thread can start.
        try:
            with pytest.raises(LinkError):
                caller.ask({"n": 1})
        finally:
            threading.stack_size(0)
        assert caller.ask({"n": 2}) == {"heard": {"n": 2}}
        until_connections(listener, 1)


def test_an_answer_that_is_too_long_is_said(path: Path) -> None:
    """Instead of an end without a word."""
    with listening(path, lambda _: {"x": "x" * MAX_FRAME}), closing(LinkCaller(path)) as caller:
        assert "too long" in caller.ask({})["error"]


def test_a_caller_connects_again(path: Path) -> None:
    """A listener that was restarted is not noticed; one that is gone is."""
    with closing(LinkCaller(path)) as caller:
        with pytest.raises(LinkError, match="extauthz serve"):
            caller.ask({})
        for n in range(3):
            with listening(path):
                assert caller.ask({"n": n}) == {"heard": {"n": n}}
        with pytest.raises(LinkError):
            caller.ask({})


def test_a_late_answer_is_not_taken_for_the_next(path: Path) -> None:
    """The connection that it would come on is gone."""
    let_go = threading.Event()

    def slow_once(message: dict[str, Any]) -> Mapping[str, Any]:
        if message["n"] == 1:
            assert let_go.wait(PATIENCE)
        return message

    with listening(path, slow_once), closing(LinkCaller(path, PATIENCE)) as caller:
        with pytest.raises(LinkError, match="in time"):
            caller.ask({"n": 1}, 0.05)
        let_go.set()
        assert caller.ask({"n": 2}) == {"n": 2}


def test_who_hangs_up_gives_no_answer(path: Path) -> None:
    """Whether it was carried out is not known."""
    with closing(socket.socket(socket.AF_UNIX)) as raw, closing(LinkCaller(path, PATIENCE)) as caller:
        raw.bind(str(path))
        raw.listen()

        def hang_up() -> None:
            connected, _ = raw.accept()
            connected.recv(100)
            connected.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(LinkError, match="hung up"):
            caller.ask({"n": 1})
        thread.join(PATIENCE)


def test_a_turn_is_waited_for(path: Path) -> None:
    """While others wait to be accepted, and no longer than there is time."""
    with ExitStack() as stack:
        raw = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
        raw.bind(str(path))
        raw.listen(0)
        waiting: list[socket.socket] = []
        full = 0
        while not full:
            waiting.append(stack.enter_context(closing(socket.socket(socket.AF_UNIX))))
            waiting[-1].setblocking(False)
            full = waiting[-1].connect_ex(str(path))
        assert full == errno.EAGAIN
        caller = stack.enter_context(closing(LinkCaller(path, PATIENCE)))
        began = SystemClock().monotonic()
        with pytest.raises(LinkError, match="unavailable"):
            caller.ask({}, 0.05)
        assert SystemClock().monotonic() - began >= 0.05
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(caller.ask({})))
        thread.start()
        for other in waiting:
            other.close()
        while not answers:
            connected, _ = raw.accept()
            with closing(connected):
                if connected.recv(100):
                    connected.sendall(to_frame({"n": 1}))
                    thread.join(PATIENCE)
        assert answers == [{"n": 1}]


def test_many_ask_at_once(path: Path) -> None:
    """Each on a connection of its own, which is kept, up to a bound; each gets its own answer."""
    together = threading.Barrier(MAX_KEPT + 4)

    def meet(message: dict[str, Any]) -> Mapping[str, Any]:
        together.wait(PATIENCE)
        return message

    answers: dict[int, Any] = {}
    with listening(path, meet), closing(LinkCaller(path, PATIENCE)) as caller:
        threads = [
            threading.Thread(target=lambda n=n: answers.update({n: caller.ask({"n": n})})) for n in range(MAX_KEPT + 4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert answers == {n: {"n": n} for n in range(MAX_KEPT + 4)}
        assert len(caller._kept) == MAX_KEPT


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    """It is made that way, and refused when others can get in, or when it cannot be made."""
    folder = tmp_path / "run" / "extauthz"
    make_run_dir(folder)
    make_run_dir(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o750)
    with pytest.raises(LinkError, match="others can get in"):
        make_run_dir(folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(LinkError, match="run_dir"):
        make_run_dir(tmp_path / "file")
