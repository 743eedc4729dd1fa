"""What holds for one stream of events: who signs, and what it may report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """How the events of one stream are verified and read.

    Attributes:
        name: ours for the stream.
        issuer: the transmitter; the exact `iss`.
        algorithms: that it may sign with.
        audience: that `aud` must name.
        stream_id: the transmitter's id of the stream; empty when it is not known.
        leeway: seconds of clock difference tolerated.
        issuers: about whose callers it may report.
        tenants: the only tenants that it may report about; empty for any.
        events: kinds of events that may take effect.
        sub_formats: formats of subject identifiers whose value is a `sub` of the only issuer in `issuers`.
        critical: members of complex subjects without which an event must not be applied.
        keep: seconds for which what it revokes is kept; at least the longest life of a credential.
    """

    name: str
    issuer: str
    algorithms: tuple[str, ...]
    audience: str
    stream_id: str = ""
    leeway: float
    issuers: tuple[str, ...]
    tenants: tuple[str, ...] = ()
    events: frozenset[str]
    sub_formats: frozenset[str] = frozenset()
    critical: frozenset[str] = frozenset()
    keep: float

    @property
    def source(self) -> str:
        """Return the source of restrictions that come from it."""
        return f"stream {self.name}"

    @property
    def only_issuer(self) -> str:
        """Return the issuer that names are from where they do not say; empty when there are several."""
        return self.issuers[0] if len(self.issuers) == 1 else ""
