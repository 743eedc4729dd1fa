"""Rules and facts for tests of the evaluator: requirements and conditions that come out as told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extauthz.clock import Instant
from extauthz.model.facts import Facts
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.request import Request
from extauthz.policy.rules import ConditionFailed, Timeless

if TYPE_CHECKING:
    from extauthz.policy.rules import Finding

NOW = Instant(1_800_000_000.0)
CI = Principal(
    issuer="https://issuer.example", subject="ci-runner", kind=Kind.CI, client="ci", roles=frozenset({"deployer"})
)
AGENT = Principal(issuer="https://issuer.example", subject="agent-7", kind=Kind.AGENT)


@dataclass(frozen=True)
class Told(Timeless):
    """A requirement that finds what it is told to find."""

    finding: Finding
    kind: str = "told"
    reads: frozenset[str] = frozenset()

    def find(self, facts: Facts) -> Finding:
        """Return the finding it was made with."""
        del facts
        return self.finding


@dataclass(frozen=True)
class When:
    """A condition that holds, does not, or (None) fails."""

    result: bool | None
    reads: frozenset[str] = frozenset()

    def holds(self, facts: Facts) -> bool:
        """Return the result it was made with, or raise for None."""
        del facts
        if self.result is None:
            message = "risk.score is not known"
            raise ConditionFailed(message)
        return self.result


def make_facts(identity: Identity | None = None) -> Facts:
    """Return facts of a small request by `identity` (a CI job unless told otherwise)."""
    return Facts(
        request=Request(method="GET", host="api.example.com", path="/", segments=("",)),
        identity=identity or Identity(subject=CI),
        at=NOW,
    )
