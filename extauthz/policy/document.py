"""What a policy file may say, before anything is known about what it means.

Every part is closed: an unknown key is an error. Parts that are lists where one entry is usual (`on`, `host`) accept a
single text as well. Rules about how parts fit together are in `declaration.py` and `rulebook.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator

from extauthz.durations import Duration
from extauthz.model.identity import Kind
from extauthz.model.request import METHODS
from extauthz.validation import did_you_mean, wrong


class Part(BaseModel):
    """A closed part of a policy file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_or_many(value: object) -> object:
    """Return a list for a single text or number."""
    return [value] if isinstance(value, str | int | float) else value


def _text(value: object) -> object:
    if isinstance(value, str) and value.strip() != value:
        message, fix = "the text begins or ends with a space", "remove it"
        raise wrong(message, fix)
    return value


Text = Annotated[str, Field(min_length=1), BeforeValidator(_text)]
"""Text that is not empty and has no spaces round it, which nothing could ever equal."""

Words = Annotated[
    tuple[Text, ...],
    Field(min_length=1),
    BeforeValidator(_one_or_many, json_schema_input_type=Text | list[Text]),
]
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


def _known(words: Iterable[str]) -> WithJsonSchema:
    """Return what editors are told of a word: one of these, or the name of a list."""
    return WithJsonSchema({"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": r"^\$"}]})


_KindWord = Annotated[str, BeforeValidator(_kind), _known(kind.value for kind in Kind)]
_MethodWord = Annotated[str, BeforeValidator(_method), _known(METHODS)]

Kinds = Annotated[
    tuple[_KindWord, ...],
    Field(min_length=1),
    BeforeValidator(_one_or_many, json_schema_input_type=_KindWord | list[_KindWord]),
]
Methods = Annotated[
    tuple[_MethodWord, ...],
    Field(min_length=1),
    BeforeValidator(_one_or_many, json_schema_input_type=_MethodWord | list[_MethodWord]),
]


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | bool):
        message, fix = "must be text, a whole number, true or false", "quote it if it is text"
        raise wrong(message, fix)
    return value


Scalar = Annotated[Any, BeforeValidator(_scalar), WithJsonSchema({"type": ["string", "integer", "boolean"]})]
"""Text, a whole number, or true or false."""


Scalars = Annotated[
    tuple[Scalar, ...],
    Field(min_length=1),
    BeforeValidator(_one_or_many, json_schema_input_type=Scalar | list[Scalar]),
]
"""One value or a list of them; not empty."""

Wanted = dict[Text, Words]
"""For each name the texts of which the request has one."""

WantedMembers = dict[Text, Scalars]
"""For each member the values of which the body has one; `1` and `"1"` are different in JSON."""


class MatchPart(Part):
    """Which requests a resource is."""

    host: Words = Field(description="Exact hosts (with a port other than the default), or `*.example.com`.")
    path: str = Field(description="Template: literal segments, `{name}`, last also `{name=**}`. A final `/` counts.")
    methods: Methods = Field(description="HTTP methods. GET answers HEAD too.")
    headers: Wanted = Field(default={}, description="Headers that tell it apart, by lower-case name.")
    query: Wanted = Field(default={}, description="Query parameters that tell it apart.")
    body: WantedMembers = Field(default={}, description="Members of the body that tell it apart: `order.kind`.")
    context: Wanted = Field(default={}, description="`context_extensions` of Envoy's route that tell it apart.")


class AttributePart(Part):
    """Where an attribute comes from and what it may be. A text alone is its `from`."""

    source: Text | None = Field(
        default=None,
        alias="from",
        description="`path.NAME`, `query.NAME`, `header.NAME`, `body.MEMBER.MEMBER` or `context.NAME`.",
    )
    value: Scalar | None = Field(default=None, description="A fixed value, instead of `from`.")
    one_of: Scalars | None = Field(default=None, description="The only values accepted.")
    type: Literal["string", "int", "bool"] | None = Field(default=None, description="`string` where not said.")
    optional: StrictBool = Field(default=False, description="It may be missing; conditions that read it then fail.")
    default: Scalar | None = Field(default=None, description="What it is when it is missing; makes it optional.")


def _attribute(value: object) -> object:
    return {"from": value} if isinstance(value, str) else value


Record = Literal["always", "sampled"]
"""Which allows are recorded; denials always are."""


class ResourcePart(Part):
    """A resource and an action on it."""

    name: Text
    action: Text
    match: MatchPart
    credential: Literal["bearer", "dpop", "certificate", "api_key", "none"] = Field(
        default="bearer", description="How callers prove who they are."
    )
    verify: Text | None = Field(default=None, description="Verification profile; `default` where not said.")
    upgrades: tuple[Text, ...] = Field(default=(), description="Protocols that may be upgraded to.")
    body: Literal["json", "form"] | None = Field(default=None, description="How the body is read; `json` if not said.")
    record: Record | None = Field(default=None, description="Whether every allow is recorded, or a sample.")
    preflight: StrictBool = Field(default=False, description="Answer CORS preflights without a credential.")
    forward: tuple[Text, ...] = Field(default=(), description="Other credential headers that may go upstream.")
    stale: Literal["refuse", "proceed"] = Field(
        default="refuse",
        description="When what was revoked is not known well enough: refuse (`state_stale`), or go by what is known.",
    )
    signals: Literal["required", "optional"] = Field(
        default="required",
        description="When who reports about the caller is not heard: refuse (`signals_stale`), or go on.",
    )
    attributes: dict[
        str, Annotated[AttributePart, BeforeValidator(_attribute, json_schema_input_type=str | AttributePart)]
    ] = Field(default={})


@dataclass(frozen=True, slots=True)
class Clause:
    """A requirement as written.

    Attributes:
        kind: which one.
        argument: what it is given.
        observe: whether it only records that it does not hold.
    """

    kind: str
    argument: Any
    observe: bool = False


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
    rest = {key: given for key, given in value.items() if key != _OBSERVE} if isinstance(value, Mapping) else {}
    if not isinstance(value, Mapping) or len(rest) != 1:
        message, fix = "a requirement is one key with what it needs", "write for example `- scopes: [orders.read]`"
        raise wrong(message, fix)
    observe = value.get(_OBSERVE, False)
    if not isinstance(observe, bool):
        message, fix = "`observe` must be true or false", "write `true` or `false`, without quotes"
        raise wrong(message, fix)
    ((kind, argument),) = rest.items()
    return Clause(kind, argument, observe)


_OBSERVE: Final = "observe"
"""The one key that may stand beside a requirement's own."""


CLAUSES: Final = "requirements"
"""How the JSON Schema marks where requirements stand; their kinds are not known here (`policy/schema.py`)."""

Clauses = Annotated[
    tuple[Annotated[Clause, BeforeValidator(_clause)], ...],
    BeforeValidator(_clauses),
    WithJsonSchema({"$comment": CLAUSES}),
]


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


class WhenPart(Part):
    """When a rule applies: everything that is said here holds. A text alone is its `cel`."""

    cel: str | None = Field(default=None, description="A condition in CEL.")
    involves: PartyPart | None = Field(
        default=None, description="Somebody among subject, actor and chain is like this; fails if that cannot be told."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.cel is None and self.involves is None:
            message, fix = "it names nothing", "write `involves` or `cel`, or leave `when` out"
            raise wrong(message, fix)
        if self.involves is not None and not self.involves.model_fields_set:
            message, fix = "`involves` names nobody", "name at least one of kind, issuers, clients, subjects"
            raise wrong(message, fix)
        return self


def _when(value: object) -> object:
    if isinstance(value, str):
        return {"cel": value}
    if not isinstance(value, Mapping | WhenPart):
        message, fix = "a condition must be text", "quote it, or write `involves: {…}`"
        raise wrong(message, fix)
    return value


When = Annotated[WhenPart, BeforeValidator(_when, json_schema_input_type=str | WhenPart)]


class GuardPart(Part):
    """Must hold whatever any permit says."""

    id: Text
    on: Words
    when: When | None = Field(default=None, description="The guard applies when it holds; CEL, or `involves`.")
    require: Annotated[Clauses, Field(min_length=1)]
    observe: StrictBool = Field(default=False, description="Only record what it would have denied.")


class ForbidPart(Part):
    """Denies when it applies."""

    id: Text
    on: Words
    when: When | None = Field(default=None, description="The forbid applies when it holds; CEL, or `involves`.")
    unless: Clauses = Field(default=(), description="When all of these hold, it does not deny.")
    observe: StrictBool = Field(default=False, description="Only record what it would have denied.")


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
    who: Annotated[WhoPart, BeforeValidator(_who, json_schema_input_type=Literal["anyone"] | WhoPart)] = Field(
        description="Whom it is for, or the word `anyone`."
    )
    limit: Literal["actor"] | None = Field(default=None, description="`actor`: only the acting party must match.")
    may: Words = Field(description="`resource.action`, `resource.*` or `*`.")
    when: When | None = Field(default=None, description="The permit applies when it holds; CEL, or `involves`.")
    require: Clauses = ()
    record: Record | None = Field(default=None, description="Whether each of its allows is recorded, or a sample.")
    observe: StrictBool = Field(default=False, description="Never grant; only record what it would have allowed.")


class NamespacePart(Part):
    """A part of the policy that a team writes itself."""

    hosts: Words = Field(description="The only hosts that its resources may be on.")
    owner: Text = Field(description="Who answers for it.")
    folder: Text | None = Field(
        default=None,
        description="Where its files must lie, from the root file's folder; without it any file may say that it is the "
        "namespace's, and who may write to the policy's folders is the only bound.",
    )


class FreezePart(Part):
    """A time in which no window of the name is open. A date alone is its beginning, for `to` its end."""

    since: Text = Field(alias="from", description="Local time of its beginning.")
    until: Text = Field(alias="to", description="Local time of its end.")
    why: Text = Field(description="For people who are refused then.")


class WindowPart(Part):
    """Recurring times at which something may be done; local times of its zone."""

    rules: Words = Field(description="RFC 5545 recurrence rules; any of them opens it.")
    starts: Text = Field(description="Local time of the first opening: `2026-01-06T09:00`.")
    lasts: Duration = Field(description="How long each opening lasts.")
    zone: Text = Field(description="Time zone: `Europe/Vienna`, `UTC`.")
    skipped: Words = Field(default=(), alias="except", description="Dates on which it does not open.")
    freezes: tuple[FreezePart, ...] = Field(default=(), description="When it is closed whatever the rules say.")


class HeadPart(Part):
    """What a policy file says about itself, and what it gives names to."""

    root: StrictBool = Field(default=False, description="Whether this is the root policy, which declares namespaces.")
    namespaces: dict[Text, NamespacePart] = Field(default={}, description="Namespaces by name; only in the root.")
    namespace: Text | None = Field(default=None, description="The namespace that the file belongs to.")
    owner: Text | None = Field(default=None, description="Who answers for it.")
    includes: Words = Field(default=(), description="Further files, by path from this one.")
    constants: dict[Text, Scalar] = Field(default={}, description="Values for conditions, as `constants.NAME`.")
    lists: dict[Text, Words] = Field(default={}, description="Lists of texts, meant by `$NAME` where texts stand.")
    windows: dict[Text, WindowPart] = Field(default={}, description="Change windows, by the name that rules use.")
