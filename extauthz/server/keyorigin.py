"""Where an issuer's key set comes from: a file, a URL, or the issuer's discovery document. Each loads bytes or fails.

Discovery (RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4) believes a document only when its `issuer` is
identical to the configured one (RFC 8414 section 3.3): otherwise one issuer could hand us the keys of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from extauthz.errors import FetchError, StrictJsonError
from extauthz.limits import MAX_JWKS_BYTES
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.config.issuers import IssuerSettings, KeySettings
    from extauthz.server.fetch import Get

_FILE_INTERVAL: Final = 5.0
"""Seconds between two looks at a key file."""


class KeyOrigin(Protocol):
    """A place that key sets come from."""

    def load(self, *, thorough: bool) -> bytes:
        """Return the key set as it is served now.

        Args:
            thorough: look up again where the set is, which a request in need has no time for.

        Raises:
            FetchError: it cannot be had.
        """
        ...


def origin_of(issuer: IssuerSettings, get: Get, clock: Clock) -> KeyOrigin:
    """Return the place that the settings name."""
    keys = issuer.keys
    if keys.file is not None:
        return FileOrigin(keys.file)
    if keys.url is not None:
        return UrlOrigin(keys.url, keys, get)
    return DiscoveryOrigin(issuer.issuer, keys, get, clock)


def refresh_interval(keys: KeySettings) -> float:
    """Return the seconds between two background loads."""
    return keys.refresh if keys.file is None else min(keys.refresh, _FILE_INTERVAL)


class FileOrigin:
    """A key set in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, *, thorough: bool) -> bytes:  # noqa: ARG002 — a file has one place only
        """Return the file's content, or one byte more than is accepted."""
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_JWKS_BYTES + 1)
        except OSError as error:
            message = f"the key file cannot be read ({error.strerror})"
            raise FetchError(message) from None


class UrlOrigin:
    """A key set at a fixed URL."""

    def __init__(self, url: str, keys: KeySettings, get: Get) -> None:
        self._url = url
        self._keys = keys
        self._get = get

    def load(self, *, thorough: bool) -> bytes:  # noqa: ARG002 — the URL is fixed
        """Return what the URL serves."""
        return self._get(
            self._url, timeout=self._keys.timeout, max_bytes=MAX_JWKS_BYTES, plain_http=self._keys.insecure_http
        )


class DiscoveryOrigin:
    """A key set at the `jwks_uri` of the issuer's discovery document. Used by one thread at a time."""

    def __init__(self, issuer: str, keys: KeySettings, get: Get, clock: Clock) -> None:
        self._issuer = issuer
        self._keys = keys
        self._get = get
        self._clock = clock
        self._jwks_uri = ""

    def load(self, *, thorough: bool) -> bytes:
        """Return the key set; discovery and key set share one deadline."""
        deadline = self._clock.monotonic() + self._keys.timeout
        if thorough or not self._jwks_uri:
            self._jwks_uri = self._discover(deadline)
        return self._fetch(self._jwks_uri, deadline)

    def _discover(self, deadline: float) -> str:
        problem = FetchError("the issuer is not a URL")
        for location in discovery_locations(self._issuer):
            try:
                return self._jwks_uri_in(self._fetch(location, deadline))
            except FetchError as error:
                # Some servers answer unknown paths with a page for people, so a wrong answer here leaves the next
                # location to try. The last problem is reported: it is the location most issuers serve.
                problem = error
        raise problem

    def _jwks_uri_in(self, raw: bytes) -> str:
        try:
            document = load_object(raw, max_bytes=MAX_JWKS_BYTES)
        except StrictJsonError:
            message = "the discovery document is not a strict JSON object"
            raise FetchError(message) from None
        if document.get("issuer") != self._issuer:
            message = "the discovery document names another issuer"
            raise FetchError(message)
        uri = document.get("jwks_uri")
        if not isinstance(uri, str):
            message = "the discovery document has no `jwks_uri`"
            raise FetchError(message)
        return uri

    def _fetch(self, url: str, deadline: float) -> bytes:
        remaining = deadline - self._clock.monotonic()
        if remaining <= 0:
            message = "no complete answer in time"
            raise FetchError(message)
        if not (_is_https(url) or not _is_https(self._issuer) or self._keys.insecure_http):
            # The usual leave for loopback must not let a remote document send us to our own machine.
            message = "the discovery document leads away from https"
            raise FetchError(message)
        return self._get(url, timeout=remaining, max_bytes=MAX_JWKS_BYTES, plain_http=self._keys.insecure_http)


def _is_https(url: str) -> bool:
    return url.lower().startswith("https://")


def discovery_locations(issuer: str) -> Iterator[str]:
    """Yield where an issuer's discovery document may be; nothing when the issuer is not a URL.

    RFC 8414 section 3 puts the well-known part between host and path; OpenID Connect Discovery 1.0 section 4 puts it
    after the path. A terminating slash of the issuer is left out by both.
    """
    try:
        target = parse_url(issuer)
    except LocationParseError:
        return
    path = (target.path or "").rstrip("/")
    base = f"{target.scheme}://{target.netloc}"
    yield f"{base}/.well-known/oauth-authorization-server{path}"
    yield f"{base}/.well-known/openid-configuration{path}"
    if path:
        yield f"{base}{path}/.well-known/openid-configuration"
