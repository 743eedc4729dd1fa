"""Settings that weaken the server are found, all of them."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.config.insecure import cautions, weakenings
from extauthz.config.reference import reference_page
from extauthz.config.settings import InsecureSettings, Settings

ISSUER: dict[str, Any] = {"issuer": "https://i", "keys": {"url": "http://i/keys", "insecure_http": True}}

KEYED: dict[str, Any] = {"issuer": "https://i", "keys": {"discovery": True}}

STREAM: dict[str, Any] = {
    "name": "idp",
    "issuer": "https://idp",
    "keys": ISSUER["keys"],
    "audience": "us",
    "poll": {"url": "https://idp/poll"},
    "authority": {"issuers": ["https://i"], "events": ["session-revoked"]},
}

PROFILE: dict[str, Any] = {"issuers": ["https://i"], "audience": "a"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"insecure": {"unauthenticated_proxies": True}}, "insecure.unauthenticated_proxies"),
        ({"insecure": {"plaintext_beyond_loopback": True}}, "insecure.plaintext_beyond_loopback"),
        ({"records": {"overflow": "drop"}}, "records.overflow=drop"),
        ({"issuers": [ISSUER]}, "issuers[https://i].keys.insecure_http"),
        (
            {"issuers": [{**KEYED, "profile": "oidc", "accept_id_tokens": True}]},
            "issuers[https://i].accept_id_tokens",
        ),
        (
            {"issuers": [KEYED], "state": {"path": "s"}, "signals": {"streams": [STREAM]}},
            "signals.streams[idp].keys.insecure_http",
        ),
        (
            {"decision_points": {"pdp": {"url": "http://pdp/eval", "insecure_http": True}}},
            "decision_points[pdp].insecure_http",
        ),
        (
            {"state": {"path": "s", "redis": {"url": "redis://r:6379", "insecure_plaintext": True}}},
            "state.redis.insecure_plaintext",
        ),
    ],
)
def test_each_weakening_is_named(changes: dict[str, Any], name: str) -> None:
    """One sentence for each switch."""
    (sentence,) = weakenings(Settings.model_validate({"policy": ["p"], **changes}))
    assert sentence.startswith(f"{name}: ")


def test_the_defaults_weaken_nothing() -> None:
    """A server is safe until told otherwise."""
    assert weakenings(Settings.model_validate({"policy": ["p"]})) == []


@pytest.mark.parametrize(
    "changes", [{"registry": {"unknown": "refuse"}}, {"profiles": {"p": {**PROFILE, "unknown_identities": "refuse"}}}]
)
def test_refusing_the_unknown_without_a_registry_is_hardly_meant(changes: dict[str, Any]) -> None:
    """Everybody would be refused; with a registry nothing is said."""
    settings = {"policy": ["p"], "issuers": [ISSUER], **changes}
    (sentence,) = [each for each in cautions(Settings.model_validate(settings)) if "registry" in each]
    assert "registry.paths" in sentence
    settings["registry"] = {**settings.get("registry", {}), "paths": ["r.yaml"]}
    assert not any("registry" in each for each in cautions(Settings.model_validate(settings)))


def test_every_insecure_switch_and_every_field_marked_weakens_is_covered() -> None:
    """A new switch must be added here and to the sentences: its number is counted."""
    switches = dict.fromkeys(InsecureSettings.model_fields, True)
    assert len(weakenings(Settings.model_validate({"policy": ["p"], "insecure": switches}))) == len(switches)
    assert reference_page().count("WEAKENS") == 10


def test_settings_that_are_hardly_meant_are_noted() -> None:
    """No proxies and no issuers means that nothing is answered on its merits."""
    assert len(cautions(Settings.model_validate({"policy": ["p"]}))) == 2
    proxy = {"name": "a", "unix_socket": True}
    assert cautions(Settings.model_validate({"policy": ["p"], "proxies": [proxy], "issuers": [ISSUER]})) == []
