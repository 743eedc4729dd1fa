"""What a person reads when the server starts."""

from __future__ import annotations

from extauthz.config.settings import Settings
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.server.banner import banner
from tests.integration.running import POLICY


class Serving:
    """An engine that only says what it is."""

    name = "native"

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    def start(self) -> None:
        """Do nothing."""

    def set_serving(self, serving: bool) -> None:
        """Do nothing."""

    def stop(self, grace: float) -> None:
        """Do nothing."""


def test_a_bare_server_says_what_is_missing() -> None:
    """No policy, no proxies, no issuers, no metrics."""
    text = banner(Settings.model_validate({"policy": ["p"]}), Serving("127.0.0.1:9191"), None, None)
    assert "listening  127.0.0.1:9191 (plaintext)" in text
    assert "engine     native" in text
    assert "NONE: everything is denied" in text
    assert "note       no proxy is configured" in text
    assert "records    standard output" in text
    assert "metrics    off" in text
    assert "WEAKENED" not in text


def test_a_full_server_says_what_runs() -> None:
    """Each listener with its protection, the policy by revision and size, each weakening."""
    tls = {"certificate": "c", "key": "k"}
    settings = Settings.model_validate(
        {
            "policy": ["p"],
            "listeners": [{"address": "a:1", "tls": tls}, {"address": "a:2", "tls": {**tls, "client_ca": "x"}}],
            "proxies": [{"name": "edge", "token": "s3cr3t-s3cr3t-s3cr3t"}],
            "insecure": {"unauthenticated_proxies": True},
            "records": {"path": "r.jsonl"},
        }
    )
    ruleset = compile_policy({"p": POLICY.encode()}, PolicyContext())
    text = banner(settings, Serving("a:1", "a:2"), "127.0.0.1:9464", ruleset)
    assert "a:1 (TLS)" in text
    assert "a:2 (mTLS)" in text
    assert f"policy     {ruleset.revision} (2 resources, 1 guard, 0 forbids, 2 permits)" in text
    assert "WEAKENED   insecure.unauthenticated_proxies" in text
    assert "http://127.0.0.1:9464/metrics" in text
    assert "s3cr3t" not in text
