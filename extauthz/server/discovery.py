"""Where an issuer says that its endpoints are (RFC 8414 section 3, OpenID Connect Discovery 1.0 section 4, SSF 1.0).

A document is believed only when its `issuer` is identical to the configured one (RFC 8414 section 3.3): otherwise one
issuer could hand us the keys of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from extauthz.errors import FetchError, StrictJsonError
from extauthz.limits import MAX_JWKS_BYTES
from extauthz.server.fetch import Ask
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from extauthz.clock import Clock
    from extauthz.server.fetch import Fetch, Reply


class Errand:
    """Several fetches that share one deadline.

    Args:
        fetch: the way out.
        clock: for the deadline.
        timeout: seconds for all of them together.
        plain_http: whether `http` is allowed beyond loopback.
    """

    def __init__(self, fetch: Fetch, clock: Clock, timeout: float, *, plain_http: bool) -> None:
        self._fetch = fetch
        self._clock = clock
        self._deadline = clock.monotonic() + timeout
        self.plain_http = plain_http

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            FetchError: none are.
        """
        remaining = self._deadline - self._clock.monotonic()
        if remaining <= 0:
            message = "no complete answer in time"
            raise FetchError(message)
        return remaining

    def get(self, url: str, *, etag: str = "") -> Reply:
        """Return the document behind `url`.

        Raises:
            FetchError: it cannot be had, or not in time.
        """
        return self._fetch(
            Ask(url=url, timeout=self.left(), max_bytes=MAX_JWKS_BYTES, plain_http=self.plain_http, etag=etag)
        )


def discover(issuer: str, member: str, errand: Errand, locations: Callable[[str], Iterator[str]] | None = None) -> str:
    """Return the URL that the issuer's discovery document gives under `member`.

    Args:
        issuer: whose.
        member: which.
        errand: fetches it.
        locations: where the document may be; an authorization server's when None.

    Raises:
        FetchError: there is no document to be believed, it has no such member, or that leads away from `https`.
    """
    problem = FetchError("the issuer is not a URL")
    for location in (locations or discovery_locations)(issuer):
        try:
            url = _member_of(read_document(errand.get(location).body, issuer), member)
            break
        except FetchError as error:
            # Some servers answer unknown paths with a page for people, so a wrong answer here leaves the next
            # location to try. The last problem is reported: it is the location most issuers serve.
            problem = error
    else:
        raise problem
    return _within_https(url, issuer, plain_http=errand.plain_http)


def read_document(raw: bytes, issuer: str) -> dict[str, Any]:
    """Return an issuer's discovery document.

    Raises:
        FetchError: it is none, or another issuer's.
    """
    try:
        document = load_object(raw, max_bytes=MAX_JWKS_BYTES)
    except StrictJsonError:
        message = "the discovery document is not a strict JSON object"
        raise FetchError(message) from None
    if document.get("issuer") != issuer:
        message = "the discovery document names another issuer"
        raise FetchError(message)
    return document


def url_in(document: Mapping[str, Any], issuer: str, member: str, *, plain_http: bool) -> str:
    """Return the URL that a discovery document gives under `member`.

    Raises:
        FetchError: it gives none, or one that leads away from `https`.
    """
    return _within_https(_member_of(document, member), issuer, plain_http=plain_http)


def _member_of(document: Mapping[str, Any], member: str) -> str:
    url = document.get(member)
    if not isinstance(url, str):
        message = f"the discovery document has no `{member}`"
        raise FetchError(message)
    return url


def _within_https(url: str, issuer: str, *, plain_http: bool) -> str:
    if not (_is_https(url) or not _is_https(issuer) or plain_http):
        # The usual leave for loopback must not let a remote document send us to our own machine.
        message = "the discovery document leads away from https"
        raise FetchError(message)
    return url


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


def ssf_locations(issuer: str) -> Iterator[str]:
    """Yield where a transmitter's metadata may be; nothing when the issuer is not a URL.

    The well-known part stands between host and path (SSF 1.0, transmitter metadata); the second name is from before
    the specification was final.
    """
    try:
        target = parse_url(issuer)
    except LocationParseError:
        return
    path = (target.path or "").rstrip("/")
    base = f"{target.scheme}://{target.netloc}"
    yield f"{base}/.well-known/ssf-configuration{path}"
    yield f"{base}/.well-known/risc-configuration{path}"
