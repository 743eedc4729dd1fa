"""Settings of client certificates, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from extauthz.config.settings import Settings
from extauthz.identity.certificate_rules import Accepted, BindingRule, Forwarded, NameType
from extauthz.model.identity import Kind
from extauthz.server.profiles import from_settings

KEYS = {"issuer": "https://a.example", "keys": {"file": "keys.json"}}


def settings(accept: list[dict[str, Any]], **profile: Any) -> Settings:
    """Return settings with one profile."""
    made = {"certificates": {"accept": accept}, **profile}
    return Settings.model_validate({"policy": ["p"], "issuers": [KEYS], "profiles": {"mesh": made}})


@pytest.mark.parametrize(
    ("accept", "message"),
    [
        ({}, "exactly one of trust_domain, uri, dns, subject"),
        ({"trust_domain": "a.example", "dns": "a.example"}, "exactly one of"),
        ({"trust_domain": "a.example", "issuer": "https://a"}, "give `issuer` with"),
        ({"dns": "a.example"}, "give `issuer` with"),
        ({"uri": "spiffe://a/b", "issuer": "https://a"}, "accepted by `trust_domain`"),
        ({"dns": "a.example", "issuer": "SPIFFE://a"}, "accepted by `trust_domain`"),
        ({"trust_domain": "A.example"}, "pattern"),
        ({"trust_domain": "spiffe://a.example"}, "pattern"),
        ({"trust_domain": "a.example/b"}, "pattern"),
        ({"dns": "*", "issuer": "https://a"}, "pattern"),
        ({"dns": "a*.example", "issuer": "https://a"}, "pattern"),
        ({"dns": "A.example", "issuer": "https://a"}, "pattern"),
        ({"uri": "*", "issuer": "https://a"}, "pattern"),
        ({"uri": "https://*", "issuer": "https://a"}, "pattern"),
        ({"uri": "https://ci.example*", "issuer": "https://a"}, "pattern"),
        ({"uri": "https://*.example/a", "issuer": "https://a"}, "pattern"),
        ({"dns": "a.example", "issuer": "Corp CA"}, "pattern"),
        ({"dns": "a.example", "issuer": "corp|ca"}, "pattern"),
        ({"dns": "a.example", "issuer": ""}, "pattern"),
        ({"subject": "", "issuer": "https://a"}, "at least 1"),
        ({"trust_domain": "a.example", "kind": "anonymous"}, "Input should be"),
        ({"trust_domain": "a.example", "trust": True}, "Extra inputs"),
    ],
)
def test_what_would_accept_nobody_or_too_many_is_refused(accept: dict[str, Any], message: str) -> None:
    """With a sentence that says what to do."""
    with pytest.raises(ValidationError, match=message):
        settings([accept])


def test_a_profile_accepts_somebody_and_names_its_audience() -> None:
    """Certificates need no audience; tokens do."""
    assert settings([{"trust_domain": "a.example"}]).profiles["mesh"].audience == ""
    with pytest.raises(ValidationError, match="accepts nobody"):
        settings([])
    with pytest.raises(ValidationError, match="give `audience`"):
        settings([], issuers=["https://a.example"])


def test_settings_become_rules() -> None:
    """Field by field."""
    profile = from_settings(
        settings(
            [
                {"trust_domain": "a.example", "tenant": "acme", "environment": "prod", "authorities": "/run/a.pem"},
                {"uri": "https://ci.example/*", "issuer": "https://ca.example", "kind": "ci"},
                {"uri": "urn:machine:7", "issuer": "https://ca.example"},
                {"dns": "*.ci.example", "issuer": "https://ca.example"},
                {"subject": "CN=a", "issuer": "https://ca.example"},
            ],
            binding="required",
        )
    )["mesh"]
    rules = profile.certificates
    assert rules.accepted[0] == Accepted(
        type=NameType.TRUST_DOMAIN,
        name="a.example",
        issuer="spiffe://a.example",
        kind=Kind.WORKLOAD,
        tenant="acme",
        environment="prod",
        authorities="/run/a.pem",
    )
    assert [(each.type.value, each.name, each.kind.value) for each in rules.accepted[1:]] == [
        ("uri", "https://ci.example/*", "ci"),
        ("uri", "urn:machine:7", "workload"),
        ("dns", "*.ci.example", "workload"),
        ("subject", "CN=a", "workload"),
    ]
    assert [name.of for name in rules.rests_on] == ["/run/a.pem"]
    assert (rules.forwarded, rules.leeway) == (Forwarded.IGNORED, 5.0)
    assert profile.binding is BindingRule.REQUIRED


@pytest.mark.parametrize("worth", ["ignored", "only", "last"])
def test_what_the_header_is_worth_is_said(worth: str) -> None:
    """And nothing else can be said."""
    made = {"accept": [{"trust_domain": "a.example"}], "x_forwarded_client_cert": worth}
    found = from_settings(Settings.model_validate({"policy": ["p"], "profiles": {"mesh": {"certificates": made}}}))
    assert found["mesh"].certificates.forwarded.value == worth
    with pytest.raises(ValidationError, match="Input should be"):
        Settings.model_validate(
            {"policy": ["p"], "profiles": {"mesh": {"certificates": {**made, "x_forwarded_client_cert": "first"}}}}
        )
