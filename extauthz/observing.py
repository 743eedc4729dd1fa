"""Observing instead of enforcing: every request goes through, and the record says what enforcing would have done.

The decision is made as ever; this changes only what comes of it. Three things are refused even so:

1. Whoever asks without being a known proxy: nobody else may learn what policy would say.
2. Requests to hosts that are enforced already, by name or because they belong to a namespace that is; on any port,
   which the client chooses, unless the name says one.
3. Where some are, requests that cannot be read or were not read, since their host is not known; and where namespaces
   are, all requests while no policy says which hosts belong to them.

Our own failures let requests through as well, since they would not stand in the way of anything without us.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from extauthz.ids import RuleId
from extauthz.model.decision import Observed
from extauthz.model.verdict import Allow, Deny
from extauthz.request.bounds import host_matches
from extauthz.response.upstream import undeclared_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.model.decision import Decision
    from extauthz.policy.ruleset import Ruleset

OBSERVE_RULE: Final = RuleId("extauthz.observe")
"""The rule of allows that enforcing would have refused; no policy can have a rule of that name."""

_PORT: Final = re.compile(r":[0-9]+$")


@dataclass(frozen=True, slots=True)
class Observing:
    """What is observed.

    Attributes:
        enforced: hosts where the policy is enforced: exact names, or `*.example.com` for one label more.
        namespaces: namespaces of the policy that are enforced.
    """

    enforced: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()

    def covers(self, proxy: str, host: str | None, ruleset: Ruleset | None) -> bool:
        """Return whether a request is only observed.

        Args:
            proxy: name of the proxy that asks; empty when it is not known.
            host: of the request, canonical; None when it is not known.
            ruleset: says which hosts are a namespace's; None when there is none.
        """
        if not proxy:
            return False
        if not self.enforced and not self.namespaces:
            return True
        if host is None or (self.namespaces and ruleset is None):
            return False
        spellings = {host, _PORT.sub("", host)}
        return not any(host_matches(pattern, each) for pattern in self._patterns(ruleset) for each in spellings)

    def _patterns(self, ruleset: Ruleset | None) -> Iterator[str]:
        yield from self.enforced
        if ruleset is not None:
            for namespace in self.namespaces:
                yield from ruleset.namespaces[namespace]


def observe(decision: Decision, observing: Observing | None, ruleset: Ruleset | None) -> Decision:
    """Return what becomes of a decision: itself where it is enforced, else an allow that says what would have been.

    Args:
        decision: as policy, or whatever stood in the way, has made it.
        observing: what is observed; None when everything is enforced.
        ruleset: the policy that it was made by.
    """
    request, target, verdict = decision.request, decision.target, decision.verdict
    host = request.host if request is not None else None
    if observing is None or not observing.covers(decision.proxy, host, ruleset):
        return decision
    removes = undeclared_credentials(decision, request, target) if request is not None and target is not None else ()
    if not isinstance(verdict, Deny):
        return replace(decision, observed=Observed(None, removes))
    let_through = Allow(rule=OBSERVE_RULE, trail=verdict.trail)
    return replace(decision, verdict=let_through, observed=Observed(verdict, removes))
