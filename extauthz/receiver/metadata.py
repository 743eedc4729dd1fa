"""What a transmitter says about itself (SSF 1.0, transmitter configuration metadata)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import FetchError
from extauthz.server.discovery import read_document, ssf_locations, url_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.server.discovery import Errand

PUSH: Final = "urn:ietf:rfc:8935"
POLL: Final = "urn:ietf:rfc:8936"

_FIRST_DRAFT: Final = "1_0-ID1"
"""What a transmitter follows that does not say (SSF 1.0)."""

_ENDPOINTS: Final = ("configuration_endpoint", "status_endpoint", "verification_endpoint")
_MOST_NAMES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TransmitterMetadata:
    """A transmitter, by its own account.

    Attributes:
        issuer: identical to the one that was asked for.
        spec_version: that it follows.
        jwks_uri: where its keys are; empty when it does not say.
        delivery_methods: that it supports; empty when it does not say.
        configuration_endpoint: where streams are made, read and changed; empty when it has none.
        status_endpoint: where their status is read and set; likewise.
        verification_endpoint: where verification events are asked for; likewise.
        critical_subject_members: without which an event about a complex subject must not be applied.
        authorization_schemes: by which its endpoints are protected.
    """

    issuer: str
    spec_version: str = _FIRST_DRAFT
    jwks_uri: str = ""
    delivery_methods: tuple[str, ...] = ()
    configuration_endpoint: str = ""
    status_endpoint: str = ""
    verification_endpoint: str = ""
    critical_subject_members: tuple[str, ...] = ()
    authorization_schemes: tuple[str, ...] = ()

    @property
    def is_final(self) -> bool:
        """Return whether it follows a final version of the specification; drafts name subjects in another place."""
        return "-" not in self.spec_version


def load_metadata(issuer: str, errand: Errand) -> TransmitterMetadata:
    """Return what the transmitter says about itself.

    Raises:
        FetchError: there is no document to be believed: none at all, another issuer's, or one that leads away from
            `https`.
    """
    problems: list[str] = []
    for location in ssf_locations(issuer):
        try:
            document = read_document(errand.get(location).body, issuer)
        except FetchError as error:
            problems.append(f"{location}: {error}")
            continue
        return _read(document, issuer, plain_http=errand.plain_http)
    # The first place is where most have it, so its problem is the one to mend.
    message = problems[0] if problems else "the issuer is not a URL"
    raise FetchError(message)


def _read(document: Mapping[str, Any], issuer: str, *, plain_http: bool) -> TransmitterMetadata:
    urls = {
        name: url_in(document, issuer, name, plain_http=plain_http)
        for name in ("jwks_uri", *_ENDPOINTS)
        if document.get(name) is not None
    }
    version = document.get("spec_version", _FIRST_DRAFT)
    if not isinstance(version, str):
        message = "`spec_version` is no text"
        raise FetchError(message)
    schemes = document.get("authorization_schemes", [])
    named = (
        [scheme.get("spec_urn") for scheme in schemes if isinstance(scheme, dict)] if isinstance(schemes, list) else []
    )
    return TransmitterMetadata(
        issuer=issuer,
        spec_version=version,
        delivery_methods=_names(document, "delivery_methods_supported"),
        critical_subject_members=_names(document, "critical_subject_members"),
        authorization_schemes=tuple(name for name in named if isinstance(name, str)),
        **urls,
    )


def _names(document: Mapping[str, Any], member: str) -> tuple[str, ...]:
    """Return a list of texts.

    Raises:
        FetchError: it is something else. What must not be overlooked is in such lists.
    """
    names = document.get(member, [])
    if not isinstance(names, list) or len(names) > _MOST_NAMES or not all(isinstance(name, str) for name in names):
        message = f"`{member}` is no list of texts"
        raise FetchError(message)
    return tuple(names)
