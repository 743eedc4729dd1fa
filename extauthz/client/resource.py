"""The one resource that a session is for: which addresses belong to it, and what it publishes about itself.

A token is sent to addresses of the resource and nowhere else. Its metadata (RFC 9728) is read from the one address that
follows from its identifier, and counts only if it names exactly that identifier (section 3.3): a challenge that points
elsewhere leads nowhere.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from extauthz.client.errors import OutsideResourceError, TransportFailedError

if TYPE_CHECKING:
    from extauthz.client.transport import Transport

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
"""RFC 9728 section 3."""

_MAX_METADATA_BYTES: Final = 65_536
_OK: Final = 200
_PORTS: Final = {"https": 443, "http": 80}
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Resource:
    """A protected resource.

    Attributes:
        identifier: as the resource names itself, exactly; an `https` URL (`http` on loopback), perhaps with a path,
            without user, query and fragment.
    """

    identifier: str

    def __post_init__(self) -> None:
        """Refuse identifiers that are none.

        Raises:
            ValueError: it is not such a URL.
        """
        parts = urlsplit(self.identifier)
        secure = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
        plain = not (parts.query or parts.fragment or "@" in parts.netloc or "?" in self.identifier)
        if not (secure and plain and parts.hostname and _is_clean(parts.path) and _VISIBLE.fullmatch(self.identifier)):
            message = "a resource is an https URL (http on loopback) without user, query, fragment and dot segments"
            raise ValueError(message)
        _origin_of(self.identifier)

    @property
    def metadata_url(self) -> str:
        """Return where the resource's metadata is (RFC 9728 section 3.1)."""
        parts = urlsplit(self.identifier)
        path = "" if parts.path == "/" else parts.path
        return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{path}"

    def locate(self, target: str) -> str:
        """Return the absolute URL of a request: `target` is a path of the resource's host, or absolute already.

        Raises:
            OutsideResourceError: it is not an address of the resource.
        """
        home = urlsplit(self.identifier)
        url = f"{home.scheme}://{home.netloc}{target}" if target.startswith("/") else target
        if not self._has(url):
            message = f"the address is not one of {self.identifier}; another resource needs a session of its own"
            raise OutsideResourceError(message)
        return url.partition("#")[0]

    def _has(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            same_origin = _origin_of(url) == _origin_of(self.identifier)
        except ValueError:
            return False
        base = urlsplit(self.identifier).path.rstrip("/")
        return (
            same_origin
            and "@" not in parts.netloc
            and _VISIBLE.fullmatch(url) is not None
            and _is_clean(parts.path)
            and (parts.path == base or parts.path.startswith(f"{base}/"))
        )

    def find_authorization_servers(self, claimed_url: str, transport: Transport) -> tuple[str, ...]:
        """Return who gives out tokens for the resource, by its metadata; none where that does not count.

        Args:
            claimed_url: `resource_metadata` of a challenge. Only the address that follows from the identifier is asked.
            transport: sends the question, without any token.
        """
        document = self._read_metadata(transport) if claimed_url == self.metadata_url else {}
        servers = document.get("authorization_servers") if document.get("resource") == self.identifier else None
        if not isinstance(servers, list):
            return ()
        return tuple(server for server in servers if isinstance(server, str) and self._may_be_asked(server))

    def _read_metadata(self, transport: Transport) -> dict[str, Any]:
        try:
            answer = transport("GET", self.metadata_url, {"accept": "application/json"}, b"")
            if answer.status != _OK or len(answer.body) > _MAX_METADATA_BYTES:
                return {}
            document = json.loads(answer.body)
        except (TransportFailedError, ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    def _may_be_asked(self, server: str) -> bool:
        """Return whether a secret may be sent there: by https, or on this machine if the resource is on it too."""
        try:
            scheme, host, _ = _origin_of(server)
        except ValueError:
            return False
        both_here = _is_loopback(host) and _is_loopback(urlsplit(self.identifier).hostname or "")
        return _VISIBLE.fullmatch(server) is not None and (scheme == "https" or both_here)


def _origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port.

    Raises:
        ValueError: it has none of them, or another scheme than http and https.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        message = "not an http or https URL"
        raise ValueError(message)
    return parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]


def _is_clean(path: str) -> bool:
    """Return whether nobody on the way can read the path as another one: no dot segments, encoded or not."""
    decoded = unquote(unquote(path)).replace("\\", "/")
    return not any(segment.partition(";")[0] in {".", ".."} for segment in decoded.split("/"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
