"""What every child process offers to the loop that runs it: `worker.py`, `keeper.py` and `receiver.py` are such."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from extauthz.processes.handover import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a part says when it has started; the banner is made of it.

    Attributes:
        addresses: where it listens for others than us, real port numbers.
        metrics: bound address of its metrics; empty without.
        engine: which gRPC engine serves; empty without.
        policy: which policy is in force, for people; empty without.
    """

    addresses: tuple[str, ...] = ()
    metrics: str = ""
    engine: str = ""
    policy: str = ""

    def to_message(self) -> Message:
        """Return it as JSON."""
        return {**asdict(self), "addresses": list(self.addresses)}

    @classmethod
    def from_message(cls, message: Any) -> Self:
        """Return what `to_message` made; members of other types count as empty."""
        message = message if isinstance(message, dict) else {}
        texts = {name: message.get(name) for name in ("metrics", "engine", "policy")}
        addresses = message.get("addresses")
        return cls(
            addresses=tuple(str(each) for each in addresses) if isinstance(addresses, list) else (),
            **{name: text if isinstance(text, str) else "" for name, text in texts.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a part is, found out by having its working threads do something.

    Attributes:
        works: whether they did. A part that does not work is ended and started anew.
        ready: whether it does all that it is for; what it lacks may come from elsewhere, and a restart would not help.
        why_not: what is the matter, in a sentence.
        metrics: Prometheus text of parts that show none themselves.
        silent_streams: streams of signals on which nothing is heard, of parts that decide.
    """

    works: bool
    ready: bool
    why_not: str = ""
    metrics: str = ""
    silent_streams: tuple[str, ...] = ()


class Part(Protocol):
    """A part of the server that runs as a process of its own."""

    def start(self) -> Report:
        """Run, and say where.

        Raises:
            ConfigError: the settings do not let it.
        """
        ...

    def reload(self) -> None:
        """Look at files again."""
        ...

    def check(self, within: float) -> Health:
        """Return how it is, after at most about `within` seconds."""
        ...

    def stop(self) -> None:
        """Drain and end."""
        ...
