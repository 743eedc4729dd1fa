"""Where a shared Redis may be, and what its settings must not say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from extauthz.config.state import RedisSettings


@pytest.mark.parametrize(
    "url",
    [
        "rediss://redis.example.internal:6379/0",
        "rediss://redis.example.internal",
        "rediss://192.0.2.1:6380/15",
        "rediss://[2001:db8::1]:6379",
        "redis://127.0.0.1:6379/0",
        "redis://[::1]/1",
        "redis://localhost",
        "redis://localhost/",
    ],
)
def test_where_it_may_be(url: str) -> None:
    """Anywhere with TLS; on this machine also without."""
    assert RedisSettings(url=url).url == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://redis.example.internal:6379", "insecure_plaintext"),
        ("redis://192.0.2.1", "insecure_plaintext"),
        ("redis://localhost.example.com", "insecure_plaintext"),
        ("redis://0.0.0.0", "insecure_plaintext"),
        ("rediss://user:password@host", "url"),
        ("http://host", "url"),
        ("rediss://", "url"),
        ("rediss:///0", "url"),
        ("rediss://:6379", "url"),
        ("rediss://host:0", "url"),
        ("rediss://host:99999", "url"),
        ("rediss://host:port", "url"),
        ("rediss://host/x", "url"),
        ("rediss://host/0/1", "url"),
        ("rediss://host?ssl_cert_reqs=none", "url"),
        ("rediss://host#x", "url"),
        ("rediss://[::1", "url"),
    ],
)
def test_where_it_may_not_be(url: str, why: str) -> None:
    """The message names the fix."""
    with pytest.raises(ValidationError, match=why):
        RedisSettings(url=url)


def test_plaintext_beyond_loopback_is_the_operators_word() -> None:
    """It is listed among the settings that weaken."""
    assert RedisSettings(url="redis://192.0.2.1", insecure_plaintext=True).insecure_plaintext


def test_a_certificate_needs_its_key() -> None:
    """And the other way round."""
    for half in ("certificate", "key"):
        with pytest.raises(ValidationError, match="both certificate and key"):
            RedisSettings.model_validate({"url": "rediss://host", half: "file.pem"})
