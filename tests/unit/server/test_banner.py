"""What a person reads when the server starts."""

from __future__ import annotations

from extauthz.config.settings import Settings
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.server.banner import Serving, banner, name_policy
from tests.integration.running import POLICY


def serving(*addresses: str, policy: str = "", name: str = "") -> Serving:
    """Return a process that serves at these addresses."""
    return Serving(name=name, addresses=addresses, engine="native", policy=policy)


def test_a_bare_server_says_what_is_missing() -> None:
    """No policy, no proxies, no issuers, no metrics."""
    text = banner(
        Settings.model_validate({"policy": ["p"]}), [serving("127.0.0.1:9191", policy=name_policy(None))], None
    )
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
    text = banner(settings, [serving("a:1", "a:2", policy=name_policy(ruleset))], "127.0.0.1:9464")
    assert "a:1 (TLS)" in text
    assert "a:2 (mTLS)" in text
    assert f"policy     {ruleset.revision} (2 resources, 1 guard, 0 forbids, 2 permits)" in text
    assert "WEAKENED   insecure.unauthenticated_proxies" in text
    assert "http://127.0.0.1:9464/metrics" in text
    assert "s3cr3t" not in text


def test_workers_are_named_and_what_they_share_is_said_once() -> None:
    """A worker with another policy than the others would be seen."""
    settings = Settings.model_validate({"policy": ["p"], "server": {"workers": 2}, "records": {"path": "r.jsonl"}})
    workers = [serving(f"127.0.0.1:919{number}", policy="one", name=f"worker-{number}") for number in range(2)]
    text = banner(settings, workers, None)
    assert "listening  127.0.0.1:9191 (plaintext, worker-1)" in text
    assert "records    r.jsonl, a file for each worker\n" in text
    assert text.count("  policy ") == text.count("  engine ") == 1
    other = banner(settings, [*workers, serving("127.0.0.1:9193", policy="two")], None)
    assert other.count("  policy ") == 2
