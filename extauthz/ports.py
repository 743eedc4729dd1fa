"""What the request path needs from outside, as Protocols. Implementations live at the rim (`server/`, `audit/`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.ids import DecisionId
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
class EpochName:
    """Names a fact that decisions rest on.

    Attributes:
        kind: what sort of fact; `keys` for the usable key set of an issuer.
        of: whose; for `keys` the issuer.
    """

    kind: str
    of: str


class EpochView(Protocol):
    """Counts changes of facts. Whoever changes a fact first puts the new one in place, then raises its epoch.

    So a reader that reads the epoch first and the fact afterwards may hold a newer fact than its epoch says, never an
    older one.
    """

    def read_epochs(self, names: tuple[EpochName, ...]) -> tuple[int, ...]:
        """Return the epoch of each name, from memory. Values are only ever compared for equality."""
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


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What is its own in each repetition of a kept decision.

    Attributes:
        decision_id: of the repetition.
        at: when it was.
        latency: seconds between receiving the question and having the answer.
        request_id: of the request, for correlation.
        trace_id: of the request, for correlation.
    """

    decision_id: DecisionId
    at: Instant
    latency: float
    request_id: str = ""
    trace_id: str = ""


class RecordSink(Protocol):
    """Where decisions are written down."""

    def prepare(self, decision: Decision) -> bytes:
        """Return what the records of all repetitions of a decision have in common."""
        ...

    def offer_again(self, common: bytes, occurrence: Occurrence) -> bool:
        """Take a repetition for the record without blocking; return False when there is no room.

        Args:
            common: from `prepare`.
            occurrence: what is its own.
        """
        ...

    def offer(self, decision: Decision, latency: float) -> bool:
        """Take one decision for the record without blocking; return False when there is no room.

        Args:
            decision: what was decided.
            latency: seconds between receiving the question and having the answer.
        """
        ...
