"""Verification profiles and requests that carry credentials, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from extauthz.identity.authenticate import authenticate
from extauthz.identity.rules import IssuerRules, MappingRules, Profile
from extauthz.identity.sources import Sources
from extauthz.ledger import Ledger
from extauthz.model.identity import Credential, Identity
from extauthz.model.request import Body, BodyState, Headers, Request
from extauthz.ports import NO_EVIDENCE, Evidence, NeedsEvidence
from tests.simulators.tokens import AUDIENCE, ISSUER, NOW, MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.clock import Instant

ALGORITHMS: Final = ("ES256", "RS256", "PS256", "EdDSA", "Ed25519")
LEEWAY: Final = 5.0
MAX_LIFETIME: Final = 3600.0


def issuer_rules(issuer: str = ISSUER, mapping: MappingRules | None = None, **changes: Any) -> IssuerRules:
    """Return rules for an issuer; `changes` replace."""
    rules: dict[str, Any] = {"algorithms": ALGORITHMS, "leeway": LEEWAY, "max_lifetime": MAX_LIFETIME, **changes}
    return IssuerRules(issuer=issuer, mapping=mapping or MappingRules(), **rules)


def profile(*rules: IssuerRules, max_token_age: float | None = None, audience: str = AUDIENCE) -> Profile:
    """Return a profile that believes these issuers, or only the default one."""
    believed = rules or (issuer_rules(),)
    return Profile(
        name="api",
        audience=audience,
        realm="example",
        issuers={one.issuer: one for one in believed},
        max_token_age=max_token_age,
    )


def request(
    *authorization: str,
    query: tuple[tuple[str, str], ...] = (),
    headers: Mapping[str, tuple[str, ...]] | None = None,
    body: bytes = b"",
) -> Request:
    """Return a request with these `Authorization` lines."""
    lines = dict(headers or {})
    if authorization:
        lines["authorization"] = authorization
    return Request(
        method="GET",
        host="api.example.com",
        path="/",
        segments=("",),
        query=query,
        headers=Headers(lines, exact=True),
        body=Body(BodyState.COMPLETE, body) if body else Body(),
    )


def bearer(token: str) -> Request:
    """Return a request that carries one bearer token."""
    return request(f"Bearer {token}")


def sources(keys: MemoryKeys, evidence: Evidence = NO_EVIDENCE, **others: Any) -> Sources:
    """Return sources of proof with these keys; `others` add more."""
    return Sources(keys=keys, ledger=Ledger(keys), evidence=evidence, **others)


def prove(
    request: Request,
    believed: Profile,
    keys: MemoryKeys,
    evidence: Evidence = NO_EVIDENCE,
    *,
    credential: Credential = Credential.BEARER,
    at: Instant = NOW,
) -> Identity | NeedsEvidence:
    """Return the caller that a request proves, or what must be fetched first."""
    found = authenticate(request, credential, believed, sources(keys, evidence), at)
    return found if isinstance(found, NeedsEvidence) else found.identity
