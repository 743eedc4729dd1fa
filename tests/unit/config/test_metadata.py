"""Protected-resource metadata: where it is, what it says, and the routes that publish it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from extauthz.config.metadata import to_metadata_url
from extauthz.config.metadata_document import MAX_DOCUMENT_BYTES, to_documents, to_routes, to_routes_page
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.model.request import Request
from extauthz.policy.compile import compile_policy
from extauthz.server.policyfaces import policy_context

API = "https://api.example.com"
ISSUER = "https://issuer.example.com"
WELL_KNOWN = "/.well-known/oauth-protected-resource"


def settings_with(metadata: Any, **changes: Any) -> Settings:
    """Return settings whose profile publishes this; `changes` are to the profile."""
    profile = {"issuers": [ISSUER], "audience": API, "metadata": metadata, **changes}
    return with_profiles(default=profile)


def with_profiles(**profiles: Any) -> Settings:
    """Return settings with these profiles."""
    keys = {"keys": {"file": "keys.json"}}
    issuers = [{"issuer": name, **keys} for name in (ISSUER, "https://other.example.com", "spiffe://prod.example")]
    return Settings.model_validate(
        {"policy": ["p"], "issuers": issuers, "state": {"path": "state.db"}, "profiles": profiles}
    )


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        (API, f"{API}{WELL_KNOWN}"),
        (f"{API}/", f"{API}{WELL_KNOWN}"),
        (f"{API}/mcp", f"{API}{WELL_KNOWN}/mcp"),
        (f"{API}/mcp/", f"{API}{WELL_KNOWN}/mcp/"),
        (f"{API}/a/b%2Fc", f"{API}{WELL_KNOWN}/a/b%2Fc"),
        (f"{API}:8443/a", f"{API}:8443{WELL_KNOWN}/a"),
        ("https://[2001:db8::1]/a", f"https://[2001:db8::1]{WELL_KNOWN}/a"),
        ("http://127.0.0.1:8080", f"http://127.0.0.1:8080{WELL_KNOWN}"),
        ("http://localhost/a", f"http://localhost{WELL_KNOWN}/a"),
    ],
)
def test_the_well_known_path_stands_between_host_and_path(resource: str, url: str) -> None:
    """RFC 9728 section 3.1; the slash that ends the host is no path."""
    assert to_metadata_url(resource) == url
    assert settings_with({}, audience=resource).profiles["default"].metadata_url == url


@pytest.mark.parametrize(
    "resource",
    [
        "api",
        "urn:example:api",
        "http://api.example.com",
        "https://API.example.com",
        f"{API}?a=b",
        f"{API}/a?b",
        f"{API}#a",
        f"{API}/../a",
        f"{API}/./a",
        f"{API}/a b",
        f'{API}/a"b',
        f"{API}\n",
        f"{API}:0",
        "https://user@api.example.com",
        f"{API}/{'a' * 512}",
    ],
)
def test_an_audience_without_such_an_address_is_refused(resource: str) -> None:
    """With metadata; without it any audience will do."""
    with pytest.raises(ValidationError, match="`metadata` needs an `audience` that is an https URL"):
        settings_with({}, audience=resource)
    assert settings_with(None, audience=resource).profiles["default"].metadata_url == ""


@pytest.mark.parametrize(
    "metadata",
    [
        {"publish": True},
        {"authorization_servers": ["issuer"]},
        {"authorization_servers": [f"{ISSUER}?a"]},
        {"scopes_supported": ["a b"]},
        {"scopes_supported": ['a"']},
        {"resource_documentation": "http://docs.example.com"},
        {"resource_documentation": "javascript:alert(1)"},
        {"resource_name": "n" * 257},
    ],
)
def test_members_that_make_no_sense_are_refused(metadata: dict[str, Any]) -> None:
    """Unknown ones, scopes that are two, links that are none."""
    with pytest.raises(ValidationError):
        settings_with(metadata)


def test_metadata_is_for_resources_that_take_tokens() -> None:
    """API keys come from nobody's token endpoint."""
    with pytest.raises(ValidationError, match="give `issuers`"):
        settings_with({}, issuers=[], api_keys={})


def test_a_document_with_defaults() -> None:
    """The issuers that have URLs are who gives out tokens; what is not said is not there."""
    settings = settings_with({}, issuers=[ISSUER, "spiffe://prod.example"])
    assert to_documents(settings) == {
        API: {"resource": API, "authorization_servers": [ISSUER], "bearer_methods_supported": ["header"]}
    }


def test_a_document_with_everything() -> None:
    """What the profile demands of tokens is told too."""
    metadata = {
        "authorization_servers": ["https://login.example.com"],
        "scopes_supported": ["reports:read", "deploy:production"],
        "resource_name": "Reports, “all” of them",
        "resource_documentation": "https://docs.example.com/api",
    }
    dpop = {"origin": API, "algorithms": ["ES256", "EdDSA"]}
    (document,) = to_documents(settings_with(metadata, dpop=dpop, binding="dpop")).values()
    assert document == {
        "resource": API,
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA"],
        "dpop_bound_access_tokens_required": True,
        **metadata,
    }
    (document,) = to_documents(settings_with({}, binding="mtls")).values()
    assert document["tls_client_certificate_bound_access_tokens"] is True


def test_profiles_of_one_resource_speak_together() -> None:
    """United, and what only one of them demands is not demanded by the resource. Unpublished ones say nothing."""
    first = {"issuers": [ISSUER], "audience": API, "metadata": {"scopes_supported": ["a", "b"]}, "binding": "dpop"}
    second = {
        "issuers": ["https://other.example.com"],
        "audience": API,
        "metadata": {"scopes_supported": ["b", "c"], "resource_name": "API"},
        "dpop": {"origin": API, "algorithms": ["ES256"]},
    }
    silent = {"issuers": [ISSUER], "audience": "https://silent.example.com"}
    assert to_documents(with_profiles(default=first, other=second, silent=silent)) == {
        API: {
            "resource": API,
            "resource_name": "API",
            "authorization_servers": [ISSUER, "https://other.example.com"],
            "scopes_supported": ["a", "b", "c"],
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": ["ES256"],
        }
    }


def test_a_route_answers_exactly_its_address() -> None:
    """GET of one path on one host, as JSON, without asking extauthz."""
    (route,) = to_routes(settings_with({}, audience=f"{API}:8443/mcp"))
    assert route["match"]["path"] == f"{WELL_KNOWN}/mcp"
    assert [header["string_match"]["exact"] for header in route["match"]["headers"]] == ["GET", "api.example.com:8443"]
    assert json.loads(route["direct_response"]["body"]["inline_string"])["resource"] == f"{API}:8443/mcp"
    assert "route" not in route


def test_the_page_of_routes_can_be_pasted() -> None:
    """YAML of the same routes; without any it says what to do."""
    settings = settings_with({"resource_name": "Größe: 'x' # y"})
    assert yaml.safe_load(to_routes_page(settings)) == to_routes(settings)
    assert "add `metadata: {}`" in to_routes_page(settings_with(None))


def test_a_document_that_envoy_would_not_take_is_refused() -> None:
    """Envoy would refuse its whole configuration."""
    scopes = [f"scope-{number}-{'x' * 200}" for number in range(MAX_DOCUMENT_BYTES // 200)]
    with pytest.raises(ConfigError, match="tell fewer scopes_supported"):
        to_routes(settings_with({"scopes_supported": scopes}))


@pytest.mark.parametrize(
    ("credential", "published"),
    [("bearer", True), ("dpop", True), ("api_key", False), ("certificate", False), ("none", False)],
)
def test_challenges_of_resources_that_take_tokens_point_there(credential: str, published: bool) -> None:
    """By way of the profile; nobody is sent to a token endpoint for a certificate."""
    certificates = {"accept": [{"trust_domain": "prod.example"}]}
    settings = settings_with({}, dpop={"origin": API}, api_keys={}, certificates=certificates)
    match = "{host: h.example, path: /, methods: [GET]}"
    policy = f"resources: [{{name: r, action: a, match: {match}, credential: {credential}}}]"
    ruleset = compile_policy({"p.yaml": policy.encode()}, policy_context(settings))
    target = ruleset.route(Request(method="GET", host="h.example", path="/", segments=("",))).target
    assert (target.metadata_url == f"{API}{WELL_KNOWN}") is published
