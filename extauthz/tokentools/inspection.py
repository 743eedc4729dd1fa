"""A token taken apart: what it says, what the code that serves makes of it, and what the registry adds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from extauthz.audit.redact import to_recorded
from extauthz.errors import JoseError, Refusal, StrictJsonError
from extauthz.identity.access_token import prove_access_token
from extauthz.identity.authenticate import authenticate
from extauthz.identity.binding import verify_way
from extauthz.identity.credentials import UnverifiedToken
from extauthz.identity.dpop import bound_thumbprint
from extauthz.identity.mapping import to_identity
from extauthz.identity.sources import Proven, Sources
from extauthz.identity.standing import Known, require_standing
from extauthz.jose.compact import parse_compact
from extauthz.ledger import Ledger
from extauthz.limits import MAX_TOKEN_BYTES
from extauthz.model.identity import Binding, Credential
from extauthz.model.reason import Reason
from extauthz.model.request import Headers, Request
from extauthz.ports import NO_EVIDENCE, Evidence, NeedsEvidence
from extauthz.strictjson import load_object
from extauthz.tokentools.steps import NOT_MADE, Step, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.clock import Instant
    from extauthz.identity.rules import Profile
    from extauthz.model.identity import Identity
    from extauthz.model.registry import Declared
    from extauthz.model.request import Source
    from extauthz.model.state import StateName
    from extauthz.ports import EvidenceSource, IntrospectionSource, KeySource, RegistrySource, StatusListSource
    from extauthz.tokentools.steps import Watched

_MOST_FETCHES: Final = 3
_FETCH_SECONDS: Final = 5.0
_ADDRESS: Final = "the registry lists networks, and the address that the request comes from is not known"
_PROOF: Final = "the sender holds the key that the token is bound to"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a token is judged by.

    Attributes:
        keys: issuers' public keys.
        introspections: issuers' word about tokens.
        status_lists: lists of revoked tokens.
        fetcher: fetches what is missing.
        registry: declared identities.
    """

    keys: KeySource
    introspections: IntrospectionSource
    status_lists: StatusListSource
    fetcher: EvidenceSource
    registry: RegistrySource


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A token, taken apart.

    Attributes:
        profile: name of the verification profile that judged it.
        header: of the token, verified or not, without what looks like a secret; empty where it cannot be read.
        claims: likewise.
        steps: of the argument, as far as it went.
        identity: whom it proves; None when it does not.
        declared: what the registry says about each of those involved.
        reason: why it is refused; empty when it is not.
        missing: what could not be fetched; empty when nothing was needed.
    """

    profile: str
    header: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    identity: Identity | None = None
    declared: tuple[Declared, ...] = ()
    reason: str = ""
    missing: str = ""

    @property
    def accepted(self) -> bool:
        """Return whether the token proves a caller that the registry lets go on."""
        return not self.reason and not self.missing


class _NoEpochs:
    """Nothing changes while a tool judges."""

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Return zeros."""
        return (0,) * len(names)


def read_unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of what may be a JWT, as they are; empty where they cannot be read."""
    try:
        jws = parse_compact(token)
        return dict(jws.header), load_object(jws.payload, max_bytes=MAX_TOKEN_BYTES)
    except (JoseError, StrictJsonError):
        return {}, {}


def inspect_token(token: str, profile: Profile, means: Means, at: Instant, source: Source) -> Inspection:
    """Return a token taken apart.

    Args:
        token: without its scheme.
        profile: the verification profile.
        means: what it is judged by.
        at: the instant for which it is judged.
        source: where it comes from: address and client certificate, as far as they are known.
    """
    header, claims = read_unverified(token)
    request = Request(
        method="GET",
        host="",
        path="/",
        segments=("",),
        headers=Headers({"authorization": (f"Bearer {token}",)}, exact=True),
        source=source,
    )
    watched = _fetching(lambda sources: authenticate(request, Credential.BEARER, profile, sources, at), means)
    bound_to_key = _is_bound_to_key(watched.refusal, profile)
    if bound_to_key:
        by_key = _fetching(lambda sources: _prove_without_proof(token, profile, sources, at), means)
        # Without a key to be bound to it is the refusal of a bearer token that explains it.
        bound_to_key = by_key.refusal is None or by_key.refusal.reason is not Reason.BINDING_MISSING
        watched = by_key if bound_to_key else watched
    found = Inspection(profile=profile.name, header=_shown(header), claims=_shown(claims), steps=watched.steps)
    if not isinstance(watched.result, Proven):
        return _ended(found, watched.refusal)
    if bound_to_key:
        note = "A proof is good for one request, so only a resource with `credential: dpop` can check it."
        found = replace(found, steps=(*found.steps, Step(_PROOF, NOT_MADE, detail=note)))
    return _with_standing(replace(found, identity=watched.result.identity), profile, request, means, at)


def _is_bound_to_key(refusal: Refusal | None, profile: Profile) -> bool:
    """Return whether a token that is refused as a bearer token may be good with a proof."""
    return profile.dpop is not None and refusal is not None and refusal.reason is Reason.BINDING_MISMATCH


def _fetching(prove: Callable[[Sources], Proven | NeedsEvidence], means: Means) -> Watched[Proven]:
    """Return what proving the caller comes to, with everything fetched that it asks for."""
    evidence = NO_EVIDENCE
    for _ in range(_MOST_FETCHES):
        watched = watch(partial(prove, _sources(means, evidence)))
        if not isinstance(watched.result, NeedsEvidence):
            return watched
        need = watched.result.need
        evidence = Evidence({**evidence.outcomes, need: means.fetcher.fetch(need, _FETCH_SECONDS)})
    return watch(partial(prove, _sources(means, evidence)))


def _prove_without_proof(token: str, profile: Profile, sources: Sources, at: Instant) -> Proven | NeedsEvidence:
    """Return whom a token proves when its sender holds the key that it is bound to."""
    verified = prove_access_token(UnverifiedToken(token), profile, sources, at)
    if isinstance(verified, NeedsEvidence):
        return verified
    bound_thumbprint(verified.claims)
    verify_way(Binding.DPOP, profile.binding)
    identity = to_identity(verified, profile.name, at)
    return Proven(replace(identity, credential=Credential.DPOP, binding=Binding.DPOP))


def _ended(found: Inspection, refusal: Refusal | None) -> Inspection:
    """Return what was found when nobody was proven: refused, or something is missing to tell."""
    if refusal is not None and refusal.reason is not Reason.EVIDENCE_UNAVAILABLE:
        return replace(found, reason=refusal.reason.value)
    *before, last = found.steps
    missing = last.inner or "what the last step needs could not be fetched"
    return replace(found, steps=(*before, Step(last.name, NOT_MADE, detail=missing)), missing=missing)


def _with_standing(found: Inspection, profile: Profile, request: Request, means: Means, at: Instant) -> Inspection:
    """Return what was found about a proven caller, with what the registry says."""
    identity = found.identity
    if identity is None:
        return found
    ledger = Ledger(_NoEpochs())
    watched = watch(partial(require_standing, identity, profile, request, at, registry=means.registry, ledger=ledger))
    found = replace(found, steps=(*found.steps, *watched.steps), declared=means.registry.find_declared(identity))
    if (
        watched.refusal is not None
        and watched.refusal.reason is Reason.UNEXPECTED_NETWORK
        and not request.source.address
    ):
        *before, last = found.steps
        return replace(found, steps=(*before, Step(last.name, NOT_MADE, detail="Name the address.")), missing=_ADDRESS)
    if watched.refusal is not None:
        return replace(found, reason=watched.refusal.reason.value)
    return replace(found, identity=watched.result.identity) if isinstance(watched.result, Known) else found


def _sources(means: Means, evidence: Evidence) -> Sources:
    return Sources(
        keys=means.keys,
        ledger=Ledger(_NoEpochs()),
        introspections=means.introspections,
        status_lists=means.status_lists,
        evidence=evidence,
    )


def _shown(value: Any) -> Any:
    """Return JSON for people: bounded, without what looks like a secret."""
    if isinstance(value, str):
        return to_recorded(value)
    if isinstance(value, dict):
        return {to_recorded(name): _shown(each) for name, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value
