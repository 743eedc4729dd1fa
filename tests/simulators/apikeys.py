"""API keys, and a place to look them up, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.identity.keyformat import digest_key, make_key_text
from extauthz.model.identity import Kind
from extauthz.ports import ApiKey
from tests.simulators.tokens import NOW

if TYPE_CHECKING:
    from extauthz.model.state import StateName

DAY = 86400.0


def make_key(number: int = 1, **changes: Any) -> tuple[str, ApiKey]:
    """Return the text of a key and what is stored of it; the same for the same number. `changes` replace fields."""
    presented = make_key_text(number.to_bytes(10, "big"), bytes([number % 256]) * 32)
    salt = bytes([number % 256]) * 16
    fields: dict[str, Any] = {
        "key_id": presented.key_id,
        "salt": salt,
        "digest": digest_key(salt, presented),
        "subject": f"nightly-{number}",
        "kind": Kind.SERVICE,
        "tenant": "acme",
        "scopes": frozenset({"reports:read"}),
        "roles": frozenset({"reader"}),
        "created_at": Instant(NOW - DAY),
        "expires_at": Instant(NOW + DAY),
        **changes,
    }
    return presented.whole, ApiKey(**fields)


class MemoryApiKeys:
    """Keys by id, with epochs; it notes what was asked for."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys = {key.key_id: key for key in keys}
        self.asked: list[str] = []

    def find_api_key(self, key_id: str) -> ApiKey | None:
        """Return the key."""
        self.asked.append(f"key {key_id}")
        return self.keys.get(key_id)

    def read_epochs(self, names: tuple[StateName, ...]) -> tuple[int, ...]:
        """Note the question; nothing changes here."""
        self.asked.extend(f"epoch {name.kind} {name.of}" for name in names)
        return (0,) * len(names)
