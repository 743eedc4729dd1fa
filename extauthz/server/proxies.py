"""Which proxy asks. Only a proxy that proves itself is told anything but `proxy_unauthenticated`.

1. Every configured proof is compared on every call, without stopping at a match: how long it takes says nothing.
2. A call must match exactly one proxy. None, or two, is nobody.
3. Tokens are kept and compared as SHA-256 digests. The metadata must carry the token exactly once.
4. What proved itself is remembered until the tokens are read again; guesses are not. A look-up compares a token only
   with one of the same keyed hash, so it tells nothing about how much of a guess is right.
5. Certificate names count only from a handshake that verified the certificate: engines fill `Peer.names` on mTLS
   listeners alone.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import structlog

from extauthz.errors import ConfigError, Problem
from extauthz.request.bounds import Proxy
from extauthz.server.peer import TOKEN_METADATA, peer_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from extauthz.config.settings import ProxySettings, Settings
    from extauthz.server.engine import Peer

_log = structlog.get_logger(__name__)

MIN_TOKEN_CHARACTERS: Final = 16
"""Characters of a pre-shared token; 16 random letters and digits are some 95 bits."""

_MOST_PROVEN: Final = 256
"""Proofs that are remembered: a few for each proxy."""

_MOST_CALLERS: Final = 4096
"""Connections whose caller is remembered; each has an address of its own."""

INSECURE: Final = Proxy("insecure")
"""Who asks where `insecure.unauthenticated_proxies` is on and the caller is on this machine."""


@dataclass(frozen=True, slots=True)
class _Known:
    proxy: Proxy
    digests: tuple[bytes, ...] = ()
    names: frozenset[str] = frozenset()
    unix_socket: bool = False


class ProxyRegistry:
    """The configured proxies; token files are read again by `reload`.

    Args:
        settings: `proxies` and `insecure` of it.

    Raises:
        ConfigError: a token is too short or a token file cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.proxies
        self._insecure = settings.insecure.unauthenticated_proxies
        self._wants_certificates = any(proxy.certificate_names for proxy in self._settings)
        self._wants_addresses = self._insecure or any(proxy.unix_socket for proxy in self._settings)
        problems: list[Problem] = []
        self._known = tuple(_known(proxy, problems) for proxy in self._settings)
        self._proven: dict[tuple[object, ...], Proxy] = {}
        self._callers: dict[tuple[object, ...], Proxy] = {}
        self._reported: list[Problem] = []
        if problems:
            raise ConfigError(problems)

    @property
    def wants_certificates(self) -> bool:
        """Return whether any proxy proves itself by a certificate."""
        return self._wants_certificates

    @property
    def wants_addresses(self) -> bool:
        """Return whether where a caller comes from says anything about who it is."""
        return self._wants_addresses

    def reload(self) -> None:
        """Read the token files again. A proxy whose file cannot be read is nobody until it can: removal revokes."""
        problems: list[Problem] = []
        known = tuple(_known(proxy, problems) for proxy in self._settings)
        if known != self._known:  # Else a proxy stays the one object that kept decisions are recognised by.
            self._known = known
            self._proven = {}  # After the change: what was proven against the old tokens is not remembered.
            self._callers = {}
        if problems != self._reported:
            for problem in problems:
                _log.error("proxy token rejected; this proxy is not authenticated by it", problem=str(problem))
        self._reported = problems

    def find_caller(self, where: str, metadata: Iterable[tuple[str, str | bytes]]) -> Proxy | None:
        """Return the one proxy that a caller without certificate proves to be, or None.

        Args:
            where: the caller's address in the notation of gRPC.
            metadata: of the call, in the order received.
        """
        key: tuple[object, ...] = (where,)
        for name, value in metadata:
            if name == TOKEN_METADATA:
                key = (*key, value)
        callers = self._callers
        proxy = callers.get(key)
        if proxy is None:
            proxy = self.find_proxy(peer_at(where, metadata))
            if proxy is not None and len(callers) < _MOST_CALLERS:
                callers[key] = proxy
        return proxy

    def find_proxy(self, peer: Peer) -> Proxy | None:
        """Return the one proxy that `peer` proves to be, or None."""
        key = (peer.tokens, peer.names, peer.unix_socket, peer.loopback)
        proven = self._proven
        proxy = proven.get(key)
        if proxy is None:
            proxy = self._judge(peer)
            if proxy is not None and len(proven) < _MOST_PROVEN:
                proven[key] = proxy
        return proxy

    def _judge(self, peer: Peer) -> Proxy | None:
        digest = sha256(peer.tokens[0].encode()).digest() if len(peer.tokens) == 1 else b""
        matches = [known.proxy for known in self._known if _proves(known, digest, peer)]
        if len(matches) == 1:
            return matches[0]
        if not matches and self._insecure and (peer.loopback or peer.unix_socket):
            return INSECURE
        return None


def _proves(known: _Known, digest: bytes, peer: Peer) -> bool:
    found = peer.unix_socket and known.unix_socket
    for expected in known.digests:
        found |= hmac.compare_digest(expected, digest)
    return found or not known.names.isdisjoint(peer.names)


def _known(settings: ProxySettings, problems: list[Problem]) -> _Known:
    tokens: list[str] = []
    if settings.token is not None:
        tokens = _accepted(f"proxies.{settings.name}.token", [settings.token.get_secret_value()], problems)
    elif settings.token_file is not None:
        tokens = _read_tokens(settings.token_file, problems)
    return _Known(
        proxy=Proxy(
            settings.name,
            hosts=settings.hosts,
            tenants=frozenset(settings.tenants),
            shows_all_headers=settings.shows_all_headers,
        ),
        digests=tuple(sha256(token.encode()).digest() for token in tokens),
        names=frozenset(settings.certificate_names),
        unix_socket=settings.unix_socket,
    )


def _read_tokens(path: Path, problems: list[Problem]) -> list[str]:
    """Return the tokens in the file, one on a line: two lines let a token be changed without an outage."""
    try:
        lines = path.read_text(encoding="ascii").split()
    except OSError as error:
        problems.append(Problem(str(path), 0, 0, f"the token file cannot be read: {error.strerror}"))
        return []
    except UnicodeDecodeError:
        problems.append(Problem(str(path), 0, 0, "the token file is not plain text", "write ASCII letters and digits"))
        return []
    if not lines:
        problems.append(Problem(str(path), 0, 0, "the token file is empty", "write one token on a line"))
    return _accepted(str(path), lines, problems)


def _accepted(where: str, tokens: list[str], problems: list[Problem]) -> list[str]:
    accepted = [token for token in tokens if len(token) >= MIN_TOKEN_CHARACTERS]
    if len(accepted) < len(tokens):
        fix = "make one with `openssl rand -hex 32`"
        problems.append(Problem(where, 0, 0, f"a token is shorter than {MIN_TOKEN_CHARACTERS} characters", fix))
    return accepted
