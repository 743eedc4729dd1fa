"""What a registry file may say, before its parts are held against each other. Every part is closed."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from extauthz.model.identity import Kind
from extauthz.model.registry import Standing
from extauthz.registry.index import How
from extauthz.registry.moments import parse_moment
from extauthz.validation import did_you_mean, wrong


class Part(BaseModel):
    """A closed part of a registry file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _text(value: object) -> object:
    if isinstance(value, str) and value.strip() != value:
        message, fix = "the text begins or ends with a space", "remove it"
        raise wrong(message, fix)
    return value


Text = Annotated[str, Field(min_length=1), BeforeValidator(_text)]
"""Text that is not empty and has no spaces round it."""


def _moment(value: object) -> object:
    try:
        return parse_moment(str(value))
    except ValueError:
        message, fix = "this is not a day or an instant", "write for example 2030-01-31, or 2030-01-31T18:00:00Z"
        raise wrong(message, fix) from None


Moment = Annotated[float, BeforeValidator(_moment)]
"""A day or an instant, as seconds since the epoch."""


def _network(value: object) -> object:
    try:
        return ipaddress.ip_network(str(value))
    except ValueError:
        message, fix = "this is not a network", "write for example 192.0.2.0/24, with no bits set after the prefix"
        raise wrong(message, fix) from None


Network = Annotated[Any, BeforeValidator(_network)]
"""A network in CIDR notation, or one address."""


def _kind(value: object) -> object:
    kinds = [kind.value for kind in Kind if kind is not Kind.ANONYMOUS]
    if value not in kinds:
        message = "there is no such kind of caller"
        raise wrong(message, did_you_mean(str(value), kinds))
    return Kind(value)


def _standing(value: object) -> object:
    standings = [standing.value for standing in Standing]
    if value not in standings:
        message = "there is no such standing"
        raise wrong(message, did_you_mean(str(value), standings))
    return Standing(value)


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | bool):
        message, fix = "must be text, a whole number, true or false", "quote it if it is text"
        raise wrong(message, fix)
    return value


class MatchPart(Part):
    """Whom an entry is about: an issuer, and exactly one name that it gives, compared as text."""

    issuer: Text
    subject: Text | None = None
    client: Text | None = None
    workload: Text | None = None

    @model_validator(mode="after")
    def _one_name(self) -> MatchPart:
        if sum(name is not None for name in (self.subject, self.workload, self.client)) != 1:
            message, fix = "it must name exactly one of subject, client, workload", "split it into several entries"
            raise wrong(message, fix)
        return self

    @property
    def named(self) -> tuple[How, str]:
        """Return the kind of name, and the name."""
        for how, name in ((How.SUBJECT, self.subject), (How.WORKLOAD, self.workload)):
            if name is not None:
                return how, name
        return How.CLIENT, self.client or ""


class IdentityPart(Part):
    """One entry under `identities`."""

    name: Text
    match: MatchPart
    owner: Text | None = None
    purpose: Text | None = None
    environment: Text | None = None
    kind: Annotated[Kind | None, BeforeValidator(_kind)] = None
    networks: Annotated[tuple[Network, ...], Field(min_length=1)] | None = None
    expires: Moment | None = None
    review_by: Moment | None = None
    peer_group: Text | None = None
    standing: Annotated[Standing, BeforeValidator(_standing)] = Standing.ACTIVE


class BindingPart(Part):
    """One entry under `bindings`, besides who it is for."""

    role: Text
    where: dict[Text, Annotated[Any, BeforeValidator(_scalar)]] = {}
    until: Moment | None = None


class NamedBindingPart(BindingPart):
    """A role for an entry under `identities`, by its name."""

    who: Text


class MatchedBindingPart(BindingPart):
    """A role for somebody who need not have an entry."""

    who: MatchPart
