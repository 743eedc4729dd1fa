"""Settings → the streams that are listened to, and the keys of those who sign their events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.config.issuers import IssuerSettings
from extauthz.keeper.signaldesk import SignalDesk, Stream
from extauthz.server.discovery import ssf_locations
from extauthz.server.keys import IssuerKeys
from extauthz.signals.rules import StreamRules

if TYPE_CHECKING:
    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.config.signals import StreamSettings
    from extauthz.keeper.signaldesk import EffectKeeper, StreamKeys
    from extauthz.server.fetch import Fetch
    from extauthz.server.verifications import Verifications
    from extauthz.telemetry.statemetrics import StateMetrics

_FETCH_SLOTS: Final = 8
"""Events that may wait for one transmitter's keys at a time."""


def open_signal_desk(  # noqa: PLR0913 — the parts that it joins
    settings: Settings,
    keeper: EffectKeeper,
    keys: StreamKeys,
    *,
    clock: Clock,
    verifications: Verifications,
    metrics: StateMetrics,
) -> SignalDesk:
    """Return the desk for the streams that the settings describe.

    Args:
        settings: of everything.
        keeper: puts effects in force.
        keys: from `stream_keys`, started.
        clock: for instants.
        verifications: made with the same key as those of whoever asks for verification events.
        metrics: counts.
    """
    keep = settings.state.keep_revocations if settings.state is not None else 0.0
    streams = [Stream(rules_of(stream, keep), stream.hold_above) for stream in settings.signals.streams]
    return SignalDesk(streams, keeper, keys, clock=clock, verifications=verifications, metrics=metrics)


def rules_of(stream: StreamSettings, keep: float) -> StreamRules:
    """Return how a stream's events are verified and read; `keep` is how many seconds a revocation is kept."""
    authority = stream.authority
    return StreamRules(
        name=stream.name,
        issuer=stream.issuer,
        algorithms=stream.algorithms,
        audience=stream.audience,
        stream_id=stream.stream_id,
        leeway=stream.leeway,
        issuers=authority.issuers,
        tenants=authority.tenants,
        events=frozenset(authority.events),
        sub_formats=frozenset(authority.sub_formats),
        critical=frozenset(stream.critical_subject_members),
        keep=keep,
    )


def stream_keys(settings: Settings, *, fetch: Fetch, clock: Clock) -> IssuerKeys:
    """Return the keys of all transmitters, to be started and stopped; by `discovery` through their own metadata."""
    transmitters = {
        stream.issuer: IssuerSettings(
            issuer=stream.issuer,
            keys=stream.keys,
            algorithms=tuple(
                dict.fromkeys(
                    algorithm
                    for other in settings.signals.streams
                    if other.issuer == stream.issuer
                    for algorithm in other.algorithms
                )
            ),
        )
        for stream in settings.signals.streams
    }
    return IssuerKeys(
        tuple(transmitters.values()), fetch=fetch, clock=clock, fetch_slots=_FETCH_SLOTS, locations=ssf_locations
    )
