"""Settings of signals: who may report that something has changed, about whom, and how their reports arrive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, model_validator

from extauthz.config.issuers import KeySettings
from extauthz.config.section import Section
from extauthz.durations import Duration
from extauthz.limits import DEFAULT_LEEWAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.config.settings import Settings

_ISSUER: Final = r"^[^\s|]+$"
_NAME: Final = r"^[a-z][a-z0-9-]{0,62}$"

EventKind = Literal[
    "session-revoked",
    "token-claims-change",
    "credential-change",
    "assurance-level-change",
    "device-compliance-change",
    "session-established",
    "session-presented",
    "risk-level-change",
    "account-credential-change-required",
    "account-purged",
    "account-disabled",
    "account-enabled",
    "identifier-changed",
    "identifier-recycled",
    "credential-compromise",
    "opt-in",
    "opt-out-initiated",
    "opt-out-cancelled",
    "opt-out-effective",
    "recovery-activated",
    "recovery-information-changed",
    "sessions-revoked",
]
"""The last part of the event's URI (CAEP 1.0 and RISC 1.0)."""


class AuthoritySettings(Section):
    """What a stream may report. Whatever it says beyond that changes nothing, and is counted and logged."""

    issuers: tuple[Annotated[str, Field(pattern=_ISSUER)], ...] = Field(
        min_length=1,
        description="Configured issuers about whose callers it may report; for workloads with certificates their trust "
        "domain (`spiffe://NAME`), or the `issuer` that a profile gives them.",
    )
    tenants: tuple[str, ...] = Field(
        default=(), description="The only tenants it may report about; empty means any of those issuers."
    )
    events: tuple[EventKind, ...] = Field(min_length=1, description="Kinds of events that take effect.")
    sub_formats: tuple[Literal["account", "did", "email", "opaque", "phone_number", "uri"], ...] = Field(
        default=(),
        description="Formats of subject identifiers (RFC 9493) whose value is the caller's `sub`; else a user "
        "who is named in another way than `iss_sub` is not known. Needs exactly one issuer.",
    )

    @model_validator(mode="after")
    def _one_owner(self) -> AuthoritySettings:
        if self.sub_formats and len(self.issuers) != 1:
            message = "`sub_formats` needs exactly one of `issuers`: a value alone does not say whose it is"
            raise ValueError(message)
        return self


class PollSettings(Section):
    """Fetching events from the transmitter (RFC 8936)."""

    url: str = Field(description="The transmitter's poll endpoint.")
    interval: Duration = Field(
        default=5.0, gt=0, description="Pause between polls that brought nothing; the transmitter may hold a poll open."
    )
    max_events: int = Field(default=100, ge=1, le=1000, description="Events of one poll.")
    timeout: Duration = Field(default=30.0, gt=0, description="Time for one poll, which the transmitter may hold open.")
    token_file: Path | None = Field(
        default=None, description="File with the access token for the transmitter, sent as `Authorization: Bearer`."
    )


class PushSettings(Section):
    """Events that the transmitter sends to us (RFC 8935), at the path `/events/NAME` of `signals.receiver`."""

    authorization_file: Path = Field(
        description="File with the exact value of the `Authorization` header that the transmitter sends; two lines "
        "while one takes the other's place."
    )
    token_file: Path | None = Field(
        default=None, description="File with the access token for the transmitter, for `verify_every`."
    )


class StreamSettings(Section):
    """A stream of security events (OpenID Shared Signals 1.0). Exactly one of `push` and `poll`."""

    name: str = Field(pattern=_NAME, description="Names the stream in records, metrics and commands.")
    issuer: str = Field(pattern=_ISSUER, description="The transmitter: the exact `iss` of its events.")
    keys: KeySettings = Field(
        description="Where its public keys come from; `discovery` reads its `/.well-known/ssf-configuration`."
    )
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "ES384", "EdDSA"], ...] = Field(
        default=("RS256", "ES256"), min_length=1, description="Accepted signature algorithms."
    )
    audience: str = Field(min_length=1, description="The `aud` that its events must name: us.")
    leeway: Duration = Field(default=float(DEFAULT_LEEWAY_SECONDS), le=300, description="Clock difference tolerated.")
    stream_id: str = Field(
        default="", description="The transmitter's id of the stream; its verification events must name it."
    )
    push: PushSettings | None = Field(default=None, description="Events are sent to us.")
    poll: PollSettings | None = Field(default=None, description="Events are fetched.")
    authority: AuthoritySettings = Field(description="What it may report.")
    critical_subject_members: tuple[str, ...] = Field(
        default=(),
        description="Members of complex subjects without which an event must not be applied, besides those that the "
        "transmitter's metadata name.",
    )
    max_silence: Duration | None = Field(
        default=None,
        gt=0,
        description="When nothing was heard for longer, callers of its issuers are refused `signals_stale`, unless the "
        "resource says `signals: optional`. Null waits forever.",
    )
    verify_every: Duration | None = Field(
        default=None, gt=0, description="How often the transmitter is asked to send a verification event."
    )
    hold_above: int = Field(
        default=1000,
        ge=0,
        description="An event that would end more live sessions than this waits for a person: `extauthz signals held`.",
    )
    assumed_risk: Literal["low", "medium"] | None = Field(
        default=None,
        description="The risk of callers of its issuers of whom it has reported none. Null: not known, so too high.",
    )

    @model_validator(mode="after")
    def _one_delivery(self) -> StreamSettings:
        if (self.push is None) is (self.poll is None):
            message = "give exactly one of push, poll"
            raise ValueError(message)
        if self.verify_every is not None and not self.stream_id:
            message = "`verify_every` needs `stream_id`: a transmitter is asked about a stream by its id"
            raise ValueError(message)
        return self


class ReceiverSettings(Section):
    """Where transmitters reach us. The one part that may be open to the network; it can only report."""

    address: str = Field(default="127.0.0.1:9290", description="`HOST:PORT`, behind your TLS, or with `certificate`.")
    certificate: Path | None = Field(default=None, description="PEM file: our certificate and its chain.")
    key: Path | None = Field(default=None, description="PEM file: our private key.")
    max_connections: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Connections at once; the one that has been sending for longest makes room.",
    )

    @model_validator(mode="after")
    def _both(self) -> ReceiverSettings:
        if (self.certificate is None) is not (self.key is None):
            message = "give both certificate and key, or none"
            raise ValueError(message)
        return self


class SignalSettings(Section):
    """Security events from outside."""

    receiver: ReceiverSettings = ReceiverSettings()
    streams: tuple[StreamSettings, ...] = Field(default=(), description="Who reports.")


def require_signals_fit(settings: Settings) -> None:
    """Refuse signals that could not take effect.

    Raises:
        ValueError: they could not; the message says why and where.
    """
    for message in _misfits(settings):
        raise ValueError(message)


def _misfits(settings: Settings) -> Iterator[str]:
    streams = settings.signals.streams
    names = [stream.name for stream in streams]
    if len(set(names)) != len(names):
        yield "signals.streams: two streams have the same `name`"
    if streams and settings.state is None:
        yield "signals.streams: what they report is kept in the state; set `state: {path: FILE}`"
    for stream in streams:
        same = next(other for other in streams if other.issuer == stream.issuer)
        if stream.keys != same.keys:
            yield f"signals.streams: {same.name}, {stream.name}: one issuer, but other `keys`; write the same for both"
    known = {issuer.issuer for issuer in settings.issuers} | set(_vouchers(settings))
    for stream in streams:
        for issuer in stream.authority.issuers:
            if issuer not in known:
                yield f"signals.streams: {stream.name}: issuer {issuer!r} is not configured under `issuers`"


def _vouchers(settings: Settings) -> Iterator[str]:
    """Yield what callers with certificates have as their issuer."""
    for profile in settings.profiles.values():
        for accepted in profile.certificates.accept:
            yield accepted.issuer or f"spiffe://{accepted.trust_domain}"
