"""How long a decision can be reused, and which epochs it rests on.

A decision holds until the earliest instant at which it could change by itself (a token ends, a sign-in grows old), and
only while every epoch that it rests on is what it was *before* the first fact was read. Which decisions are kept:

1. Allows, also for nobody in particular (`credential: none`).
2. Refusals by policy, which is asked when the credential that counts is proven: they change with the policy, the token
   or time, all of which are in the key, the epochs or the lifetime. Refusals of a credential that is not proven are not
   kept, or guesses would fill the cache. Failures of ours are never kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.clock import Instant
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.model.verdict import Verdict
    from extauthz.policy.rules import RouteRules

LONGEST_SECONDS: Final = 300.0
"""No decision is reused longer than this, whatever its parts say: a bound on mistakes that nobody has foreseen."""

_KEPT: Final = frozenset(
    {
        Reason.NO_PERMIT,
        Reason.FORBIDDEN,
        Reason.INSUFFICIENT_SCOPE,
        Reason.AUTHORIZATION_DETAILS_MISSING,
        Reason.ROLE_MISSING,
        Reason.TENANT_MISMATCH,
        Reason.STEP_UP_REQUIRED,
        Reason.UNEXPECTED_ENVIRONMENT,
        Reason.UNEXPECTED_NETWORK,
        Reason.TOOL_NOT_ALLOWED,
        Reason.EXTERNAL_DENIED,
        Reason.PLUGIN_DENIED,
    }
)


def reusable_until(verdict: Verdict, rules: RouteRules, facts: Facts) -> Instant | None:
    """Return the first instant at which the verdict may be another, or None when it is not to be reused at all.

    Args:
        verdict: what `rules` and `facts` gave.
        rules: every rule of the route; also one that does not apply now may apply later.
        facts: the facts of the decision.
    """
    if not isinstance(verdict, Allow) and verdict.reason not in _KEPT:
        return None
    until = facts.at + LONGEST_SECONDS
    accepted_until = facts.identity.accepted_until
    if accepted_until is not None and accepted_until < until:
        until = accepted_until
    for requirement in rules.timed:
        until = min(until, requirement.changes_at(facts))
    return Instant(until) if until > facts.at else None
