"""Protected-resource metadata (RFC 9728 section 2) of every resource that the settings publish, and routes for Envoy.

The document says nothing that depends on who asks, so no decision is involved: Envoy answers by itself. A decided
answer could carry it too, as a denial with status 200, but every reader of records, metrics and Envoy's own statistics
would then have to know that this denial is none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import yaml

from extauthz.config.metadata import to_authority, to_metadata_url
from extauthz.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extauthz.config.profiles import ProfileSettings
    from extauthz.config.settings import Settings

MAX_DOCUMENT_BYTES: Final = 4096
"""Envoy refuses longer direct responses unless `max_direct_response_body_size_bytes` is raised."""

_PER_ROUTE: Final = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
_MAX_AGE_SECONDS: Final = 3600

_HEADING: Final = """\
# Protected-resource metadata (RFC 9728), from the settings: routes for Envoy, before all others of the virtual host.
# extauthz is not asked about them: the documents are public, and no upstream is reached.
"""


def to_documents(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return resource identifier → its metadata. What several profiles say of one resource is put together."""
    profiles: dict[str, list[ProfileSettings]] = {}
    for profile in settings.profiles.values():
        if profile.metadata is not None:
            profiles.setdefault(profile.audience, []).append(profile)
    return {resource: _document(resource, described) for resource, described in sorted(profiles.items())}


def to_routes(settings: Settings) -> list[dict[str, Any]]:
    """Return a route of Envoy for each document.

    Raises:
        ConfigError: a document is longer than Envoy accepts.
    """
    return [_route(resource, document) for resource, document in to_documents(settings).items()]


def to_routes_page(settings: Settings) -> str:
    """Return the routes as YAML, ready to be pasted.

    Raises:
        ConfigError: see `to_routes`.
    """
    routes = to_routes(settings)
    if not routes:
        return "# No profile publishes metadata: add `metadata: {}` to one in `profiles`.\n"
    return _HEADING + yaml.safe_dump(routes, sort_keys=False, width=10_000, allow_unicode=True)


def _document(resource: str, profiles: list[ProfileSettings]) -> dict[str, Any]:
    described = [(profile, profile.metadata) for profile in profiles if profile.metadata is not None]
    proofs = [profile.dpop.algorithms for profile in profiles if profile.dpop is not None]
    document: dict[str, Any] = {
        "resource": resource,
        "resource_name": next((said.resource_name for _, said in described if said.resource_name), ""),
        "resource_documentation": next(
            (said.resource_documentation for _, said in described if said.resource_documentation), ""
        ),
        "authorization_servers": _united(
            said.authorization_servers or _web_issuers(profile) for profile, said in described
        ),
        "scopes_supported": _united(said.scopes_supported for _, said in described),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": _united(proofs),
        "dpop_bound_access_tokens_required": all(profile.binding == "dpop" for profile in profiles),
        "tls_client_certificate_bound_access_tokens": all(profile.binding == "mtls" for profile in profiles),
    }
    return {name: value for name, value in document.items() if value}


def _web_issuers(profile: ProfileSettings) -> tuple[str, ...]:
    return tuple(issuer for issuer in profile.issuers if urlsplit(issuer).scheme in {"https", "http"})


def _united(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(each for words in lists for each in words))


def _route(resource: str, document: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(document, separators=(",", ":"))
    if len(body) > MAX_DOCUMENT_BYTES:
        problem = f"the metadata of {resource} has {len(body)} bytes; Envoy takes {MAX_DOCUMENT_BYTES}"
        raise ConfigError([Problem("profiles", 0, 0, problem, "tell fewer scopes_supported")])
    return {
        "match": {
            "path": urlsplit(to_metadata_url(resource)).path,
            "headers": [
                {"name": ":method", "string_match": {"exact": "GET"}},
                {"name": ":authority", "string_match": {"exact": to_authority(resource), "ignore_case": True}},
            ],
        },
        "direct_response": {"status": 200, "body": {"inline_string": body}},
        "response_headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in (("content-type", "application/json"), ("cache-control", f"max-age={_MAX_AGE_SECONDS}"))
        ],
        "typed_per_filter_config": {"envoy.filters.http.ext_authz": {"@type": _PER_ROUTE, "disabled": True}},
    }
