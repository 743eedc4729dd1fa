"""One request from bytes to answer, in one screen.

Four guarantees. Every exit is a `Decision`, or a request for evidence. No exception crosses `check`. An answer that is
not `Allow` is a denial. Nothing here reads a clock, a store or a socket: they are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from extauthz import guard
from extauthz.decision.enquiries import enquiries_of, find_open
from extauthz.decision.facts import gather_facts
from extauthz.decision.lifetime import reusable_until
from extauthz.decision.state import read_state
from extauthz.identity.authenticate import authenticate
from extauthz.identity.bindings import bind_roles
from extauthz.identity.restrictions import Trust, require_unrestricted
from extauthz.identity.sources import Sources
from extauthz.identity.standing import Known, require_standing
from extauthz.ledger import Ledger
from extauthz.model.decision import Decision, Target
from extauthz.model.identity import ANONYMOUS, Identity
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny, Verdict
from extauthz.nothing import NOTHING
from extauthz.observing import Observing, observe
from extauthz.policy.evaluate import evaluate
from extauthz.ports import NO_EVIDENCE, Evidence, NeedsEvidence
from extauthz.request.bounds import Proxy, require_within_bounds, require_within_tenants
from extauthz.request.decode import decode
from extauthz.response.to_envoy import to_envoy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant
    from extauthz.identity.authorities import AuthoritySource
    from extauthz.identity.rules import Profile
    from extauthz.ids import DecisionId
    from extauthz.model.facts import AttributeValue
    from extauthz.model.request import Request
    from extauthz.model.spend import Spend
    from extauthz.model.state import StateName
    from extauthz.policy.ruleset import Ruleset
    from extauthz.ports import (
        AnswerSource,
        ApiKeySource,
        EpochView,
        IntrospectionSource,
        KeySource,
        NonceSource,
        RegistrySource,
        RestrictionSource,
        StateSource,
        StatusListSource,
    )
    from extauthz.request.message import Message


@dataclass(frozen=True, slots=True)
class Views:
    """What the core may look at: in memory, consistent, never blocking.

    Attributes:
        keys: issuers' public keys.
        profiles: verification profiles by name.
        epochs: count the changes of what is seen through the others.
        introspections: answers of issuers about tokens.
        status_lists: lists of revoked tokens.
        api_keys: API keys of ours.
        nonces: for DPoP proofs; None when none are asked for.
        authorities: who may vouch for client certificates.
        registry: declared identities and role bindings.
        state: facts that requirements ask for.
        answers: what others answered who have the say about something.
        restrictions: what was taken away after login.
    """

    keys: KeySource
    profiles: Mapping[str, Profile]
    epochs: EpochView
    introspections: IntrospectionSource = NOTHING
    status_lists: StatusListSource = NOTHING
    api_keys: ApiKeySource = NOTHING
    nonces: NonceSource | None = None
    authorities: AuthoritySource = NOTHING
    registry: RegistrySource = NOTHING
    state: StateSource = NOTHING
    answers: AnswerSource = NOTHING
    restrictions: RestrictionSource = NOTHING

    def sources(self, evidence: Evidence, ledger: Ledger, max_check_age: float | None) -> Sources:
        """Return what proving a caller may look at, and how old an issuer's word about a token may be."""
        return Sources(
            keys=self.keys,
            ledger=ledger,
            introspections=self.introspections,
            status_lists=self.status_lists,
            api_keys=self.api_keys,
            nonces=self.nonces,
            authorities=self.authorities,
            evidence=evidence,
            max_check_age=max_check_age,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to Envoy, and the decision behind it.

    Attributes:
        response: the serialised `CheckResponse`.
        decision: what it says.
        reusable: what a cache must know to give the same answer again; None when it must not.
        spends: what must be spent before an allow may be given out.
        rests_on: where something is spent, names of the facts that were read; it may take a while.
        epochs: their epochs, read before the facts.
    """

    response: bytes
    decision: Decision
    reusable: Reusable | None = None
    spends: tuple[Spend, ...] = ()
    rests_on: tuple[StateName, ...] = ()
    epochs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reusable:
    """For how long an answer holds.

    Attributes:
        until: the first instant at which it may be another by itself.
        rests_on: names of the facts that were read.
        epochs: their epochs, read before the facts.
    """

    until: Instant
    rests_on: tuple[StateName, ...] = ()
    epochs: tuple[int, ...] = ()


@dataclass(slots=True)
class _Case:
    """What is known so far; the steps fill it so that a refusal halfway can still be recorded with what was known."""

    request: Request | None = None
    target: Target | None = None
    identity: Identity | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    reusable: Reusable | None = None
    spends: tuple[Spend, ...] = ()
    ledger: Ledger | None = None
    next_nonce: str = ""


def check(  # noqa: PLR0913 — everything a decision depends on is an argument
    raw: bytes | Message,
    *,
    proxy: Proxy | None,
    views: Views,
    ruleset: Ruleset | None,
    evidence: Evidence = NO_EVIDENCE,
    observing: Observing | None = None,
    at: Instant,
    decision_id: DecisionId,
) -> Answer | NeedsEvidence:
    """Decide one serialised `envoy.service.auth.v3.CheckRequest`.

    Args:
        raw: the message as received, or parsed by whoever looked whether the same was asked before.
        proxy: who asks, None when the proxy could not be authenticated.
        views: in-memory facts.
        ruleset: the policy in force, None when none could be loaded.
        evidence: what was fetched since the last call for this request.
        observing: requests that go through whatever comes out; None when everything is enforced.
        at: the instant of the decision, read after `evidence` was fetched.
        decision_id: name of this decision.

    Returns:
        The answer, or what to fetch before asking again.
    """
    case = _Case()
    verdict = guard.decided(
        lambda: _decide(case, raw, proxy=proxy, views=views, ruleset=ruleset, evidence=evidence, at=at)
    )
    if isinstance(verdict, NeedsEvidence):
        return verdict
    if isinstance(verdict, Deny) and verdict.reason is Reason.PROOF_NONCE_REQUIRED and views.nonces is not None:
        case.next_nonce = views.nonces.nonce_at(at)
    decision = Decision(
        decision_id=decision_id,
        at=at,
        verdict=verdict,
        proxy=proxy.name if proxy else "",
        policy=ruleset.revision if ruleset else None,
        request=case.request,
        target=case.target,
        identity=case.identity,
        attributes=case.attributes,
        next_nonce=case.next_nonce,
    )
    spends = case.spends if decision.allowed else ()
    decision = observe(decision, observing, ruleset)
    answer = Answer(to_envoy(decision), decision, case.reusable, spends)
    if not spends or case.ledger is None:
        return answer
    return replace(answer, rests_on=case.ledger.names, epochs=case.ledger.values)


def _decide(  # noqa: PLR0913 — the same arguments
    case: _Case,
    raw: bytes | Message,
    *,
    proxy: Proxy | None,
    views: Views,
    ruleset: Ruleset | None,
    evidence: Evidence,
    at: Instant,
) -> Verdict | NeedsEvidence:
    # 0. Preconditions: a known proxy asks, and there is a policy.
    if proxy is None:
        return Deny(reason=Reason.PROXY_UNAUTHENTICATED)
    if ruleset is None:
        return Deny(reason=Reason.EVALUATION_FAILED, inner="no policy is loaded")
    # 1. Decode and normalise: bytes nobody has checked → Request. Only what this proxy may ask about goes on.
    case.request = request = decode(raw, shows_all_headers=proxy.shows_all_headers)
    require_within_bounds(request, proxy)
    # 2. Route: which resource is meant, and so which credential counts.
    route = ruleset.route(request)
    case.target = route.target
    if route.preflight_only:
        return Allow(rule=route.preflight_rule)
    # 3. Identify: Request → Identity. A bad credential is a refusal; `credential: none` is anonymous.
    #    The ledger notes the epoch of every fact before it is read, so that a kept decision knows what it rests on.
    case.ledger = ledger = Ledger(views.epochs)
    known = Known(ANONYMOUS)
    if route.verify is not None:
        profile = views.profiles[route.verify]
        proven = authenticate(request, route.credential, profile, views.sources(evidence, ledger, route.revalidate), at)
        if isinstance(proven, NeedsEvidence):
            return proven
        case.identity, case.spends = proven.identity, proven.spends
        case.next_nonce = proven.next_nonce
        known = require_standing(proven.identity, profile, request, at, registry=views.registry, ledger=ledger)
    case.identity = known.identity
    require_within_tenants(known.identity, request, proxy)
    trust = Trust(stale_proceeds=route.stale_proceeds, signals_optional=route.signals_optional)
    narrowing = require_unrestricted(known.identity, at, trust, restrictions=views.restrictions, ledger=ledger)
    # 4. Gather the facts that rules may see, roles that the registry binds here included.
    case.attributes = route.read_attributes(request)
    case.identity = identity = bind_roles(known, route.target, case.attributes, at)
    enquiries = enquiries_of(views.answers, evidence, ledger, at)
    facts = gather_facts(request, identity, route.target, case.attributes, at, enquiries=enquiries)
    facts = read_state(route.rules, facts, views.state, ledger, narrowing)
    # 5. Evaluate and combine: guards, forbids, permits → Verdict. What others have the say about is asked first.
    verdict = evaluate(route.rules, facts)
    need = find_open(facts.enquiries, verdict, route.rules, evidence) if facts.enquiries.open else None
    if need is not None:
        return NeedsEvidence(need)
    if isinstance(verdict, Allow):
        case.spends += verdict.spends
    until = reusable_until(verdict, route.rules, facts) if not case.spends else None
    case.reusable = Reusable(until, ledger.names, ledger.values) if until is not None else None
    return verdict
