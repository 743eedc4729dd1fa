"""Facts with state for tests of requirements that look for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.model.identity import Identity
from extauthz.model.state import StateName
from tests.simulators.policies import AT, make_facts, principal

if TYPE_CHECKING:
    from extauthz.model.facts import Facts


def job(**fields: Any) -> Identity:
    """Return a caller with everything that state is found by."""
    known = {"workload": "builds", "device": "laptop-7", "session": "s-1", "tenant": "acme"}
    return Identity(subject=fields.pop("subject", principal(client="shop")), **{**known, **fields})


def facts_with(state: dict[tuple[str, str], object], identity: Identity | None = None, **changes: Any) -> Facts:
    """Return facts about `order.read` of `production`; `state` by kind and whose; `after` seconds later than `AT`."""
    after = changes.pop("after", 0.0)
    attributes = changes.pop("attributes", {"environment": "production", "size": 7, "urgent": True, "tenant": "T-1"})
    facts = make_facts(identity or job(), attributes, changes.pop("request", None))
    named = {StateName(kind, of): value for (kind, of), value in state.items()}
    return replace(facts, state=named, at=Instant(AT + after))


def in_seconds(seconds: float) -> Instant:
    """Return an instant after `AT`."""
    return Instant(AT + seconds)
