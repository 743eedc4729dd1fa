"""What a policy file may say, before anything is known about what it means.

Every part is closed: an unknown key is an error. Parts that are lists where one entry is usual (`on`, `host`) accept a
single text as well. Rules about how parts fit together are in `declaration.py` and `rulebook.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from extauthz.model.identity import Kind
from extauthz.model.request import METHODS
from extauthz.validation import did_you_mean, wrong


class Part(BaseModel):
    """A closed part of a policy file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_or_many(value: object) -> object:
    """Return a list for a single text."""
    return [value] if isinstance(value, str) else value


def _text(value: object) -> object:
    if isinstance(value, str) and value.strip() != value:
        message, fix = "the text begins or ends with a space", "remove it"
        raise wrong(message, fix)
    return value


Text = Annotated[str, Field(min_length=1), BeforeValidator(_text)]
"""Text that is not empty and has no spaces round it, which nothing could ever equal."""

Words = Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(_one_or_many)]
"""One text or a list of them; not empty, since an empty list would ask for nothing."""


def _kind(value: object) -> object:
    kinds = [kind.value for kind in Kind]
    if value not in kinds:
        message = "there is no such kind of caller"
        raise wrong(message, did_you_mean(str(value), kinds))
    return value


def _method(value: object) -> object:
    if value not in METHODS:
        message = "there is no such method"
        raise wrong(message, did_you_mean(str(value).upper(), METHODS))
    return value


Kinds = Annotated[
    tuple[Annotated[str, BeforeValidator(_kind)], ...], Field(min_length=1), BeforeValidator(_one_or_many)
]
Methods = Annotated[
    tuple[Annotated[str, BeforeValidator(_method)], ...], Field(min_length=1), BeforeValidator(_one_or_many)
]


class MatchPart(Part):
    """Which requests a resource is."""

    host: Words = Field(description="Exact hosts (with a port other than the default), or `*.example.com`.")
    path: str = Field(description="Template: literal segments, `{name}`, last also `{name=**}`. A final `/` counts.")
    methods: Methods = Field(description="HTTP methods. GET answers HEAD too.")


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | bool):
        message, fix = "must be text, a whole number, true or false", "quote it if it is text"
        raise wrong(message, fix)
    return value


Scalar = Annotated[Any, BeforeValidator(_scalar)]
"""Text, a whole number, or true or false."""


class AttributePart(Part):
    """Where an attribute comes from and what it may be. A text alone is its `from`."""

    source: Text | None = Field(
        default=None,
        alias="from",
        description="`path.NAME`, `query.NAME`, `header.NAME`, `body.MEMBER.MEMBER` or `context.NAME`.",
    )
    value: Scalar | None = Field(default=None, description="A fixed value, instead of `from`.")
    one_of: Annotated[tuple[Scalar, ...], Field(min_length=1)] | None = Field(
        default=None, description="The only values accepted."
    )
    type: Literal["string", "int", "bool"] | None = Field(default=None, description="`string` where not said.")
    optional: StrictBool = Field(default=False, description="It may be missing; conditions that read it then fail.")


def _attribute(value: object) -> object:
    return {"from": value} if isinstance(value, str) else value


class ResourcePart(Part):
    """A resource and an action on it."""

    name: Text
    action: Text
    match: MatchPart
    credential: Literal["bearer", "none"] = Field(default="bearer", description="How callers prove who they are.")
    verify: Text | None = Field(default=None, description="Verification profile; `default` where not said.")
    upgrades: tuple[Text, ...] = Field(default=(), description="Protocols that may be upgraded to.")
    preflight: StrictBool = Field(default=False, description="Answer CORS preflights without a credential.")
    forward: tuple[Text, ...] = Field(default=(), description="Other credential headers that may go upstream.")
    attributes: dict[str, Annotated[AttributePart, BeforeValidator(_attribute)]] = Field(default={})


@dataclass(frozen=True, slots=True)
class Clause:
    """A requirement as written: its kind, and what it is given."""

    kind: str
    argument: Any


def _clauses(value: object) -> object:
    """Return clauses for a list of single-key mappings, or for one mapping."""
    if isinstance(value, Mapping):
        return tuple(Clause(kind, argument) for kind, argument in value.items())
    if not isinstance(value, list):
        message, fix = "requirements are a list", "write for example `- scopes: [orders.read]`"
        raise wrong(message, fix)
    return tuple(value)


def _clause(value: object) -> object:
    if isinstance(value, Clause):
        return value
    if not isinstance(value, Mapping) or len(value) != 1:
        message, fix = "a requirement is one key with what it needs", "write for example `- scopes: [orders.read]`"
        raise wrong(message, fix)
    ((kind, argument),) = value.items()
    return Clause(kind, argument)


Clauses = Annotated[tuple[Annotated[Clause, BeforeValidator(_clause)], ...], BeforeValidator(_clauses)]


class GuardPart(Part):
    """Must hold whatever any permit says."""

    id: Text
    on: Words
    when: str | None = Field(default=None, description="CEL; the guard applies when it is true.")
    require: Annotated[Clauses, Field(min_length=1)]
    observe: StrictBool = Field(default=False, description="Only record what it would have denied.")


class ForbidPart(Part):
    """Denies when it applies."""

    id: Text
    on: Words
    when: str | None = Field(default=None, description="CEL; the forbid applies when it is true.")
    unless: Clauses = Field(default=(), description="When all of these hold, it does not deny.")
    observe: StrictBool = Field(default=False, description="Only record what it would have denied.")


class PartyPart(Part):
    """Names callers: each list asks for one of its members.

    A subject and a client are unique only within their issuer, so naming them without it would let every other accepted
    issuer make one of the same name.
    """

    kind: Kinds = ()
    issuers: Words = ()
    clients: Words = ()
    subjects: Words = ()

    @model_validator(mode="after")
    def _names_have_issuers(self) -> Self:
        if (self.clients or self.subjects) and not self.issuers:
            message, fix = "`subjects` and `clients` mean nothing without their issuer", "add `issuers`"
            raise wrong(message, fix)
        return self


class WhoPart(PartyPart):
    """Whom a permit is for."""

    roles: Words = ()


def _who(value: object) -> object:
    if value == "anyone":
        return WhoPart()
    if isinstance(value, Mapping) and not value:
        message, fix = "`who` names nobody", "write `who: anyone` if every verified caller is meant"
        raise wrong(message, fix)
    return value


class PermitPart(Part):
    """Grants when it applies and everything it requires holds."""

    id: Text
    who: Annotated[WhoPart, BeforeValidator(_who)] = Field(description="Whom it is for, or the word `anyone`.")
    limit: Literal["actor"] | None = Field(default=None, description="`actor`: only the acting party must match.")
    may: Words = Field(description="`resource.action`, `resource.*` or `*`.")
    when: str | None = Field(default=None, description="CEL; the permit applies when it is true.")
    require: Clauses = ()
    observe: StrictBool = Field(default=False, description="Never grant; only record what it would have allowed.")
