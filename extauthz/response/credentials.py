"""Names under which credentials, or claims about the caller, travel in HTTP requests.

A resource declares one carrier. Whatever else a client sends under one of these names would be a second identity that
nobody checked, so it does not reach the upstream unless the resource's `forward` says so.
"""

from __future__ import annotations

from typing import Final

CREDENTIAL_HEADERS: Final = frozenset(
    {
        # The HTTP framework (RFC 9110), DPoP (RFC 9449), transaction tokens, cookies.
        "authorization",
        "proxy-authorization",
        "cookie",
        "dpop",
        "txn-token",
        # Keys and tokens under the names that products read them from.
        "x-api-key",
        "api-key",
        "apikey",
        "x-apikey",
        "x-access-token",
        "x-auth-token",
        "x-subject-token",
        "x-service-token",
        "x-id-token",
        "x-jwt-assertion",
        "x-vault-token",
        "x-consul-token",
        "x-nomad-token",
        "private-token",
        "job-token",
        "deploy-token",
        "x-jfrog-art-api",
        "x-goog-api-key",
        "x-goog-iam-authorization-token",
        "x-amz-security-token",
        "cf-access-jwt-assertion",
        # Client certificates as proxies pass them on (Envoy's own form, and RFC 9440).
        "x-forwarded-client-cert",
        "client-cert",
        "client-cert-chain",
        # Acting as somebody else (Kubernetes).
        "impersonate-user",
        "impersonate-group",
        "impersonate-uid",
        # What authenticating proxies tell their upstreams; from a client it is a forgery.
        "remote-user",
        "x-remote-user",
        "x-remote-group",
        "x-remote-uid",
        "x-forwarded-access-token",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-preferred-username",
        "x-forwarded-user",
        "x-auth-request-access-token",
        "x-auth-request-email",
        "x-auth-request-groups",
        "x-auth-request-preferred-username",
        "x-auth-request-user",
        "x-webauth-user",
        "x-ms-client-principal",
        "x-endpoint-api-userinfo",
    }
)
"""Lower case. Removed by name on every allow, seen or not, unless Envoy is known to show us every header."""

CREDENTIAL_PREFIXES: Final = (
    "impersonate-extra-",
    "x-remote-extra-",
    "x-amzn-oidc-",
    "x-goog-authenticated-user-",
    "x-ms-client-principal-",
    "x-ms-token-",
)
"""Families whose last part the client chooses. Removed where Envoy showed them to us."""

CREDENTIAL_PARAMETERS: Final = frozenset({"access_token", "private_token", "job_token"})
"""Query parameters that products take tokens from (RFC 6750 section 2.3, which OAuth 2.1 forbids; GitLab's two)."""
