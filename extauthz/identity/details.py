"""`authorization_details` of a token (RFC 9396), read strictly: rights as objects.

1. The claim is a list of at most `MAX_AUTHORIZATION_DETAILS` objects, each with a `type` (section 2). Absent and empty
   grant nothing.
2. `actions`, `locations`, `datatypes` and `privileges` are lists of strings and `identifier` is a string (section 2.2)
   wherever they are there; a mistyped one refuses the token instead of reading as "not limited".
3. Further members are kept as they are; their meaning belongs to the type.

What the objects grant is `policy/requirements/details.py`'s business.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from extauthz.identity.claims import refuse_claim, required_text, texts_of
from extauthz.limits import MAX_AUTHORIZATION_DETAILS

if TYPE_CHECKING:
    from collections.abc import Mapping

_CLAIM: Final = "authorization_details"
_LISTS: Final = ("actions", "locations", "datatypes", "privileges")


def details_of(claims: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the objects that verified claims carry, in their order; none when the claim is absent.

    Raises:
        Refusal: `credentials_malformed` by the rules above.
    """
    if _CLAIM not in claims:
        return ()
    members = claims[_CLAIM]
    if not isinstance(members, list) or len(members) > MAX_AUTHORIZATION_DETAILS:
        refuse_claim(_CLAIM, f"a list of at most {MAX_AUTHORIZATION_DETAILS} objects")
    return tuple(_read(member) for member in members)


def _read(member: Any) -> Mapping[str, Any]:
    if not isinstance(member, dict):
        refuse_claim(_CLAIM, "a list of objects")
    for name in ("type", "identifier"):
        if name == "type" or name in member:
            required_text(member, name)
    for name in _LISTS:
        if name in member and (not isinstance(member[name], list) or not texts_of(member[name], name)):
            refuse_claim(name, "a list of strings that is not empty, in `authorization_details`")
    return MappingProxyType(dict(member))
