"""A desk that hears events, with a real keeper, a real state file, and a real view that decides by it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from extauthz.config.state import StateSettings
from extauthz.errors import Refusal
from extauthz.identity.restrictions import Trust, require_unrestricted
from extauthz.keeper.keeper import Keeper
from extauthz.keeper.signaldesk import Heard, SignalDesk, Stream
from extauthz.ledger import Ledger
from extauthz.model.identity import Credential, Identity, Kind, Principal
from extauthz.model.restriction import Effect
from extauthz.ports import Fetched, KeysOf
from extauthz.server.epochs import Epochs
from extauthz.server.freshness import Expected, Freshness
from extauthz.server.stateview import StateView
from extauthz.server.verifications import Verifications
from extauthz.state.signals import Happening, read_streams, tail
from extauthz.state.store import open_store
from extauthz.telemetry.statemetrics import StateMetrics
from tests.simulators.clock import ManualClock
from tests.simulators.events import EventMaker, stream_rules
from tests.simulators.tokens import ISSUER, NOW, MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from extauthz.ports import Need, VerificationKey
    from extauthz.state.signals import StreamHeard


_CUT_OFFS = {Effect.REVOKED, Effect.REAUTHENTICATE}
"""What a caller who signed in later has nothing to do with any more."""


@dataclass
class PublishedKeys:
    """The keys of transmitters: what is in memory, and what a newer look brings.

    Attributes:
        known: in memory.
        published: what a look brings.
        outcome: of a look.
        looks: every look.
    """

    known: MemoryKeys
    published: tuple[EventMaker, ...] = ()
    outcome: Fetched = Fetched.DONE
    looks: list[Need] = field(default_factory=list)

    def find_key(self, issuer: str, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return a key from memory."""
        return self.known.find_key(issuer, kid, algorithm)

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Have a newer look."""
        assert isinstance(need, KeysOf)
        assert timeout > 0
        self.looks.append(need)
        if self.outcome is Fetched.DONE:
            for maker in self.published:
                self.known.add(maker)
        return self.outcome


@dataclass
class Hearing:
    """The desk and everything that it works with.

    Attributes:
        desk: hears events.
        keeper: puts them in force.
        view: decides by them.
        keys: of the transmitters.
        verifications: makes the states that are asked with.
        clock: of all of them.
        answering: whether the worker confirms.
        registry: of the metrics.
    """

    desk: SignalDesk
    keeper: Keeper
    view: StateView
    keys: PublishedKeys
    verifications: Verifications
    clock: ManualClock
    registry: CollectorRegistry
    answering: list[bool]

    def hear(self, compact: str, stream: str = "idp") -> Heard:
        """Have an event heard."""
        return self.desk.hear(stream, compact)

    def verdict(self, *, signals_needed: bool = False, **changes: Any) -> str | set[Effect]:
        """Return the reason that a caller is refused with now, or what rules that ask are told about it."""
        ledger = Ledger(Epochs(self.view.epochs, self.view.freshen))
        trust = Trust(signals_optional=not signals_needed)
        try:
            found = require_unrestricted(
                caller(**changes), self.clock.now(), trust, restrictions=self.view, ledger=ledger
            )
        except Refusal as refusal:
            return refusal.reason.value
        return {each.effect for each in found} - _CUT_OFFS

    def tail(self) -> tuple[Happening, ...]:
        """Return everything that was heard."""
        with self.keeper.reading() as query:
            return tail(query, 0, 1000)

    def streams(self) -> dict[str, StreamHeard]:
        """Return how the streams fare."""
        with self.keeper.reading() as query:
            return read_streams(query)

    def counted(self, name: str, /, **labels: str) -> float:
        """Return the value of a metric; 0 when there is none."""
        return self.registry.get_sample_value(name, labels) or 0.0


def caller(
    subject: str = "alice",
    *,
    issuer: str = ISSUER,
    kind: Kind = Kind.USER,
    issued_at: float = NOW - 60,
    auth_time: float | None = NOW - 60,
    **changes: Any,
) -> Identity:
    """Return a proven caller, a person who signed in a minute ago."""
    return Identity(
        subject=Principal(issuer=issuer, subject=subject, kind=kind),
        credential=Credential.BEARER,
        issued_at=type(NOW)(issued_at),
        auth_time=None if auth_time is None else type(NOW)(auth_time),
        **changes,
    )


@contextmanager
def hearing(
    folder: Path, streams: Mapping[str, Mapping[str, Any]] | None = None, hold_above: int = 1000
) -> Iterator[Hearing]:
    """Yield a desk for streams, by name and changes of their rules; without any, for the stream `idp`."""
    clock = ManualClock()
    path = folder / "state.db"
    key = open_store(path)
    settings = StateSettings(path=path)
    rules = [stream_rules(name=name, **changes) for name, changes in (streams or {"idp": {}}).items()]
    expected = [Expected(name=each.name, issuers=frozenset(each.issuers), max_silence=600.0) for each in rules]
    view = StateView(path, key, clock, Freshness(clock, settings.max_staleness, expected))
    registry = CollectorRegistry()
    metrics = StateMetrics(registry)
    answering = [True]

    def confirm(_timeout: float) -> int:
        if not answering[0]:
            message = "the worker is gone"
            raise TimeoutError(message)
        return view.freshen()

    keeper = Keeper(path, key, settings, clock, confirmers={"0": confirm}, metrics=metrics)
    keys = PublishedKeys(EventMaker().key_source())
    verifications = Verifications(key, clock)
    desk = SignalDesk(
        [Stream(each, hold_above) for each in rules],
        keeper,
        keys,
        clock=clock,
        verifications=verifications,
        metrics=metrics,
    )
    keeper.start()
    try:
        yield Hearing(desk, keeper, view, keys, verifications, clock, registry, answering)
    finally:
        keeper.stop()
        view.close()
