"""The path of a decision for those who only look on: policy tools, and policies that run as a shadow.

`pipeline.py` proves the caller by a credential; here the case, the record or the decision in force says who it was.
Everything else is the same code in the same order, and a test holds the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from extauthz import guard
from extauthz.decision.enquiries import find_open
from extauthz.decision.facts import gather_facts
from extauthz.decision.state import read_state
from extauthz.errors import Refusal
from extauthz.identity.credentials import find_bearer, find_dpop_token
from extauthz.identity.restrictions import Trust, require_unrestricted
from extauthz.ids import DecisionId
from extauthz.ledger import Ledger
from extauthz.model.decision import Decision
from extauthz.model.enquiry import Answered, Enquiries, Enquiry
from extauthz.model.identity import ANONYMOUS, Credential
from extauthz.model.reason import Reason
from extauthz.model.restriction import Restriction
from extauthz.model.verdict import Allow, Deny
from extauthz.nothing import NOTHING
from extauthz.policy.evaluate import evaluate
from extauthz.ports import NO_EVIDENCE, NeedsEvidence
from extauthz.request.bounds import require_within_bounds, require_within_tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extauthz.clock import Instant
    from extauthz.model.facts import AttributeValue, Facts
    from extauthz.model.identity import Identity
    from extauthz.model.request import Request
    from extauthz.model.restriction import Mark
    from extauthz.model.state import StateName
    from extauthz.model.verdict import Verdict
    from extauthz.policy.ruleset import Route, Ruleset
    from extauthz.ports import RestrictionSource, StateSource
    from extauthz.request.bounds import Proxy

PLACEHOLDER_ID = DecisionId("d-00000000000000000000")
"""The id of decisions that nobody asked for."""


class NotRecorded(Exception):  # noqa: N818 — it is an outcome of a replay, always caught by `judge`
    """A decision needs something that is not at hand, so nobody can tell how it would come out.

    Args:
        what: names it, for people: `query`, `source.sni`.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(slots=True)
class Judged:
    """What came out, and what was known by then.

    Attributes:
        verdict: a denial when `missing` says that nobody can tell.
        missing: what would have been needed; empty when all was at hand.
    """

    at: Instant
    policy: Ruleset
    verdict: Verdict = field(default_factory=lambda: Deny(reason=Reason.INTERNAL_ERROR))
    request: Request | None = None
    route: Route | None = None
    identity: Identity | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    facts: Facts | None = None
    missing: str = ""

    @property
    def decision(self) -> Decision:
        """Return the decision as the pipeline would make it."""
        return Decision(
            decision_id=PLACEHOLDER_ID,
            at=self.at,
            verdict=self.verdict,
            proxy=TOOL_PROXY,
            policy=self.policy.revision,
            request=self.request,
            target=self.route.target if self.route is not None else None,
            identity=self.identity,
            attributes=self.attributes,
        )


TOOL_PROXY = "policy-tools"
"""The name of the proxy that asks for tools."""


@dataclass(frozen=True, slots=True)
class KnownState:
    """Changeable facts that are given; implements `ports.StateSource` and `ports.RestrictionSource`.

    Attributes:
        facts: by name; what is not here is not known, and was not taken away.
    """

    facts: Mapping[StateName, object] = field(default_factory=dict)

    def find_state(self, name: StateName, at: Instant) -> object | None:
        """Return the fact; None when it is not known."""
        del at
        return self.facts.get(name)

    def find_restrictions(self, marks: Sequence[Mark], at: Instant) -> tuple[Restriction, ...]:
        """Return those that are given on any of `marks`."""
        found = (self.facts.get(mark.name) for mark in marks)
        given = [each for each in found if isinstance(each, Restriction) and each.in_force]
        return tuple(each for each in given if each.until is None or at < each.until)

    def is_state_fresh(self, at: Instant) -> bool:
        """Return that it is: what is given is the truth."""
        del at
        return True

    def are_signals_fresh(self, issuer: str, at: Instant) -> bool:
        """Return that they are."""
        del issuer, at
        return True


class _NoEpochs:
    """Nothing changes while a tool decides."""

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Return zeros."""
        return (0,) * len(names)


def _untold(enquiry: Enquiry) -> Answered | None:
    """Say that nobody can tell.

    Raises:
        NotRecorded: always.
    """
    what = f"the answer of {enquiry.of}"
    raise NotRecorded(what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a tool gives to a decision.

    Attributes:
        read_request: returns the request, or raises a `Refusal` as `decode` does.
        identify: returns the caller for a route that asks for a credential, or raises a `Refusal`.
        state: changeable facts.
        at: the instant of the decision.
        proxy: who asks; None leaves the bounds of proxies out.
        read_attributes: reads the attributes of a route's resource; None for the way that serves.
        see: changes what rules see; None for what they would see.
        restrictions: what was taken away after login.
        answer: what others answer who have the say about something; None when nobody can tell, so that what hangs on
            an answer is untold.
    """

    read_request: Callable[[], Request]
    identify: Callable[[Route, Request], Identity]
    state: StateSource
    at: Instant
    proxy: Proxy | None = None
    read_attributes: Callable[[Route, Request], dict[str, AttributeValue]] | None = None
    see: Callable[[Facts], Facts] | None = None
    restrictions: RestrictionSource = NOTHING
    answer: Callable[[Enquiry], Answered | None] | None = None


def judge(given: Given, ruleset: Ruleset) -> Judged:
    """Decide what is given by a policy; never raises.

    Whatever the steps need and do not have (`NotRecorded`) makes the outcome untold, not a denial.
    """
    judged = Judged(at=given.at, policy=ruleset)

    def steps() -> Verdict:
        try:
            return _decide(judged, given, ruleset)
        except NotRecorded as missing:
            judged.missing = missing.what
            return Deny(reason=Reason.EVIDENCE_UNAVAILABLE, inner=f"not recorded: {missing.what}")

    verdict = guard.decided(steps)
    if not isinstance(verdict, NeedsEvidence):  # the steps never ask for any
        judged.verdict = verdict
    return judged


def _decide(judged: Judged, given: Given, ruleset: Ruleset) -> Verdict:
    # The numbers are those of the pipeline.
    # 1. The request, within what the proxy may ask about.
    judged.request = request = given.read_request()
    if given.proxy is not None:
        require_within_bounds(request, given.proxy)
    # 2. The route.
    judged.route = route = ruleset.route(request)
    if route.preflight_only:
        return Allow(rule=route.preflight_rule)
    # 3. The caller, who is given.
    judged.identity = identity = ANONYMOUS if route.verify is None else given.identify(route, request)
    if given.proxy is not None:
        require_within_tenants(identity, request, given.proxy)
    trust = Trust(stale_proceeds=route.stale_proceeds, signals_optional=route.signals_optional)
    ledger = Ledger(_NoEpochs())
    narrowing = require_unrestricted(identity, given.at, trust, restrictions=given.restrictions, ledger=ledger)
    # 4. The facts.
    read = given.read_attributes
    judged.attributes = route.read_attributes(request) if read is None else read(route, request)
    facts = gather_facts(request, identity, route.target, judged.attributes, given.at)
    facts = read_state(route.rules, facts, given.state, ledger, narrowing)
    facts = replace(facts, enquiries=Enquiries() if given.answer is None else Enquiries(given.answer))
    judged.facts = facts = facts if given.see is None else given.see(facts)
    # 5. The rules. What the pipeline would have asked others about is untold when nobody can tell what they say.
    verdict = evaluate(route.rules, facts)
    if given.answer is None and facts.enquiries.open:
        judged.facts = replace(facts, said={}, enquiries=Enquiries(_untold))
        need = find_open(facts.enquiries, verdict, route.rules, NO_EVIDENCE)
        if need is not None:
            _untold(need.enquiry)
    return verdict


def no_credential(route: Route, request: Request) -> Identity:
    """Refuse, as the pipeline does when a request presents no credential.

    Raises:
        Refusal: always.
    """
    if route.credential is Credential.BEARER:
        find_bearer(request)
    elif route.credential is Credential.DPOP:
        find_dpop_token(request)
    raise Refusal(Reason.NO_CREDENTIALS, inner="a case proves its caller by `identity`")
