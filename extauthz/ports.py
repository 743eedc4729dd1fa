"""What the request path needs from outside, as Protocols. Implementations live at the rim (`server/`, `audit/`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extauthz.clock import Instant
    from extauthz.ids import DecisionId
    from extauthz.model.decision import Decision
    from extauthz.model.enquiry import Answered, Enquiry
    from extauthz.model.identity import Identity, Kind
    from extauthz.model.registry import Declared
    from extauthz.model.restriction import Mark, Restriction
    from extauthz.model.spend import Spend
    from extauthz.model.state import StateName


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key of an issuer, good for exactly one algorithm (RFC 8725 section 3.1).

    Attributes:
        kid: the key's name within its issuer; empty when the issuer gives none.
        algorithm: JWS algorithm name, for example `ES256`.
        key: the public key object of `cryptography`, as PyJWT's algorithm for `algorithm` expects it.
        verified: digests of what this key is known to have signed (`identity/signed.py`); they go when it goes.
    """

    kid: str
    algorithm: str
    key: Any
    verified: dict[bytes, None] = field(default_factory=dict, compare=False, repr=False)


class KeySource(Protocol):
    """The public keys of configured issuers, from memory. Never blocks, never fetches."""

    def find_key(self, issuer: str, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the issuer's key named `kid` for `algorithm`.

        Without a `kid`, return the issuer's only key for that algorithm. Return None when there is no such key, when
        the issuer's keys were never loaded, or when they are older than the hard maximum age.
        """
        ...


class EpochView(Protocol):
    """Counts changes of facts. Whoever changes a fact first puts the new one in place, then raises its epoch.

    So a reader that reads the epoch first and the fact afterwards may hold a newer fact than its epoch says, never an
    older one.
    """

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Return the epoch of each name, from memory. Values are only ever compared for equality."""
        ...


@dataclass(frozen=True, slots=True)
class KeysOf:
    """The need for a newer look at an issuer's key set, because a token names a key that is not in it."""

    issuer: str


@dataclass(frozen=True, slots=True)
class IntrospectionOf:
    """The need to ask an issuer about a token (RFC 7662).

    Attributes:
        issuer: whom to ask.
        token: what about; a secret.
        not_before: an answer whose fetch began earlier is not new enough; None when any unexpired one is.
    """

    issuer: str
    token: str = field(repr=False)
    not_before: Instant | None = None


@dataclass(frozen=True, slots=True)
class StatusListOf:
    """The need for a status list of an issuer (Token Status List)."""

    issuer: str
    uri: str


@dataclass(frozen=True, slots=True)
class AnswerOf:
    """The need to have something asked that a requirement cannot say without."""

    enquiry: Enquiry


Need = KeysOf | IntrospectionOf | StatusListOf | AnswerOf
"""What the core may ask the shell to fetch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """What an issuer said about a token.

    Attributes:
        active: JSON `true`, and nothing else.
        claims: the members of the answer; empty unless active.
        fetched_at: when the fetch began, which its age counts from.
        until: first instant at which it may not be used any more.
    """

    active: bool
    claims: Mapping[str, Any] = field(default_factory=dict)
    fetched_at: Instant
    until: Instant


class IntrospectionSource(Protocol):
    """Answers of issuers about tokens, from memory. Epoch: `introspection` of `ISSUER DIGEST`, in hexadecimal."""

    def find_introspection(self, issuer: str, digest: bytes, at: Instant) -> Introspection | None:
        """Return what `issuer` said about the token with this SHA-256 digest, unless that is too old at `at`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusList:
    """A verified status list.

    Attributes:
        bits: 1, 2, 4 or 8 for each status.
        statuses: the inflated array.
        fetched_at: when the fetch began.
        until: first instant at which it may not be used any more.
    """

    bits: int
    statuses: bytes
    fetched_at: Instant
    until: Instant


class StatusListSource(Protocol):
    """Verified status lists, from memory. Epoch: `status_list` of `ISSUER URI`."""

    def find_status_list(self, issuer: str, uri: str, at: Instant) -> StatusList | None:
        """Return the list at `uri` that `issuer`'s tokens may point to, unless it is too old at `at`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """An API key as the store holds it; the secret itself is nowhere.

    Attributes:
        key_id: its public part, by which it is found.
        salt: random, own to this key.
        digest: of salt and secret.
        subject: whom it proves.
        kind: of the caller.
        tenant: empty for none.
        scopes: what it was granted.
        roles: of the caller.
        networks: the only source networks (CIDR) it may come from; empty means any.
        created_at: when it was made.
        expires_at: first instant at which it is no longer accepted.
        revoked: whether it was revoked.
    """

    key_id: str
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    subject: str
    kind: Kind
    tenant: str = ""
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    networks: tuple[str, ...] = ()
    created_at: Instant
    expires_at: Instant
    revoked: bool = False


class ApiKeySource(Protocol):
    """The API keys, from memory. Epoch: `api_key` of the key id."""

    def find_api_key(self, key_id: str) -> ApiKey | None:
        """Return the key, also one that is expired or revoked."""
        ...


class RegistrySource(Protocol):
    """Declared identities and role bindings, from memory. Epoch: `registry` of the empty text, for all of it."""

    def find_declared(self, identity: Identity) -> tuple[Declared, ...]:
        """Return what is declared about each of `identity.involved`, in that order, all from one version.

        The stable workload key belongs to the subject; actors have none.

        Raises:
            Refusal: `evidence_unavailable`: there is a registry, but it could never be read.
        """
        ...


class NonceSource(Protocol):
    """Nonces that we ask DPoP proofs for (RFC 9449 section 9): made from time and a secret, kept nowhere."""

    def nonce_at(self, at: Instant) -> str:
        """Return the nonce to give out at an instant."""
        ...

    def accepts_nonce(self, nonce: str, at: Instant) -> bool:
        """Return whether a proof with this nonce is accepted at an instant."""
        ...


class AnswerSource(Protocol):
    """What was answered to enquiries, from memory. Epoch: `Enquiry.name`."""

    def find_answer(self, enquiry: Enquiry, at: Instant) -> Answered | None:
        """Return what was answered, unless that is too old at `at`; what holds for one decision only included."""
        ...


class RestrictionSource(Protocol):
    """What was taken away after login. Epochs: `Mark.name` for each target, `FRESH_STATE`, and `fresh_signals`."""

    def find_restrictions(self, marks: Sequence[Mark], at: Instant) -> tuple[Restriction, ...]:
        """Return every restriction in force at `at` on one of `marks`; `also` is for the caller to compare.

        Raises:
            Refusal: `evidence_unavailable`: they cannot be read now.
        """
        ...

    def is_state_fresh(self, at: Instant) -> bool:
        """Return whether what is known is at most `state.max_staleness` old."""
        ...

    def are_signals_fresh(self, issuer: str, at: Instant) -> bool:
        """Return whether every stream with authority over `issuer` was heard within its `max_silence`, and goes on."""
        ...


class StateSource(Protocol):
    """Facts that requirements ask for (`model/state.py` names the kinds), from memory. Epoch: the name itself."""

    def find_state(self, name: StateName, at: Instant) -> object | None:
        """Return the fact, a frozen value of `model/`; None when it is not known at `at`."""
        ...


@dataclass(frozen=True, slots=True)
class Spent:
    """How spending went. Anything but `DONE` is a denial, and counts as spent.

    Attributes:
        outcome: see there.
        refused: what was used up, when something was.
    """

    outcome: SpendOutcome
    refused: Spend | None = None


class SpendOutcome(Enum):
    """What became of a spend."""

    DONE = "done"
    """All of it is taken, durably; also when the same question had taken it before."""
    REFUSED = "refused"
    """Something is used up; nothing else was taken."""
    UNKNOWN = "unknown"
    """Late, lost or broken: it may or may not be taken."""


class Spender(Protocol):
    """The owner of what can be used up."""

    def spend(self, spends: tuple[Spend, ...], question: bytes, timeout: float) -> Spent:
        """Take all of `spends` or none, within `timeout` seconds; never raises.

        Args:
            spends: what to take.
            question: names the question, so that one asked twice (a retry of Envoy's) spends once.
            timeout: seconds.
        """
        ...


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


Occurrence = tuple["DecisionId", "Instant", float, str, str]
"""What is its own in each repetition of a kept decision: its id, when it was, seconds from receiving the question to
having the answer, and the request id and trace id of the request, each empty where it has none."""


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
