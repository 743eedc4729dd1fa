"""What the requirements that look for changeable facts share: names of those facts, digests, and reading them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from extauthz.model.facts import AttributeValue, Facts
    from extauthz.model.identity import Principal
    from extauthz.model.state import StateName

Value = TypeVar("Value")


def known(facts: Facts, name: StateName, of_type: type[Value]) -> Value | None:
    """Return the fact called `name`; None when it is not known, or is not what facts of its kind are."""
    value = facts.state.get(name)
    return value if isinstance(value, of_type) else None


def party_key(party: Principal) -> str:
    """Return what names a party: `ISSUER SUBJECT`. No issuer has a space in its name."""
    return f"{party.issuer} {party.subject}"


def target_of(facts: Facts) -> str:
    """Return `resource.action`."""
    return f"{facts.variables.get('resource.name', '')}.{facts.variables.get('resource.action', '')}"


def text_of(value: AttributeValue) -> str:
    """Return an attribute's value as others write it: `true`, `7`, text as it is."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def digest_of(*parts: object) -> bytes:
    """Return the SHA-256 digest of parts that JSON can write; different parts have different texts."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).digest()
