"""`authorization_details: {type: payment, actions: [initiate], identifier: "{resource.account}"}` (RFC 9396).

One object of the token must grant all of it by itself: within an object rights are the cross product of its members,
between objects they are a union, so members of two objects are never put together (sections 2.2 and 3).

1. The object's `type` is the one asked for, exactly. A type that no rule names grants nothing.
2. What the rule lists of `actions`, `locations`, `datatypes` and `privileges`, the object lists as well; what the rule
   gives as `identifier` or under `members`, the object has as the same text. A member that the object lacks grants
   nothing of its kind.
3. A member of the object that the rule does not name could limit the right (another location, an amount). So the object
   does not grant, unless the rule lists the member under `ignore`.

Texts may hold facts: `{resource.account}`. A fact that is not known makes the requirement fail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from extauthz.model.reason import Reason
from extauthz.policy.document import Part, Words
from extauthz.policy.names import FactType
from extauthz.policy.requirements.form import read_part
from extauthz.policy.rules import MET, Failed, Finding, Timeless, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

_LISTS: Final = ("actions", "locations", "datatypes", "privileges")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class DetailsPart(Part):
    """One right. At least one member besides `type`."""

    type: str = Field(min_length=1)
    actions: Words = ()
    locations: Words = ()
    datatypes: Words = ()
    privileges: Words = ()
    identifier: str | None = Field(default=None, min_length=1)
    members: dict[str, str] = Field(default_factory=dict)
    ignore: Words = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A text with places for facts.

    Attributes:
        pieces: text and fact names, in turn: even ones are text, odd ones names.
    """

    pieces: tuple[str, ...]

    def find_text(self, facts: Facts) -> str | None:
        """Return the text for these facts; None when a fact is not known."""
        filled = list(self.pieces)
        for position in range(1, len(filled), 2):
            value = facts.variables.get(filled[position])
            if not isinstance(value, str | int) or isinstance(value, bool):
                return None
            filled[position] = str(value)
        return "".join(filled)


@dataclass(frozen=True, slots=True)
class Details(Timeless):
    """A right that one object of the token must grant.

    Attributes:
        type: of the object.
        lists: member → the texts that it must list.
        texts: member → the text that it must be.
        ignored: members that may be there whatever they say.
    """

    type: str
    lists: Mapping[str, tuple[Template, ...]]
    texts: Mapping[str, Template]
    ignored: frozenset[str]
    reads: frozenset[str] = field(default_factory=frozenset)
    kind: str = "authorization_details"

    def find(self, facts: Facts) -> Finding:
        """Return whether one object grants all of it."""
        lists = {name: [template.find_text(facts) for template in wanted] for name, wanted in self.lists.items()}
        texts = {name: wanted.find_text(facts) for name, wanted in self.texts.items()}
        if None in texts.values() or any(None in wanted for wanted in lists.values()):
            return Failed("a right could not be written from the facts")
        if any(self._grants(granted, lists, texts) for granted in facts.identity.authorization_details):
            return MET
        return Unmet(
            Reason.AUTHORIZATION_DETAILS_MISSING,
            detail=f"Ask for a token whose `authorization_details` grant this in one object of type {self.type}.",
        )

    def _grants(
        self, granted: Mapping[str, Any], lists: Mapping[str, list[str | None]], texts: Mapping[str, str | None]
    ) -> bool:
        if granted.get("type") != self.type or not granted.keys() <= {"type", *lists, *texts, *self.ignored}:
            return False
        return all(_lists_all(granted.get(name), wanted) for name, wanted in lists.items()) and all(
            isinstance(granted.get(name), str) and granted[name] == wanted for name, wanted in texts.items()
        )


def _lists_all(listed: Any, wanted: list[str | None]) -> bool:
    return isinstance(listed, list) and all(text in listed for text in wanted)


def compile_details(argument: Any, written: Written, surroundings: Surroundings) -> Details:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it names no right, names a member twice, or a placeholder is not a fact.
    """
    part = read_part(DetailsPart, argument, written)
    lists = {name: getattr(part, name) for name in _LISTS if getattr(part, name)}
    texts = dict(part.members) | ({"identifier": part.identifier} if part.identifier is not None else {})
    for name in part.members:
        if name in {*_LISTS, "type", "identifier"}:
            written.at("members").at(name).refuse(
                f"`{name}` has a key of its own", f"write it beside `type`: `{name}: …`"
            )
    if not lists and not texts:
        written.refuse(
            "it names no right", "name at least one of actions, locations, datatypes, privileges, identifier"
        )
    both = sorted({*lists, *texts}.intersection(part.ignore))
    if both:
        written.at("ignore").refuse(f"`{both[0]}` is asked for and ignored", "leave it out of one of both")
    compiled = {
        name: tuple(_template(word, written.at(name).at(position), surroundings) for position, word in enumerate(words))
        for name, words in lists.items()
    }
    single = {
        name: _template(
            text, written.at(name) if name == "identifier" else written.at("members").at(name), surroundings
        )
        for name, text in texts.items()
    }
    templates = [*single.values(), *(template for words in compiled.values() for template in words)]
    reads = frozenset(name for template in templates for name in template.pieces[1::2])
    return Details(part.type, compiled, single, frozenset(part.ignore), reads)


def _template(text: str, written: Written, surroundings: Surroundings) -> Template:
    pieces = tuple(_PLACEHOLDER.split(text))
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        written.refuse("a brace stands alone", "write a fact as `{resource.account}`")
    for name in pieces[1::2]:
        fact = surroundings.facts.get(name)
        if fact is None:
            message = f"`{{{name}}}` is not a fact of {surroundings.label}"
            written.refuse(message, did_you_mean(name, surroundings.facts))
        if fact.type not in {FactType.TEXT, FactType.NUMBER}:
            written.refuse(f"`{{{name}}}` is a {fact.type.value}", "use a text or a whole number")
    return Template(pieces)
