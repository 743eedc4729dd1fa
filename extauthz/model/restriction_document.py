"""Restrictions as JSON documents: between processes, between machines, and where they wait for a person."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.model.restriction import Effect, Form, Mark, Restriction

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXTS = ("signal", "by", "reason")


def to_document(restriction: Restriction) -> dict[str, Any]:
    """Return a restriction as a JSON document; `from_document` returns an equal one."""
    return {
        **to_mark_document(restriction.mark),
        "also": [to_mark_document(mark) for mark in restriction.also],
        "effect": restriction.effect.value,
        "source": restriction.source,
        "event_at": restriction.event_at,
        "until": restriction.until,
        "in_force": restriction.in_force,
        **{name: getattr(restriction, name) for name in _TEXTS},
    }


def to_mark_document(mark: Mark) -> dict[str, str]:
    """Return a mark as a JSON document."""
    return {"form": mark.form.value, "issuer": mark.issuer, "value": mark.value}


def from_document(document: object) -> Restriction:
    """Return the restriction of a document.

    Raises:
        ValueError: it is none; the message names the member.
    """
    members = _mapping(document)
    also, in_force, until = members.get("also", []), members.get("in_force", True), members.get("until")
    if not isinstance(also, list):
        message = "`also` is not a list"
        raise ValueError(message)  # noqa: TRY004 — a bad document, like the others
    if not isinstance(in_force, bool):
        message = "`in_force` is neither true nor false"
        raise ValueError(message)  # noqa: TRY004 — a bad document, like the others
    return Restriction(
        mark=from_mark_document(members),
        also=tuple(from_mark_document(each) for each in also),
        effect=Effect(_text(members, "effect")),
        source=_text(members, "source"),
        event_at=_instant(members, "event_at"),
        until=None if until is None else _instant(members, "until"),
        in_force=in_force,
        **{name: _text(members, name, "") for name in _TEXTS},
    )


def from_mark_document(document: object) -> Mark:
    """Return the mark of a document; members that are not a mark's are not looked at.

    Raises:
        ValueError: it is none; the message names the member.
    """
    members = _mapping(document)
    issuer = _text(members, "issuer", "")
    if " " in issuer:
        message = "`issuer` has a space in it"
        raise ValueError(message)
    return Mark(Form(_text(members, "form")), issuer, _text(members, "value", ""))


def _mapping(document: object) -> Mapping[str, object]:
    if not isinstance(document, dict):
        message = "it is no JSON object"
        raise ValueError(message)  # noqa: TRY004 — a bad document, like the others
    return document


def _text(members: Mapping[str, object], name: str, default: str | None = None) -> str:
    text = members.get(name, default)
    if not isinstance(text, str):
        message = f"`{name}` is not a text"
        raise ValueError(message)  # noqa: TRY004 — a bad document, like the others
    return text


def _instant(members: Mapping[str, object], name: str) -> Instant:
    number = members.get(name)
    if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
        message = f"`{name}` is not a number"
        raise ValueError(message)
    return Instant(float(number))
