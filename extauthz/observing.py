"""Observing instead of enforcing: every request goes through, and the record says what enforcing would have done.

The decision is made as ever; this changes only what comes of it. Three things are refused even so:

1. Whoever asks without being a known proxy: nobody else may learn what policy would say.
2. Requests to hosts that are enforced already.
3. Where some hosts are, requests that cannot be read or were not read: their host is not known.

Our own failures let requests through as well, since they would not stand in the way of anything without us.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from extauthz.ids import RuleId
from extauthz.model.decision import Observed
from extauthz.model.verdict import Allow, Deny
from extauthz.request.bounds import host_matches
from extauthz.response.upstream import undeclared_credentials

if TYPE_CHECKING:
    from extauthz.model.decision import Decision

OBSERVE_RULE: Final = RuleId("extauthz.observe")
"""The rule of allows that enforcing would have refused; no policy can have a rule of that name."""


@dataclass(frozen=True, slots=True)
class Observing:
    """What is observed.

    Attributes:
        enforced: hosts where the policy is enforced: exact names, or `*.example.com` for one label more.
    """

    enforced: tuple[str, ...] = ()

    def covers(self, proxy: str, host: str | None) -> bool:
        """Return whether a request is only observed.

        Args:
            proxy: name of the proxy that asks; empty when it is not known.
            host: of the request, canonical; None when it is not known.
        """
        if not proxy:
            return False
        if not self.enforced:
            return True
        return host is not None and not any(host_matches(pattern, host) for pattern in self.enforced)


def observe(decision: Decision, observing: Observing | None) -> Decision:
    """Return what becomes of a decision: itself where it is enforced, else an allow that says what would have been.

    Args:
        decision: as policy, or whatever stood in the way, has made it.
        observing: what is observed; None when everything is enforced.
    """
    request, target, verdict = decision.request, decision.target, decision.verdict
    if observing is None or not observing.covers(decision.proxy, request.host if request is not None else None):
        return decision
    removes = undeclared_credentials(decision, request, target) if request is not None and target is not None else ()
    if not isinstance(verdict, Deny):
        return replace(decision, observed=Observed(None, removes))
    let_through = Allow(rule=OBSERVE_RULE, trail=verdict.trail)
    return replace(decision, verdict=let_through, observed=Observed(verdict, removes))
