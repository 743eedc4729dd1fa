"""What is taken for a secret, and what is not."""

from __future__ import annotations

import pytest

from extauthz.redact import redact
from tests.simulators.secrets import JWT


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        JWT.rsplit(".", 1)[0],
        "gh" + "p_" + "a1B2" * 9,
        "gl" + "pat-" + "a1B2c3D4e5F6g7H8i9J0",
        "hv" + "s." + "CAESIJ" * 5,
        "xa" + "k_" + "abcd2345" * 2 + "_" + "efgh67ij" * 6 + "abcd_abcdefg",
        "AK" + "IA" + "ABCDEFGHIJKLMNOP",
        "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5hJ7kL9",
        "abcdefghijklmnop.qrstuvwxyz012345.6789abcdefghijkl",
    ],
)
def test_secrets_are_cut_out(secret: str) -> None:
    """The secret goes, the text round it stays."""
    assert redact(f"/v1/{secret}/x") == "/v1/[redacted]/x"


def test_a_quoted_authorization_value_is_cut_out() -> None:
    """A scheme and what follows it go, up to the next character that no credential holds."""
    assert redact("got 'Bearer opaque/token+of.some~length==', refused") == "got '[redacted]', refused"


@pytest.mark.parametrize(
    "text",
    [
        "short",
        "/v1/projects/apollo/deployments",
        "7f3c0d2e-1b52-4a5e-9a53-0d3f5a0c1e11",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "spiffe://example.org/ns/production/sa/deployer-of-things",
        "/v1/secret/data/global-production-environment",
        "risk-assessment-of-the-quarter",
        "the bearer credential is not well-formed",
        "api.internal.example.com",
    ],
)
def test_identifiers_stay(text: str) -> None:
    """Digests, UUIDs, names and sentences are not secrets."""
    assert redact(text) == text
