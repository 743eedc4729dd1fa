"""Settings become verification profiles without losing or adding anything."""

from extauthz.config.settings import Settings
from extauthz.identity.certificate_rules import CertificateRules
from extauthz.identity.rules import FixedValue, FromClaim, IssuerRules, MappingRules, Profile
from extauthz.server.profiles import from_settings

A, B = "https://a.example", "https://b.example"
PLAIN = CertificateRules(leeway=5.0)
"""No client certificates are accepted."""


def settings(**profiles: object) -> Settings:
    """Return settings with two issuers and these profiles."""
    return Settings.model_validate(
        {
            "policy": ["policy"],
            "issuers": [
                {"issuer": A, "keys": {"discovery": True}},
                {
                    "issuer": B,
                    "keys": {"url": f"{B}/keys"},
                    "algorithms": ["PS256"],
                    "leeway": "0s",
                    "max_lifetime": "1h",
                    "map": {"kind": {"value": "ci"}, "roles": {"claim": "realm_access.roles"}},
                },
            ],
            "profiles": profiles,
        }
    )


def test_every_setting_reaches_the_profile() -> None:
    """Mapping, algorithms, times and issuers, as written."""
    profile = from_settings(
        settings(strict={"issuers": [B], "audience": "https://api.example", "realm": "r", "max_token_age": "5m"})
    )["strict"]
    mapping = MappingRules(kind=FixedValue("ci"), roles=FromClaim("realm_access.roles"))
    rules = IssuerRules(issuer=B, algorithms=("PS256",), leeway=0.0, max_lifetime=3600.0, mapping=mapping)
    assert profile == Profile(
        name="strict",
        audience="https://api.example",
        realm="r",
        issuers={B: rules},
        max_token_age=300.0,
        certificates=PLAIN,
    )


def test_defaults_are_those_of_the_settings() -> None:
    """ES256 and RS256, five seconds, twelve hours, the plain claim names, no limit of age."""
    profile = from_settings(settings(api={"issuers": [A], "audience": "x"}))["api"]
    rules = IssuerRules(issuer=A, algorithms=("ES256", "RS256"), leeway=5.0, max_lifetime=43200.0)
    assert profile == Profile(name="api", audience="x", issuers={A: rules}, certificates=PLAIN)


def test_a_profile_believes_only_the_issuers_that_it_names() -> None:
    """A configured issuer is not believed everywhere."""
    profiles = from_settings(settings(a={"issuers": [A], "audience": "x"}, both={"issuers": [A, B], "audience": "x"}))
    assert set(profiles["a"].issuers) == {A}
    assert set(profiles["both"].issuers) == {A, B}


def test_without_profiles_there_are_none() -> None:
    """Nothing is believed by default."""
    assert from_settings(settings()) == {}
