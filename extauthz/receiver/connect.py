"""Agreeing on a stream with a transmitter: make it, or find the one that is there; what to write into the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import yaml

from extauthz.errors import FetchError
from extauthz.receiver.metadata import POLL, PUSH
from extauthz.receiver.transmitter import TransmitterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from extauthz.receiver.metadata import TransmitterMetadata
    from extauthz.receiver.transmitter import StreamConfiguration, Transmitter

_CONFLICT: Final = 409
_VERIFY_EVERY: Final = 300.0
"""Seconds between verification events that are proposed, unless the transmitter wants more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted.

    Attributes:
        name: ours for the stream.
        audience: that its events must name; empty takes the transmitter's word for it.
        events: kinds of events → their URIs.
        issuers: about whose callers it may report.
        push_to: where events are to be sent; None to fetch them.
        authorization: that they are to be sent with; a secret.
        authorization_file: where that is.
        token_file: our access token; None for none.
    """

    name: str
    audience: str
    events: Mapping[str, str]
    issuers: tuple[str, ...]
    push_to: str | None = None
    authorization: str = ""
    authorization_file: Path | None = None
    token_file: Path | None = None

    @property
    def method(self) -> str:
        """Return how events are to be delivered."""
        return POLL if self.push_to is None else PUSH


@dataclass(frozen=True, slots=True)
class Connected:
    """What was agreed.

    Attributes:
        stream: by the transmitter's account.
        was_there: whether it was there before.
    """

    stream: StreamConfiguration
    was_there: bool


def agree(transmitter: Transmitter, wish: Wish) -> Connected:
    """Make a stream, or have the one that is there deliver as wished.

    Raises:
        FetchError: the transmitter does not do that; the message says what is in the way.
    """
    metadata = transmitter.metadata
    if metadata.delivery_methods and wish.method not in metadata.delivery_methods:
        message = (
            f"the transmitter does not deliver by {wish.method}; it offers: {', '.join(metadata.delivery_methods)}"
        )
        raise FetchError(message)
    delivery: dict[str, str] = {"method": wish.method}
    if wish.push_to is not None:
        delivery |= {"endpoint_url": wish.push_to, "authorization_header": wish.authorization}
    asked: dict[str, Any] = {"events_requested": list(wish.events.values()), "delivery": delivery}
    try:
        stream, was_there = transmitter.create_stream({**asked, "description": f"extauthz {wish.name}"}), False
    except TransmitterError as error:
        if error.status != _CONFLICT:
            raise
        found = _find(transmitter.find_streams(), wish)
        if found.method == POLL == wish.method:
            del asked["delivery"]  # Where it is fetched is the transmitter's affair.
        stream, was_there = transmitter.change_stream(found.stream_id, asked), True
    _verify_agreement(stream, metadata, wish)
    return Connected(stream, was_there)


def _find(streams: list[StreamConfiguration], wish: Wish) -> StreamConfiguration:
    """Return the stream that is meant.

    Raises:
        FetchError: it is not clear which one is.
    """
    for fits in (lambda each: each.endpoint == wish.push_to, lambda each: each.method == wish.method, lambda _: True):
        found = [stream for stream in streams if fits(stream)]
        if len(found) == 1:
            return found[0]
    names = ", ".join(stream.stream_id for stream in streams) or "none that it would show"
    message = f"the transmitter makes no further stream, and has these: {names}; remove one there"
    raise FetchError(message)


def _verify_agreement(stream: StreamConfiguration, metadata: TransmitterMetadata, wish: Wish) -> None:
    if stream.issuer != metadata.issuer:
        message = "the stream's `iss` is not the transmitter's issuer: its events would be refused"
        raise FetchError(message)
    if wish.audience and stream.audience and wish.audience not in stream.audience:
        message = f"its events will be for {', '.join(stream.audience)}; give that as --audience"
        raise FetchError(message)
    if not wish.audience and len(stream.audience) != 1:
        message = "the transmitter does not name one audience of its events; give it as --audience"
        raise FetchError(message)
    if wish.push_to is None and not stream.endpoint:
        message = "the transmitter does not say where events are fetched (`delivery.endpoint_url`)"
        raise FetchError(message)


def settings_of(connected: Connected, metadata: TransmitterMetadata, wish: Wish) -> dict[str, Any]:
    """Return what to write into the settings."""
    stream = connected.stream
    delivered = [
        kind for kind, uri in wish.events.items() if not stream.events_delivered or uri in stream.events_delivered
    ]
    entry: dict[str, Any] = {
        "name": wish.name,
        "issuer": metadata.issuer,
        "keys": {"discovery": True},
        "audience": wish.audience or stream.audience[0],
        "stream_id": stream.stream_id,
        **_delivery(stream, wish),
        "authority": {"issuers": list(wish.issuers), "events": delivered or list(wish.events)},
    }
    if metadata.critical_subject_members:
        entry["critical_subject_members"] = list(metadata.critical_subject_members)
    if metadata.verification_endpoint:
        entry["verify_every"] = _verify_every(stream)
    document: dict[str, Any] = {"signals": {"streams": [entry]}}
    others = sorted(set(_hosts(metadata, stream)) - {urlsplit(metadata.issuer).hostname})
    if others:
        document["egress"] = {"hosts": others}
    return document


def _verify_every(stream: StreamConfiguration) -> float:
    """Return how often to ask, in seconds: no more often than the transmitter bears, and before it thinks us gone."""
    wanted = _VERIFY_EVERY
    if stream.inactivity_timeout:
        wanted = min(wanted, stream.inactivity_timeout / 2)
    return max(wanted, stream.min_verification_interval, 1.0)


def _delivery(stream: StreamConfiguration, wish: Wish) -> dict[str, Any]:
    token = {"token_file": str(wish.token_file)} if wish.token_file is not None else {}
    if wish.push_to is None:
        return {"poll": {"url": stream.endpoint, **token}}
    return {"push": {"authorization_file": str(wish.authorization_file), **token}}


def _hosts(metadata: TransmitterMetadata, stream: StreamConfiguration) -> Iterator[str]:
    """Yield the hosts that will be called."""
    ours = (
        metadata.jwks_uri,
        metadata.configuration_endpoint,
        metadata.status_endpoint,
        metadata.verification_endpoint,
    )
    for url in (*ours, stream.endpoint if stream.method == POLL else ""):
        host = urlsplit(url).hostname
        if host:
            yield host


def to_yaml(document: Mapping[str, Any], notes: Iterable[str]) -> str:
    """Return settings as YAML, with what people should know in comments above."""
    comments = "".join(f"# {note}\n" for note in notes)
    return comments + yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=110)
