"""Headers that may carry an API key: a closed list, so that every stage knows that what is in them is a secret."""

from __future__ import annotations

from typing import Final, Literal, get_args

ApiKeyHeader = Literal[
    "x-api-key",
    "api-key",
    "apikey",
    "x-apikey",
    "x-auth-token",
    "x-access-token",
    "x-service-token",
    "private-token",
]
"""Lower-case names that products read keys from. Where a resource does not declare them, they go no further."""

API_KEY_HEADERS: Final[tuple[str, ...]] = get_args(ApiKeyHeader)
