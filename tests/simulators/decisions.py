"""Decisions as the pipeline would make them, for tests of what comes after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.clock import Instant
from extauthz.ids import DecisionId, PolicyRevision, RuleId
from extauthz.model.decision import Decision, Target
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.request import Headers, Request, Source
from extauthz.model.verdict import Allow, Deny, Trail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.facts import AttributeValue
    from extauthz.model.reason import Reason
    from extauthz.model.verdict import Remedy, Verdict

ISSUER = "https://issuer.example"
AT = Instant(1_700_000_000.25)


def request_with(*header_names: str, query: tuple[tuple[str, str], ...] = ()) -> Request:
    """Return a request that carries headers of these names."""
    lines = dict.fromkeys(header_names, ("sent-by-the-client",))
    return Request(
        method="POST",
        host="api.example.com",
        path="/v1/projects/apollo/deployments",
        segments=("v1", "projects", "apollo", "deployments"),
        query=query,
        headers=Headers(lines, exact=True),
        source=Source(address="192.0.2.7"),
        request_id="7f3c0d2e-1b52-4a5e-9a53-0d3f5a0c1e11",
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )


REQUEST = request_with("authorization", "accept")
TARGET = Target(resource="deployment", action="deploy", audience="https://api.example.com", realm="deployments")
IDENTITY = Identity(
    subject=Principal(issuer=ISSUER, subject="alice", kind=Kind.USER, client="console"),
    actor=Principal(issuer=ISSUER, subject="agent-7", kind=Kind.AGENT),
    chain=(Principal(issuer=ISSUER, subject="planner"),),
    tenant="acme",
    session="s-1",
    token_id="t-1",
    workload="https://issuer.example|console",
    profile="default",
    claims={"secret_claim": "claim-canary"},
)
ALLOW = Allow(rule=RuleId("people-deploy"), trail=Trail(met=(RuleId("people-deploy"),)))


def decision_of(
    verdict: Verdict,
    *,
    request: Request | None = REQUEST,
    target: Target | None = TARGET,
    identity: Identity | None = IDENTITY,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Decision:
    """Return a decision with this verdict."""
    return Decision(
        decision_id=DecisionId("d-00112233445566778899"),
        at=AT,
        verdict=verdict,
        proxy="edge",
        policy=PolicyRevision("0123456789abcdef"),
        request=request,
        target=target,
        identity=identity,
        attributes=attributes if attributes is not None else {"environment": "production", "replicas": 3},
    )


def denial(reason: Reason, *remedies: Remedy, detail: str = "", inner: str = "") -> Deny:
    """Return a denial."""
    return Deny(reason=reason, detail=detail, remedies=remedies, inner=inner)
