"""What every gRPC engine offers to the composition root, and what it is given: the seam for further engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from extauthz.model.reason import Reason
    from extauthz.request.bounds import Proxy

SERVICE: Final = "envoy.service.auth.v3.Authorization"
METHOD: Final = "Check"


@dataclass(frozen=True, slots=True)
class Peer:
    """What the transport says about who asks. An engine fills it; `proxies.py` judges it.

    Attributes:
        tokens: every value of the metadata `x-extauthz-proxy-token`.
        names: URI and DNS names of the client certificate, verified by the handshake of an mTLS listener.
        unix_socket: the call came over a Unix socket.
        loopback: the call came from a loopback address.
    """

    tokens: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unix_socket: bool = False
    loopback: bool = False


class Pending(Protocol):
    """A question that needs something fetched before it can be answered."""

    def finish(self) -> bytes:
        """Return the serialised `CheckResponse`, after the fetch; never raises. Call it at most once."""
        ...


class CheckFunction(Protocol):
    """One question to one answer; `check.Checker` is the one implementation."""

    def check(self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None) -> bytes:
        """Return a serialised `CheckResponse`; never raises.

        Args:
            raw: the serialised `CheckRequest`.
            proxy: who asks; None when that is not known.
            remaining: seconds until the asker gives up; None when it did not say.
        """
        ...

    def try_check(
        self, raw: bytes, proxy: Proxy | None, *, remaining: float | None = None, asked: float | None = None
    ) -> bytes | Pending:
        """Return what `check` does when that needs no waiting, else the question to finish elsewhere; never raises.

        `asked` is the stopwatch at a moment when the question was here already, for those that arrive in batches; what
        was found unchanged since then is not looked at again for it.

        Whoever drops a pending question without finishing it answers the call in another way; nothing is recorded.
        """
        ...

    def refuse(self, reason: Reason, proxy: Proxy | None) -> bytes:
        """Return a serialised denial for `reason` without looking at the question; never raises."""
        ...


class Engine(Protocol):
    """A running gRPC server."""

    @property
    def name(self) -> str:
        """Return what the setting `server.engine` calls it."""
        ...

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the bound addresses in the order of the listeners, real port numbers in place of 0."""
        ...

    def start(self) -> None:
        """Serve."""
        ...

    def is_deciding(self, within: float) -> bool:
        """Return whether what decides does: each of its loops, or a thread of its pool, takes a turn in that time.

        Args:
            within: seconds; being busy must not look like being stuck.
        """
        ...

    def set_serving(self, serving: bool) -> None:  # noqa: FBT001 — it is the value
        """Set what the health service answers."""
        ...

    def stop(self, grace: float) -> None:
        """Take no more calls, give those under way `grace` seconds, and return when all has ended."""
        ...
