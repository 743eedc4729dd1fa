"""Where an issuer's key set comes from: a file, a URL, or the issuer's discovery document. Each loads it or fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from extauthz.errors import FetchError
from extauthz.limits import MAX_JWKS_BYTES
from extauthz.server.discovery import Errand, discover, discovery_locations
from extauthz.server.httpcache import etag_of, fresh_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from extauthz.clock import Clock
    from extauthz.config.issuers import KeySettings
    from extauthz.server.fetch import Fetch

    Locations = Callable[[str], Iterator[str]]

_FILE_INTERVAL: Final = 5.0
"""Seconds between two looks at a key file."""


@dataclass(frozen=True, slots=True)
class Version:
    """Names one version of a key set at one place, so that the place can say that it still stands.

    Attributes:
        url: the place.
        etag: the version.
    """

    url: str
    etag: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a place serves now.

    Attributes:
        document: the key set; None when the version that the caller has still stands.
        version: names it; None when it has no name.
        fresh_for: seconds for which the place says that it is good; None when it does not say.
    """

    document: bytes | None
    version: Version | None = None
    fresh_for: float | None = None


class KeyOrigin(Protocol):
    """A place that key sets come from."""

    def load(self, *, thorough: bool, have: Version | None = None) -> Loaded:
        """Return the key set as it is served now.

        Args:
            thorough: look up again where the set is, which a request in need has no time for.
            have: the version that the caller holds.

        Raises:
            FetchError: it cannot be had.
        """
        ...


def origin_of(
    issuer: str, keys: KeySettings, fetch: Fetch, clock: Clock, locations: Locations = discovery_locations
) -> KeyOrigin:
    """Return the place that the settings name; `locations` says where a discovery document may be."""
    if keys.file is not None:
        return FileOrigin(keys.file)
    return WebOrigin(issuer, keys, fetch, clock, locations)


def refresh_interval(keys: KeySettings, fresh_for: float | None) -> float:
    """Return the seconds between two background loads: as the place says, within what the operator says."""
    if keys.file is not None:
        return min(keys.refresh, _FILE_INTERVAL)
    if fresh_for is None:
        return keys.refresh
    return min(max(fresh_for, keys.refresh_min), keys.refresh)


class FileOrigin:
    """A key set in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, *, thorough: bool, have: Version | None = None) -> Loaded:  # noqa: ARG002 — a file has one place, and no versions
        """Return the file's content, or one byte more than is accepted."""
        try:
            with self._path.open("rb") as file:
                return Loaded(file.read(MAX_JWKS_BYTES + 1))
        except OSError as error:
            message = f"the key file cannot be read ({error.strerror})"
            raise FetchError(message) from None


class WebOrigin:
    """A key set at a fixed URL, or at the `jwks_uri` of the discovery document. Used by one thread at a time."""

    def __init__(
        self, issuer: str, keys: KeySettings, fetch: Fetch, clock: Clock, locations: Locations = discovery_locations
    ) -> None:
        self._issuer = issuer
        self._keys = keys
        self._fetch = fetch
        self._clock = clock
        self._locations = locations
        self._url = keys.url or ""

    def load(self, *, thorough: bool, have: Version | None = None) -> Loaded:
        """Return the key set; discovery and key set share one deadline."""
        errand = Errand(self._fetch, self._clock, self._keys.timeout, plain_http=self._keys.insecure_http)
        if self._keys.discovery and (thorough or not self._url):
            self._url = discover(self._issuer, "jwks_uri", errand, self._locations)
        etag = have.etag if have is not None and have.url == self._url else ""
        reply = errand.get(self._url, etag=etag)
        fresh_for = fresh_seconds(reply.headers)
        if reply.not_modified:
            return Loaded(None, have, fresh_for)
        named = etag_of(reply.headers)
        return Loaded(reply.body, Version(self._url, named) if named else None, fresh_for)
