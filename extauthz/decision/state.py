"""The changeable facts that a route's requirements ask for, each noted in the ledger before it is looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extauthz.ledger import Ledger
    from extauthz.model.facts import Facts
    from extauthz.policy.rules import RouteRules
    from extauthz.ports import StateSource


def read_state(rules: RouteRules, facts: Facts, source: StateSource, ledger: Ledger) -> Facts:
    """Return `facts` with the state that requirements ask for, as far as it is known.

    Every requirement of the route is asked, also of rules that turn out not to apply: what a decision rests on must
    not depend on what it found.
    """
    names = tuple(dict.fromkeys(name for requirement in rules.requirements for name in requirement.needs(facts)))
    if not names:
        return facts
    ledger.note(*names)
    known = ((name, source.find_state(name, facts.at)) for name in names)
    return replace(facts, state={name: value for name, value in known if value is not None})
