"""How we prove ourselves to a transmitter: an access token in a file (RFC 6750 section 2.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from extauthz.errors import FetchError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_TOKEN_BYTES: Final = 16384
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def bearer_of(file: Path | None) -> dict[str, str]:
    """Return the headers that carry the token in `file`, which is read anew each time; none without a file.

    Raises:
        FetchError: it cannot be read, or holds no token.
    """
    if file is None:
        return {}
    try:
        with file.open("rb") as opened:
            token = opened.read(_MAX_TOKEN_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file}: the access token cannot be read ({type(error).__name__})"
        raise FetchError(message) from None
    if _TOKEN.fullmatch(token) is None:
        message = f"{file}: this is no access token; write it alone on one line"
        raise FetchError(message)
    return {"authorization": f"Bearer {token}"}
