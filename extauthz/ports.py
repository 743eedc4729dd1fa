"""What the request path needs from outside, as Protocols. Implementations live at the rim (`server/`, `audit/`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.decision import Decision


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key of an issuer, good for exactly one algorithm (RFC 8725 section 3.1).

    Attributes:
        kid: the key's name within its issuer; empty when the issuer gives none.
        algorithm: JWS algorithm name, for example `ES256`.
        key: the public key object of `cryptography`, as PyJWT's algorithm for `algorithm` expects it.
    """

    kid: str
    algorithm: str
    key: Any


class KeySource(Protocol):
    """The public keys of configured issuers, from memory. Never blocks, never fetches."""

    def find_key(self, issuer: str, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the issuer's key named `kid` for `algorithm`.

        Without a `kid`, return the issuer's only key for that algorithm. Return None when there is no such key, when
        the issuer's keys were never loaded, or when they are older than the hard maximum age.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeysOf:
    """The need for a newer look at an issuer's key set, because a token names a key that is not in it."""

    issuer: str


Need = KeysOf
"""What the core may ask the shell to fetch. Grows: introspection, posture, external decisions."""


class Fetched(Enum):
    """How a fetch went."""

    DONE = "done"
    """The views are as new as they can be; also the answer during the cool-down after a successful fetch."""
    UNAVAILABLE = "unavailable"
    """The remote was down, slow, lying or crowded out; also the answer during the cool-down after a failed fetch."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the shell fetched for this request so far."""

    outcomes: Mapping[Need, Fetched] = field(default_factory=dict)


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class NeedsEvidence:
    """The core's request to be asked again, with `need` fetched, a fresh instant and everything else unchanged."""

    need: Need


class EvidenceSource(Protocol):
    """The shell's side of `NeedsEvidence`."""

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Fetch `need` within `timeout` seconds, coalesced with identical fetches; never raises."""
        ...


class RecordSink(Protocol):
    """Where decisions are written down."""

    def offer(self, decision: Decision, latency: float) -> bool:
        """Take one decision for the record without blocking; return False when there is no room.

        Args:
            decision: what was decided.
            latency: seconds between receiving the question and having the answer.
        """
        ...
