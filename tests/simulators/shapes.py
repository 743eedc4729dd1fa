"""Tokens as GitHub, GitLab, Kubernetes, SPIFFE and OpenID providers make them: well-formed by default.

`minted("github_actions")` is a token that rules for that shape accept at `NOW`; arguments change one thing. Names and
types of the claims are the issuers' own, values are made up.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from extauthz.errors import Refusal
from extauthz.identity.shapes import SHAPES
from extauthz.model.identity import Identity
from tests.simulators.profiles import bearer, issuer_rules, profile, prove
from tests.simulators.tokens import AUDIENCE, NOW, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.identity.rules import IssuerRules

GITHUB: Final = "https://token.actions.githubusercontent.com"
GITLAB: Final = "https://gitlab.example"
KUBERNETES: Final = "https://kubernetes.default.svc.cluster.local"
TRUST_DOMAIN: Final = "spiffe://example.org"
PROVIDER: Final = "https://login.example"

ISSUERS: Final = {
    "oidc": PROVIDER,
    "github_actions": GITHUB,
    "gitlab_ci": GITLAB,
    "kubernetes": KUBERNETES,
    "spiffe": TRUST_DOMAIN,
}

_OWN: Final[dict[str, dict[str, Any]]] = {
    "oidc": {"iss": PROVIDER, "sub": "alice", "azp": "console", "scp": ["read", "write"], "kind": "user"},
    "github_actions": {
        "iss": GITHUB,
        "sub": "repo:octo-org/octo-repo:environment:production",
        "jti": "58772c9f-4d75-4fc8-8956-7dd522569a00",
        "actor": "octocat",
        "actor_id": "43356",
        "base_ref": "",
        "environment": "production",
        "event_name": "push",
        "head_ref": "",
        "job_workflow_ref": "octo-org/shared/.github/workflows/deploy.yml@refs/tags/v1",
        "ref": "refs/heads/main",
        "ref_protected": "true",
        "ref_type": "branch",
        "repository": "octo-org/octo-repo",
        "repository_id": "957014466",
        "repository_owner": "octo-org",
        "repository_owner_id": "65",
        "repository_visibility": "private",
        "run_attempt": "1",
        "run_id": "14144996512",
        "run_number": "3",
        "runner_environment": "github-hosted",
        "workflow": "Release",
        "workflow_ref": "octo-org/octo-repo/.github/workflows/release.yml@refs/heads/main",
    },
    "gitlab_ci": {
        "iss": GITLAB,
        "sub": "project_path:my-group/my-project:ref_type:branch:ref:main",
        "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
        "namespace_id": "72",
        "namespace_path": "my-group",
        "project_id": "20",
        "project_path": "my-group/my-project",
        "user_id": "1",
        "user_login": "sample-user",
        "pipeline_id": "574",
        "pipeline_source": "push",
        "job_id": "302",
        "ref": "main",
        "ref_type": "branch",
        "ref_path": "refs/heads/main",
        "ref_protected": "true",
        "environment": "production",
        "environment_protected": "true",
        "deployment_tier": "production",
        "groups_direct": ["my-group/my-subgroup"],
        "runner_id": 1,
        "runner_environment": "gitlab-hosted",
        "ci_config_ref_uri": "gitlab.example/my-group/my-project//.gitlab-ci.yml@refs/heads/main",
    },
    "kubernetes": {
        "iss": KUBERNETES,
        "sub": "system:serviceaccount:payments:ledger",
        "jti": "e51f1fbc-4733-4b85-a59f-ba80c0523874",
        "kubernetes.io": {
            "namespace": "payments",
            "node": {"name": "worker-1", "uid": "517eb86e-b863-451b-bf70-86cb61439a3a"},
            "pod": {"name": "ledger-7f9c4-x2x", "uid": "0d8b260e-ef0e-45fb-be8e-ff44f97722e8"},
            "serviceaccount": {"name": "ledger", "uid": "e6a8680e-d103-4cce-80ea-03acbbeacf7d"},
        },
    },
    "spiffe": {"sub": f"{TRUST_DOMAIN}/ns/payments/sa/ledger"},
}

_TYPES: Final = {"kubernetes": None}
"""`typ` where it is not `JWT`."""

_WITHOUT_ISSUED_AT: Final = frozenset({"spiffe"})


def maker_for(shape: str) -> TokenMaker:
    """Return the signing key of the issuer of a shape."""
    return TokenMaker(issuer=ISSUERS[shape])


def rules_for(shape: str, **changes: Any) -> IssuerRules:
    """Return rules that accept the shape's tokens; `changes` replace."""
    known = SHAPES[shape]
    return issuer_rules(ISSUERS[shape], **{"shape": known, "mapping": known.mapping, **changes})


def claims_for(shape: str, *, now: float = NOW, lifetime: float = 300, **changes: Any) -> dict[str, Any]:
    """Return valid claims; `changes` replace, None removes."""
    claims = {"aud": AUDIENCE, "iat": int(now), "exp": int(now + lifetime), **_OWN[shape], **changes}
    if shape in _WITHOUT_ISSUED_AT and "iat" not in changes:
        del claims["iat"]
    return {name: value for name, value in claims.items() if value is not None}


def minted(
    shape: str, *, headers: Mapping[str, Any] | None = None, maker: TokenMaker | None = None, **changes: Any
) -> str:
    """Return a signed token.

    Args:
        shape: whose.
        headers: header members added or replaced; None removes one.
        maker: another key.
        changes: of the claims; None removes one.
    """
    maker = maker or maker_for(shape)
    header = {"alg": maker.alg, "kid": maker.kid, "typ": _TYPES.get(shape, "JWT"), **(headers or {})}
    header = {name: value for name, value in header.items() if value is not None}
    return maker.mint_raw(json.dumps(header).encode(), json.dumps(claims_for(shape, **changes)).encode())


def identify(shape: str, *, rules: IssuerRules | None = None, **changes: Any) -> Identity:
    """Return the identity of a token of this shape."""
    token = minted(shape, **changes)
    found = prove(bearer(token), profile(rules or rules_for(shape)), maker_for(shape).key_source())
    assert isinstance(found, Identity)
    return found


def refused(shape: str, **changes: Any) -> Refusal:
    """Return the refusal of a token of this shape."""
    with pytest.raises(Refusal) as refusal:
        identify(shape, **changes)
    return refusal.value
