"""`scopes: [orders.read, "deploy:{resource.environment}"]`: the token has all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from extauthz.model.reason import Reason
from extauthz.model.verdict import ObtainScopes
from extauthz.policy.names import FactType
from extauthz.policy.requirements.form import read_words
from extauthz.policy.rules import MET, Failed, Finding, Timeless, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

_SCOPE_TOKEN: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
"""RFC 6749 section 3.3 and RFC 6750 section 3: no space, no quote, no backslash, nothing that ends a challenge."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class ScopeTemplate:
    """A scope with places for facts.

    Attributes:
        pieces: text and fact names, in turn: even ones are text, odd ones names.
    """

    pieces: tuple[str, ...]

    def find_scope(self, facts: Facts) -> str | None:
        """Return the scope for these facts; None when a fact is not known or not fit to be part of a scope."""
        filled: list[str] = []
        for position, piece in enumerate(self.pieces):
            if position % 2 == 0:
                filled.append(piece)
                continue
            value = facts.variables.get(piece)
            if not isinstance(value, str | int) or isinstance(value, bool):
                return None
            if _SCOPE_TOKEN.fullmatch(str(value)) is None:
                return None
            filled.append(str(value))
        return "".join(filled)


@dataclass(frozen=True, slots=True)
class Scopes(Timeless):
    """All scopes are needed. Unmet, the remedy names all of them, so that one new token repairs it."""

    templates: tuple[ScopeTemplate, ...]
    kind: str = "scopes"
    reads: frozenset[str] = field(default_factory=frozenset)

    def find(self, facts: Facts) -> Finding:
        """Return whether the token has every scope."""
        needed: set[str] = set()
        for template in self.templates:
            scope = template.find_scope(facts)
            if scope is None:
                return Failed("a scope could not be written from the facts")
            needed.add(scope)
        if needed and needed <= facts.identity.scopes:
            return MET
        return Unmet(
            Reason.INSUFFICIENT_SCOPE,
            ObtainScopes(tuple(sorted(needed))),
            "Ask for a token with every scope that is named.",
        )


def compile_scopes(argument: Any, written: Written, surroundings: Surroundings) -> Scopes:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it is not a list of scopes, or a placeholder is not a fact.
    """
    words = read_words(argument, written)
    templates = tuple(
        _compile_template(word, written.at(position), surroundings) for position, word in enumerate(words)
    )
    names = frozenset(name for template in templates for name in template.pieces[1::2])
    return Scopes(templates, reads=names | {"identity.scopes"})


def _compile_template(text: str, written: Written, surroundings: Surroundings) -> ScopeTemplate:
    pieces = tuple(_PLACEHOLDER.split(text))
    if any(piece and (_SCOPE_TOKEN.fullmatch(piece) is None or "{" in piece or "}" in piece) for piece in pieces[::2]):
        written.refuse("not a scope", "write one scope an entry, without spaces, quotes or single braces")
    for name in pieces[1::2]:
        fact = surroundings.facts.get(name)
        if fact is None:
            message = f"`{{{name}}}` is not a fact of {surroundings.label}"
            written.refuse(message, did_you_mean(name, surroundings.facts))
        if fact.type not in {FactType.TEXT, FactType.NUMBER}:
            written.refuse(f"`{{{name}}}` is a {fact.type.value}", "use a text or a whole number")
    return ScopeTemplate(pieces)
