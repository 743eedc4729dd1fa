"""A road to a server, which can lead to another one later, or carry nothing for a while.

What is connected stays where it is. What is sent while nothing is carried arrives afterwards, as TCP has it.
"""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Forwarder:
    """Forwards connections on a port of loopback.

    Attributes:
        port: of loopback.
        target: the port that new connections are forwarded to.
        carrying: set while something is carried.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.carrying = threading.Event()
        self.carrying.set()
        self._open = ExitStack()
        self._listener = self._open.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """Close everything."""
        self.carrying.set()
        for each in list(self._sockets()):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._open.close()

    def _sockets(self) -> Iterator[socket.socket]:
        yield self._listener
        yield from self._pairs

    _pairs: tuple[socket.socket, ...] = ()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._open.callback(near.close)
                try:
                    far = self._open.enter_context(socket.create_connection(("127.0.0.1", self.target)))
                except OSError:
                    near.close()  # Nobody is there: whoever asked learns it at once, and may ask again.
                    continue
                self._pairs = (*self._pairs, near, far)
                for ends in ((near, far), (far, near)):
                    thread = threading.Thread(target=_copy, args=(*ends, self.carrying), daemon=True)
                    self._threads.append(thread)
                    thread.start()


def _copy(source: socket.socket, sink: socket.socket, carrying: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            carrying.wait()
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def forwarding(target: int) -> Iterator[Forwarder]:
    """Yield a forwarder to a port."""
    forwarder = Forwarder(target)
    try:
        yield forwarder
    finally:
        forwarder.stop()
