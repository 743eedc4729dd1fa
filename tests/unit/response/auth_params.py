"""A strict parser for challenges (RFC 9110 sections 5.6 and 11.6.1), written from the grammar, not from our code."""

from __future__ import annotations

import re

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"((?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*)"'
_PARAMETER = re.compile(rf"({_TOKEN})=(?:({_TOKEN})|{_QUOTED})")

_NEXT_CHALLENGE = re.compile(rf", (?={_TOKEN} (?:[^\"]*\"[^\"]*\")*[^\"]*$)")
"""A comma outside quoted strings that a scheme follows, and not a parameter: an even number of quotes is left."""


def parse_challenge(value: str) -> tuple[str, dict[str, str]]:
    """Return scheme and parameters of exactly one challenge.

    Raises:
        ValueError: it is not one, or a parameter stands twice (RFC 9110 section 11.2).
    """
    scheme, _, rest = value.partition(" ")
    if not re.fullmatch(_TOKEN, scheme):
        message = "no scheme"
        raise ValueError(message)
    parameters: dict[str, str] = {}
    position = 0
    while True:
        match = _PARAMETER.match(rest, position)
        if match is None or match[1].lower() in parameters:
            message = f"no parameter, or a second one of its name, at {position}"
            raise ValueError(message)
        parameters[match[1].lower()] = match[2] or re.sub(r"\\(.)", r"\1", match[3] or "")
        position = match.end()
        if position == len(rest):
            return scheme, parameters
        if not rest.startswith(", ", position):
            message = f"no comma at {position}"
            raise ValueError(message)
        position += 2


def parse_challenges(value: str) -> dict[str, dict[str, str]]:
    """Return scheme → parameters of each challenge in a list.

    Raises:
        ValueError: one of them is none, or a scheme stands twice.
    """
    found: dict[str, dict[str, str]] = {}
    for challenge in _NEXT_CHALLENGE.split(value):
        scheme, parameters = parse_challenge(challenge)
        if scheme.lower() in {known.lower() for known in found}:
            message = "a scheme stands twice"
            raise ValueError(message)
        found[scheme] = parameters
    return found
