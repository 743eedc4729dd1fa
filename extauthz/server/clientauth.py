"""How we prove ourselves to an issuer that we ask (RFC 6749 section 2.3.1)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from extauthz.errors import FetchError
from extauthz.limits import MAX_SECRET_BYTES

if TYPE_CHECKING:
    from extauthz.config.introspection import ClientSettings


def prove_ourselves(client: ClientSettings) -> tuple[dict[str, str], dict[str, str]]:
    """Return what to add to headers and form of a request.

    Raises:
        FetchError: our secret cannot be read.
    """
    try:
        with client.secret_file.open("rb") as file:
            secret = file.read(MAX_SECRET_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"our secret cannot be read ({type(error).__name__})"
        raise FetchError(message) from None
    if not secret:
        message = "the file with our secret is empty"
        raise FetchError(message)
    if client.method == "post":
        return {}, {"client_id": client.id, "client_secret": secret}
    # Both are form-encoded before they are joined, so that a colon in the id cannot move the boundary.
    pair = f"{quote_plus(client.id)}:{quote_plus(secret)}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, {}
