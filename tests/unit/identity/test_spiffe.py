"""SPIFFE IDs are read in one spelling."""

from __future__ import annotations

import pytest

from extauthz.identity.spiffe import is_spiffe, is_trust_domain, parse_spiffe_id


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://example.org/a",
        "spiffe://example.org/ns/prod/sa/api",
        "spiffe://a_b-c.9/A-Z_z.9/...",
        f"spiffe://{'d' * 255}/a",
        "spiffe://example.org/" + "a" * (2048 - len("spiffe://example.org/")),
    ],
)
def test_a_workload_is_read(text: str) -> None:
    """Text → parts → the same text."""
    spiffe_id = parse_spiffe_id(text)
    assert str(spiffe_id) == text
    assert spiffe_id.issuer == f"spiffe://{spiffe_id.trust_domain}"


@pytest.mark.parametrize(
    "text",
    [
        "spiffe://Example.org/a",
        "SPIFFE://example.org/a",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe:///a",
        "spiffe://example.org/a/",
        "spiffe://example.org/%61",
        "spiffe://example.org/a//b",
        "spiffe://example.org//a",
        "spiffe://example.org/a/./b",
        "spiffe://example.org/a/../b",
        "spiffe://example.org:80/a",
        "spiffe://user@example.org/a",
        "spiffe://ex%61mple.org/a",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe://example.org/a b",
        "spiffe://example.org/a\n",
        "spiffe://example.org\n/a",
        "spiffe://exämple.org/a",
        f"spiffe://{'d' * 256}/a",
        "spiffe://example.org/" + "a" * (2049 - len("spiffe://example.org/")),
        "https://example.org/a",
        "spiffe:/example.org/a",
        "",
    ],
)
def test_every_other_spelling_is_refused(text: str) -> None:
    """Also those that could be normalised: equal identities are equal texts."""
    with pytest.raises(ValueError, match=r"SPIFFE ID|trust domain"):
        parse_spiffe_id(text)


def test_what_claims_to_be_a_spiffe_id_is_told_from_other_uris() -> None:
    """Without regard to case, since whatever claims it must also be one."""
    assert is_spiffe("SPIFFE:whatever")
    assert not is_spiffe("https://example.org/spiffe:")
    assert is_trust_domain("example.org")
    assert not is_trust_domain("example.org/a")
