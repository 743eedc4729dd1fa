"""Policies as text, and requests and facts to ask them about."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.decision.facts import gather_facts
from extauthz.errors import PolicyError, Problem
from extauthz.model.decision import Target
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.request import Body, BodyState, Headers, Request
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.names import FACTS, Fact, FactType
from extauthz.policy.requirements.registry import REQUIREMENTS
from extauthz.policy.surroundings import Surroundings
from extauthz.policy.written import Written
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.facts import AttributeValue, Facts
    from extauthz.policy.rules import Finding, Requirement
    from extauthz.policy.ruleset import Ruleset

AT = Instant(1_800_000_000.0)
ISSUER = "https://issuer.example"

RESOURCE = """\
resources:
  - name: order
    action: read
    match: {host: api.example.com, path: "/orders/{order}", methods: [GET]}
    attributes: {order: path.order}
"""
"""The resource that policies in tests add rules to; the next line is line 6."""

ATTRIBUTES: Mapping[str, Fact] = {
    "resource.environment": Fact(FactType.TEXT, ("staging", "production")),
    "resource.tenant": Fact(FactType.TEXT),
    "resource.size": Fact(FactType.NUMBER),
    "resource.level": Fact(FactType.NUMBER, ("1", "2")),
    "resource.urgent": Fact(FactType.FLAG),
}


def compile_text(text: str, context: PolicyContext | None = None) -> Ruleset:
    """Return the ruleset that one policy file states."""
    return compile_policy({"p.yaml": dedent(text).encode()}, context or PolicyContext())


def problems_in(text: str, context: PolicyContext | None = None) -> list[Problem]:
    """Return the problems of one policy file, which must have some."""
    with pytest.raises(PolicyError) as caught:
        compile_text(text, context)
    return caught.value.problems


def only_problem(text: str, context: PolicyContext | None = None) -> Problem:
    """Return the problem of one policy file, which must have exactly one."""
    (problem,) = problems_in(text, context)
    return problem


def make_request(method: str = "GET", url: str = "api.example.com/", **fields: Any) -> Request:
    """Return a normalised request; `url` is host and path, other fields as in `Request`."""
    host, _, rest = url.partition("/")
    return Request(method=method, host=host, path=f"/{rest}", segments=tuple(rest.split("/")), **fields)


def json_body(raw: bytes, *, content_type: str = "application/json", **headers: str) -> dict[str, Any]:
    """Return the fields of a request with a complete JSON body."""
    lines = {"content-type": (content_type,)} | {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return {"body": Body(BodyState.COMPLETE, raw), "headers": Headers(lines, exact=True)}


def principal(subject: str = "job-1", kind: Kind | None = Kind.CI, **fields: Any) -> Principal:
    """Return one party."""
    return Principal(issuer=ISSUER, subject=subject, kind=kind, **fields)


def make_facts(
    identity: Identity | None = None,
    attributes: Mapping[str, AttributeValue] | None = None,
    request: Request | None = None,
) -> Facts:
    """Return the facts of a decision about `order.read`."""
    return gather_facts(
        request or make_request(),
        identity or Identity(subject=principal()),
        Target(resource="order", action="read"),
        attributes or {},
        AT,
    )


def surroundings(acr: Mapping[str, tuple[str, ...]] | None = None) -> Surroundings:
    """Return the surroundings of a resource with every type of attribute."""
    return Surroundings("order.read", {**FACTS, **ATTRIBUTES}, acr or {})


def requirement(kind: str, argument: str, acr: Mapping[str, tuple[str, ...]] | None = None) -> Requirement:
    """Return the requirement that `kind: argument` in a policy file states."""
    file = read_yaml("p.yaml", f"{kind}: {argument}\n".encode())
    return REQUIREMENTS[kind](file.data[kind], Written(file, (kind,)), surroundings(acr))


def refused(kind: str, argument: str) -> Problem:
    """Return the problem of a requirement that is not acceptable."""
    with pytest.raises(PolicyError) as caught:
        requirement(kind, argument)
    return caught.value.problems[0]


def found(kind: str, argument: str, facts: Facts) -> Finding:
    """Return what the requirement `kind: argument` finds."""
    return requirement(kind, argument).find(facts)
