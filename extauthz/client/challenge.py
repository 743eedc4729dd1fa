"""Reads `WWW-Authenticate` (RFC 9110 sections 5.6 and 11.6.1). What is not well-formed is no challenge at all."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARACTERS: Final = 16_384
"""Longest header that is read."""

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 — a grammar, not a secret
_QUOTED: Final = r'"((?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*)"'
_END: Final = r"[ \t]*(?=,|$)"
_SEPARATORS: Final = re.compile(r"[ \t]*(?:,[ \t]*)*")
_SCHEME: Final = re.compile(rf"({_TOKEN})(?: +|(?=[ \t]*(?:,|$)))")
_PARAMETER: Final = re.compile(rf"({_TOKEN})[ \t]*=[ \t]*(?:({_TOKEN})|{_QUOTED}){_END}")
_TOKEN68: Final = re.compile(rf"[A-Za-z0-9._~+/-]+=*{_END}")
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge.

    Attributes:
        scheme: in lower case: schemes do not depend on case.
        parameters: by lower-case name, each once.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """Return what was wrong (RFC 6750 section 3.1); empty when the challenge does not say."""
        return self.parameters.get("error", "")

    def words(self, name: str) -> tuple[str, ...]:
        """Return the words of a parameter that is a list separated by spaces, each once."""
        return tuple(dict.fromkeys(self.parameters.get(name, "").split()))


def parse_challenges(value: str) -> tuple[Challenge, ...]:
    """Return the challenges of a header in order; lines of one name are joined by commas before.

    Raises:
        ValueError: it is not a list of challenges, a parameter stands twice in one of them, or it is too long.
    """
    if len(value) > MAX_CHARACTERS:
        message = "the header is too long"
        raise ValueError(message)
    found: list[Challenge] = []
    position = _skip(value, 0)
    while position < len(value):
        scheme = _SCHEME.match(value, position)
        if scheme is None:
            message = f"no scheme at {position}"
            raise ValueError(message)
        parameters, position = _read_parameters(value, scheme.end())
        found.append(Challenge(scheme[1].lower(), parameters))
    return tuple(found)


def _read_parameters(value: str, position: int) -> tuple[dict[str, str], int]:
    """Return the parameters from `position` on, and where the next challenge begins."""
    parameters: dict[str, str] = {}
    match = _PARAMETER.match(value, position)
    if match is None:
        opaque = _TOKEN68.match(value, position)
        return parameters, _skip(value, opaque.end() if opaque else position)
    while match is not None:
        name = match[1].lower()
        if name in parameters:
            message = f"a parameter stands twice at {match.start()}"
            raise ValueError(message)
        parameters[name] = match[2] if match[2] is not None else _ESCAPED.sub(r"\1", match[3])
        position = _skip(value, match.end())
        match = _PARAMETER.match(value, position)
    return parameters, position


def _skip(value: str, position: int) -> int:
    match = _SEPARATORS.match(value, position)
    return match.end() if match else position
