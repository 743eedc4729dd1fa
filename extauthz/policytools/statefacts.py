"""Changeable facts as cases state them → the frozen values that requirements look for.

One table says which value each kind of fact is; its fields are the members that a case may give, by their types.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from extauthz.clock import Instant
from extauthz.model.identity import Kind
from extauthz.model.restriction import OPERATOR, Restriction
from extauthz.model.standing_facts import (
    Approval,
    Familiarity,
    Posture,
    Risk,
    SessionUse,
    Task,
    Ticket,
    WorkflowPlace,
)
from extauthz.model.state import StateName
from extauthz.policytools.formerror import FormError
from extauthz.policytools.moments import parse_moment
from extauthz.validation import did_you_mean

STATE_VALUES: Final[dict[str, type]] = {
    "approval": Approval,
    "ticket": Ticket,
    "posture": Posture,
    "task": Task,
    "session": SessionUse,
    "risk": Risk,
    "familiar": Familiarity,
    "workflow": WorkflowPlace,
}
"""Kind of fact → the dataclass of `model/` that it is."""

_RESTRICTION: Final = "restriction"
_MARK_WORDS: Final = 3

_NAMES: Final[dict[str, Any]] = {"Instant": Instant, "Kind": Kind, "Mapping": Mapping, "StateName": StateName}
"""What the fields' annotations may name besides what their modules import at run time."""


def to_state(form: Mapping[str, Mapping[str, Any]], at: Instant) -> dict[StateName, object]:
    """Return changeable facts by name.

    Args:
        form: kind, then whose, then the fact.
        at: the instant of the decision, which durations count from.

    Raises:
        FormError: there is no such kind, or the fact does not have that form.
    """
    found: dict[StateName, object] = {}
    for kind, owners in form.items():
        if kind == _RESTRICTION:
            found.update({StateName(kind, target): _restriction(target, said, at) for target, said in owners.items()})
            continue
        value_type = STATE_VALUES.get(kind)
        if value_type is None:
            message = f"there is no state `{kind}`"
            raise FormError(("state", kind), message, did_you_mean(kind, (*STATE_VALUES, _RESTRICTION)))
        for owner, fact in owners.items():
            found[StateName(kind, owner)] = _build(value_type, fact, at, ("state", kind, owner))
    return found


def _restriction(target: str, form: Any, at: Instant) -> object:
    """Return what was taken away from a target; by hand, and just now, unless the form says otherwise."""
    path = ("state", _RESTRICTION, target)
    words = target.split(" ", 2)
    if len(words) != _MARK_WORDS:
        message = "not a target"
        raise FormError(path, message, "write `subject ISSUER NAME`; with two spaces where the form has no issuer")
    if not isinstance(form, Mapping) or "mark" in form:
        message = "must be a mapping of `effect`, and where it matters `event_at`, `also`, `source`"
        raise FormError(path, message)
    mark = dict(zip(("form", "issuer", "value"), words, strict=True))
    whole = {"mark": mark, "source": OPERATOR, "event_at": "-0s", **form}
    return _build(Restriction, whole, at, path)


def _build(value_type: type, form: Any, at: Instant, path: tuple[str, ...]) -> object:
    """Return a dataclass made of a mapping, each member converted to its field's type."""
    if not isinstance(form, Mapping):
        message = "must be a mapping"
        raise FormError(path, message, "write `key: value` lines")
    hints = get_type_hints(value_type, localns=_NAMES)
    fields = {each.name: each for each in dataclasses.fields(value_type) if each.init}
    for name in form:
        if name not in fields:
            message = f"unknown key `{name}`"
            raise FormError((*path, name), message, did_you_mean(name, fields))
    missing = [name for name, each in fields.items() if name not in form and _is_required(each)]
    if missing:
        message = f"`{missing[0]}` is missing"
        raise FormError(path, message, "add it")
    return value_type(**{name: _convert(hints[name], value, at, (*path, name)) for name, value in form.items()})


def _is_required(each: dataclasses.Field[Any]) -> bool:
    return each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING


def _convert(wanted: Any, value: Any, at: Instant, path: tuple[str, ...]) -> Any:
    """Return `value` as the type `wanted`."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in {Union, types.UnionType}:
        inner = [each for each in arguments if each is not type(None)]
        return None if value is None else _convert(inner[0] if len(inner) == 1 else Any, value, at, path)
    if origin in {tuple, frozenset}:
        return origin(_convert(arguments[0], each, at, path) for each in _listed(value, path))
    if wanted is Instant:
        return _moment(value, at, path)
    if isinstance(wanted, type):
        return _plain(wanted, value, at, path)
    return value


def _plain(wanted: type, value: Any, at: Instant, path: tuple[str, ...]) -> object:
    if dataclasses.is_dataclass(wanted):
        return _build(wanted, value, at, path)
    if issubclass(wanted, Enum):
        return _member(wanted, value, path)
    fits = type(value) is wanted or (wanted is float and type(value) is int)
    if wanted in _NOUNS and not fits:
        message = f"must be {_NOUNS[wanted]}"
        raise FormError(path, message)
    return value


_NOUNS: Final[dict[Any, str]] = {str: "text", int: "a whole number", bool: "true or false", float: "a number"}


def _moment(value: Any, at: Instant, path: tuple[str, ...]) -> Instant:
    try:
        return parse_moment(str(value), at)
    except ValueError as error:
        raise FormError(path, str(error)) from error


def _listed(value: Any, path: tuple[str, ...]) -> list[Any]:
    if not isinstance(value, list):
        message = "must be a list"
        raise FormError(path, message, "write `[...]`")
    return value


def _member(wanted: type[Enum], value: Any, path: tuple[str, ...]) -> Enum:
    values = [member.value for member in wanted]
    if value not in values:
        message = f"`{value}` is none of its values"
        raise FormError(path, message, did_you_mean(str(value), values))
    return wanted(value)
