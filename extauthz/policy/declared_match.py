"""What a resource's `match` says beside host, path and methods → distinctions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.policy.declared_attributes import origin_of
from extauthz.policy.matching import Distinction

if TYPE_CHECKING:
    from extauthz.policy.document import MatchPart
    from extauthz.policy.written import Written


def declare_distinctions(part: MatchPart, body: str, written: Written) -> tuple[Distinction, ...]:
    """Return the distinctions that a match states.

    Args:
        part: the match.
        body: how the body is read, `json` or `form`.
        written: where the match stands.

    Raises:
        PolicyError: a name is no header, or a value can never be there.
    """
    found: list[Distinction] = []
    places = (("headers", "header", part.headers), ("query", "query", part.query), ("body", "body", part.body))
    for key, place, wanted in (*places, ("context", "context", part.context)):
        for name, values in wanted.items():
            here = written.at(key, name)
            origin = origin_of(f"{place}.{name}", None, body, here)
            _require_possible(values, here, typed=key == "body" and body == "json")
            found.append(Distinction(origin, frozenset((type(value), value) for value in values)))
    return tuple(found)


def _require_possible(values: tuple[object, ...], written: Written, *, typed: bool) -> None:
    """Refuse values that no request has: text is never empty, and only JSON has numbers."""
    for position, value in enumerate(values):
        place = written.at(position)
        if value == "":
            place.refuse("an empty value means nothing", "remove it")
        if not typed and not isinstance(value, str):
            place.refuse(f"`{value}` is not text, as everything is in a form", "quote it")
        if value in values[:position] and type(value) is type(values[values.index(value)]):
            place.refuse(f"`{value}` stands twice", "keep one of them")
