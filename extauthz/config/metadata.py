"""Settings of protected-resource metadata (RFC 9728): where clients learn whom to ask for tokens, and for what."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints

from extauthz.config.section import Section

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
"""RFC 9728 section 3; it stands between host and path of the resource identifier."""

_RESOURCE: Final = re.compile(
    r"(?P<origin>(?:https://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)|http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::[1-9][0-9]{0,4})?)"
    r"(?P<path>(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})*)*)"
)
_MAX_RESOURCE_CHARACTERS: Final = 512

IssuerUrl = Annotated[str, StringConstraints(pattern=r"^https?://[\x21\x24-\x3e\x40-\x5b\x5d-\x7e]+$", max_length=512)]
"""An absolute URL without query and fragment (RFC 8414 section 2)."""

ScopeToken = Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$", max_length=256)]
"""`scope-token` of RFC 6749 section 3.3."""


class MetadataSettings(Section):
    """A profile's part of the metadata of the resource that its `audience` names. Its presence publishes it."""

    authorization_servers: tuple[IssuerUrl, ...] = Field(
        default=(), description="Who gives out tokens; unset means those of the profile's `issuers` that are URLs."
    )
    scopes_supported: tuple[ScopeToken, ...] = Field(
        default=(), description="Scopes that clients may want to ask for; not every scope need be told."
    )
    resource_name: str = Field(default="", max_length=256, description="The resource's name, for people.")
    resource_documentation: str = Field(
        default="",
        max_length=512,
        pattern=r"^(https://[\x21\x23-\x5b\x5d-\x7e]+)?$",
        description="URL of a page for developers.",
    )


def to_metadata_url(resource: str) -> str:
    """Return where the metadata of a resource is: the well-known path between its host and its path.

    Args:
        resource: the resource identifier: `https`, or `http` on loopback, host in lower case, perhaps a path.

    Raises:
        ValueError: it is no such URL; the message says what it must be.
    """
    match = _RESOURCE.fullmatch(resource)
    if match is None or len(resource) > _MAX_RESOURCE_CHARACTERS or _has_dots(match["path"]):
        message = (
            "`metadata` needs an `audience` that is an https URL, host in lower case, without user, query, fragment "
            "and dot segments, for example https://api.example.com/orders"
        )
        raise ValueError(message)
    # The one slash that ends the host is not part of a path (RFC 9728 section 3.1).
    path = match["path"] if match["path"] != "/" else ""
    return f"{match['origin']}{WELL_KNOWN}{path}"


def to_authority(resource: str) -> str:
    """Return host and, where it is not the usual one, port of a resource identifier, as `:authority` has them."""
    return urlsplit(resource).netloc


def _has_dots(path: str) -> bool:
    return any(segment in {".", ".."} for segment in path.split("/"))
