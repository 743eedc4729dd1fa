"""How much slower a decision of policy is with ten thousand resources than with ten.

Both rulesets answer the same requests in turn, so that whatever else the machine does touches both alike; the ratio of
the medians is printed. Run it with `python -m bench.index`.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING, Final

from extauthz.clock import Instant
from extauthz.decision.facts import gather_facts
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.request import Request
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.evaluate import evaluate

if TYPE_CHECKING:
    from extauthz.policy.ruleset import Ruleset

FEW: Final = 10
MANY: Final = 10_000
GOAL: Final = 1.2
"""The most that ten thousand resources may cost, as a multiple of ten."""

_ROUNDS: Final = 300
_BATCH: Final = 50
_CALLER: Final = Identity(subject=Principal(issuer="https://issuer.example", subject="job", kind=Kind.CI))


def policy_of(resources: int) -> dict[str, bytes]:
    """Return the files of a policy with that many resources, two conditions and a permit for each."""
    declared = "".join(
        f"""\
  - name: service{number}
    action: read
    match: {{host: api.example.com, path: "/v1/service{number}/items/{{item}}", methods: [GET]}}
    attributes: {{item: path.item}}
"""
        for number in range(resources)
    )
    permits = "".join(
        f"  - {{id: permit{number}, who: {{kind: [ci]}}, may: service{number}.read}}\n" for number in range(resources)
    )
    guards = """\
guards:
  - {id: no-drafts, on: "*", when: 'resource.item == "draft"', require: [{roles: [editor]}]}
forbids:
  - {id: no-secrets, on: "*", when: 'resource.item.startsWith("secret-")'}
"""
    return {"resources.yaml": f"resources:\n{declared}".encode(), "rules.yaml": f"{guards}permits:\n{permits}".encode()}


def decide(ruleset: Ruleset, request: Request) -> bool:
    """Return whether policy allows a request: its route, its attributes, and its rules."""
    route = ruleset.route(request)
    attributes = route.read_attributes(request)
    facts = gather_facts(request, _CALLER, route.target, attributes, Instant(0.0))
    return evaluate(route.rules, facts).__class__.__name__ == "Allow"


def requests_of(resources: int) -> list[Request]:
    """Return requests for the first of so many resources."""
    segments = [("v1", f"service{number}", "items", "7") for number in range(min(resources, FEW))]
    return [
        Request(method="GET", host="api.example.com", path="/" + "/".join(each), segments=each) for each in segments
    ]


def measure() -> float:
    """Return the ratio of the medians, ten thousand resources over ten; every answer is checked."""
    rulesets = {size: compile_policy(policy_of(size), PolicyContext()) for size in (FEW, MANY)}
    times: dict[int, list[float]] = {size: [] for size in rulesets}
    asked = requests_of(FEW) * (_BATCH // FEW)
    for number in range(_ROUNDS):
        for size in (FEW, MANY) if number % 2 else (MANY, FEW):
            ruleset = rulesets[size]
            start = time.perf_counter()
            answers = [decide(ruleset, request) for request in asked]
            times[size].append((time.perf_counter() - start) / len(asked))
            if not all(answers):
                message = f"a request was refused with {size} resources"
                raise RuntimeError(message)
    medians = {size: statistics.median(found) for size, found in times.items()}
    ratio = medians[MANY] / medians[FEW]
    for size, median in medians.items():
        sys.stdout.write(f"{size:>6} resources: {median * 1e6:6.2f} µs a decision of policy (median)\n")
    sys.stdout.write(f"ratio {ratio:.3f}, goal at most {GOAL}\n")
    return ratio


if __name__ == "__main__":
    sys.exit(0 if measure() <= GOAL else 1)
