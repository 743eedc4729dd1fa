"""Who may push: a header value that only the transmitter and we know, in a file."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from extauthz.errors import FetchError
from extauthz.limits import MAX_SECRET_BYTES

if TYPE_CHECKING:
    from pathlib import Path


class AuthorizationFile:
    """The exact value of the `Authorization` header, one a line: two while one takes the place of the other.

    The file is read for every request, so that a new value counts at once.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def admits(self, given: list[str]) -> bool:
        """Return whether a request with these values of `Authorization` comes from the transmitter.

        Values are compared by their digests, all of them, and in constant time: how long it takes says nothing about
        how much of a guess was right.

        Raises:
            FetchError: there is nothing to compare with.
        """
        wanted = self.read()
        if len(given) != 1:
            return False
        digest = _digest(given[0])
        return sum(hmac.compare_digest(digest, _digest(value)) for value in wanted) > 0

    def read(self) -> list[str]:
        """Return the values.

        Raises:
            FetchError: there are none, or the file cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                lines = file.read(MAX_SECRET_BYTES).decode("ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            message = f"{self._path}: the authorization of a stream cannot be read ({type(error).__name__})"
            raise FetchError(message) from None
        values = [line.strip() for line in lines if line.strip()]
        if not values:
            message = f"{self._path}: empty; write the value of the `Authorization` header into it"
            raise FetchError(message)
        return values


def _digest(value: str) -> bytes:
    return sha256(value.encode("latin-1", "replace")).digest()
