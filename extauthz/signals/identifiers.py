"""Subject identifiers (RFC 9493, and those that SSF 1.0 adds), read strictly.

A format has exactly its members, each a text that is not empty; one that is missing, or that the format does not
define, makes the identifier invalid (RFC 9493 section 3). A format that we do not know is no error of the sender: it
names nobody for us.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.limits import MAX_CLAIM_STRING_BYTES, MAX_EVENT_SUBJECTS
from extauthz.signals.event_token import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "account": ("uri",),
    "did": ("url",),
    "email": ("email",),
    "iss_sub": ("iss", "sub"),
    "jwt_id": ("iss", "jti"),
    "opaque": ("id",),
    "phone_number": ("phone_number",),
    "saml_assertion_id": ("issuer", "assertion_id"),
    "uri": ("uri",),
}
"""Format → its members, all of them texts."""

ALIASES: Final = "aliases"
COMPLEX: Final = "complex"
_ADDRESSES: Final = "ip-addresses"


@dataclass(frozen=True, slots=True)
class Identifier:
    """One way of naming somebody.

    Attributes:
        format: how.
        values: of its members, in the order of `FORMATS`; nothing for formats that name nobody for us.
    """

    format: str
    values: tuple[str, ...] = ()


def read_identifiers(value: Any, *, nested: bool = False) -> tuple[Identifier, ...]:
    """Return the ways in which a simple subject is named: one, or those of `aliases`.

    Args:
        value: as sent.
        nested: whether it is one of several aliases already, which must not be such a list again.

    Raises:
        SignalError: it is not a valid identifier.
    """
    if not isinstance(value, dict):
        refuse("a subject identifier is not an object")
    name = value.get("format")
    if not isinstance(name, str) or not name:
        refuse("a subject identifier has no `format`")
    if name == COMPLEX or (name == ALIASES and nested):
        refuse(f"a subject identifier of the format {name} stands inside of another")
    if name == ALIASES:
        return _read_aliases(value)
    if name == _ADDRESSES:
        _verify_members(value, {_ADDRESSES})
        _require_texts(value[_ADDRESSES], _ADDRESSES)
        return (Identifier(name),)
    if name not in FORMATS:
        return (Identifier(name),)
    _verify_members(value, set(FORMATS[name]))
    _require_texts([value[member] for member in FORMATS[name]], name)
    return (Identifier(name, tuple(value[member] for member in FORMATS[name])),)


def _read_aliases(value: Mapping[str, Any]) -> tuple[Identifier, ...]:
    _verify_members(value, {"identifiers"})
    others = value["identifiers"]
    if not isinstance(others, list) or not 0 < len(others) <= MAX_EVENT_SUBJECTS:
        refuse(f"`identifiers` is not a list of 1 to {MAX_EVENT_SUBJECTS}")
    return tuple(identifier for other in others for identifier in read_identifiers(other, nested=True))


def _verify_members(value: Mapping[str, Any], members: set[str]) -> None:
    if value.keys() != members | {"format"}:
        refuse("a subject identifier lacks a member of its format, or has one that the format does not define")


def _require_texts(values: Any, name: str) -> None:
    texts = isinstance(values, list) and values and all(isinstance(each, str) and each for each in values)
    if not texts or any(len(each) > MAX_CLAIM_STRING_BYTES for each in values):
        refuse(f"a subject identifier of the format {name} has a value that is empty, too long, or no text")
