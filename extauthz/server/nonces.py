"""Nonces for DPoP proofs (RFC 9449 section 9) that need no memory: a MAC over the number of a stretch of time.

Everybody gets the same nonce in the same stretch. That is enough, since its purpose is only that nobody can make proofs
for later with a key that he holds for a moment; against use a second time there is the proof's `jti`. Servers with the
same secret accept each other's nonces.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from extauthz.errors import ConfigError, Problem
from extauthz.ids import new_random_bytes
from extauthz.jose.base64url import to_base64url
from extauthz.limits import MIN_NONCE_SECRET_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.clock import Instant
    from extauthz.config.settings import Settings

_PURPOSE: Final = b"extauthz DPoP nonce "
"""First in what is authenticated, so that a secret that serves something else as well makes other values there."""

_NONCE_BYTES: Final = 16
"""Of the MAC; nobody guesses 128 bits while a nonce is accepted (RFC 2104 section 5)."""


class TimedNonces:
    """The nonces of one secret: `ports.NonceSource`.

    Args:
        secret: shared by all servers that shall accept each other's nonces.
        lifetime: seconds that a nonce is given out. It is accepted as long again, while a newer one is given out.
    """

    def __init__(self, secret: bytes, lifetime: float) -> None:
        self._secret = secret
        self._lifetime = lifetime

    def nonce_at(self, at: Instant) -> str:
        """Return the nonce of the stretch of time that `at` lies in."""
        return self._nonce(int(at // self._lifetime))

    def accepts_nonce(self, nonce: str, at: Instant) -> bool:
        """Return whether it is the nonce of this stretch of time or of the one before."""
        now, sent = int(at // self._lifetime), nonce.encode()
        return any(hmac.compare_digest(sent, self._nonce(stretch).encode()) for stretch in (now, now - 1))

    def _nonce(self, stretch: int) -> str:
        mac = hmac.digest(self._secret, _PURPOSE + b"%d" % stretch, "sha256")
        return to_base64url(mac[:_NONCE_BYTES])


def nonces_from(settings: Settings, secret: bytes | None = None) -> TimedNonces | None:
    """Return the nonces that the settings ask for; None when no profile requires any.

    Args:
        settings: in force.
        secret: taken where the settings name none: the one of all processes of this server.

    Raises:
        ConfigError: the file with the secret cannot be read, or holds too little.
    """
    proofs = [profile.dpop for profile in settings.profiles.values() if profile.dpop is not None]
    if not any(proof.nonce == "required" for proof in proofs):
        return None
    path = settings.dpop.nonce_secret_file
    if path is not None:
        secret = _read_secret(path)
    return TimedNonces(secret or new_random_bytes(MIN_NONCE_SECRET_BYTES), settings.dpop.nonce_lifetime)


def _read_secret(path: Path) -> bytes:
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        problem = Problem(str(path), 0, 0, f"the secret for nonces cannot be read: {error.strerror}")
        raise ConfigError([problem]) from error
    if len(secret) < MIN_NONCE_SECRET_BYTES:
        fix = f"write at least {MIN_NONCE_SECRET_BYTES} random bytes, for example with `openssl rand -base64 32`"
        raise ConfigError([Problem(str(path), 0, 0, "the secret for nonces is too short", fix)])
    return secret
