"""What rules read, as people and machines are shown it: bounded, and without what looks like a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.audit.record import to_rfc3339
from extauthz.audit.redact import to_recorded
from extauthz.clock import Instant
from extauthz.judge import NotRecorded
from extauthz.model.enquiry import Answered
from extauthz.policy.mcpmessage import read_message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extauthz.model.facts import Facts
    from extauthz.policy.rules import Requirement

NOT_KNOWN: Final = "(not known)"
NOT_RECORDED: Final = "(not recorded)"


def to_shown(value: object, name: str = "") -> object:
    """Return a value in texts, numbers, flags, lists and mappings.

    Args:
        value: a fact.
        name: of the member that it is, which tells instants from other numbers.
    """
    if isinstance(value, float) and (name == "until" or name.endswith(("_at", "_time"))):
        return to_rfc3339(Instant(value))
    if isinstance(value, bool | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_shown(getattr(value, each.name), each.name) for each in fields(value)}
    if isinstance(value, Mapping):
        return {to_recorded(str(key)): to_shown(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_shown(each) for each in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return to_recorded(str(value))


def find_values(names: Iterable[str], facts: Facts) -> dict[str, object]:
    """Return facts by their flat names."""
    found: dict[str, object] = {}
    for name in names:
        try:
            found[name] = to_shown(facts.variables[name]) if name in facts.variables else _of_identity(name, facts)
        except NotRecorded:
            found[name] = NOT_RECORDED
    return found


def find_values_of(requirement: Requirement, facts: Facts) -> dict[str, object]:
    """Return what a requirement that was asked has read: facts, changeable ones, the answer of others, the message."""
    found = find_values(sorted(requirement.reads), facts)
    for name in requirement.needs(facts):
        try:
            fact = facts.state.get(name)
            found[f"state.{name.kind}"] = NOT_KNOWN if fact is None else to_shown(fact)
        except NotRecorded:
            found[f"state.{name.kind}"] = NOT_RECORDED
    if requirement.kind == "mcp":
        found["mcp"] = to_shown(read_message(facts.request))
    answered = facts.said.get(requirement)
    if isinstance(answered, Answered):
        found["answer"] = to_shown(answered.said)
    return found


def _of_identity(name: str, facts: Facts) -> object:
    """Return what is known of the caller and is no variable, such as the instant of a sign-in."""
    side, _, member = name.partition(".")
    party: Any = {"identity": facts.identity, "actor": facts.identity.actor}.get(side)
    value = getattr(party, member, None)
    return NOT_KNOWN if value in (None, "", (), frozenset()) else to_shown(value, member)
