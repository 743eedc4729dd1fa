"""What each kind of event does: the enforcement table (CAEP 1.0, RISC 1.0). `docs/signals.md` shows it to people.

1. A member that its event requires is there and is valid; otherwise the event is refused, also where we do not need it.
   What we do not know in one that may have other values takes effect as what narrows most.
2. An event about a state (disabled, not compliant, a level of risk) says the whole of it: it puts the state in force
   and lifts the others of its kind, so that the latest event holds in whatever order they arrive.
3. What ends sessions is lifted by no event: who signs in anew, or has new tokens made, is past it; software that is
   named itself waits for a person.
4. What takes nothing away is written down and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.model.restriction import Effect
from extauthz.signals.event_token import refuse
from extauthz.signals.subjects import USER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an event does to those that it is about.

    Attributes:
        puts: in force.
        lifts: what the same stream had put in force.
        principal: the member of a complex subject that it is about.
        problem: why it does nothing although it was meant to; empty when that is not so.
    """

    puts: tuple[Effect, ...] = ()
    lifts: tuple[Effect, ...] = ()
    principal: str = USER
    problem: str = ""


NOTHING: Final = Change()
_REVOKED: Final = Change(puts=(Effect.REVOKED,))
_REAUTHENTICATE: Final = Change(puts=(Effect.REAUTHENTICATE,))
_RISKS: Final[Mapping[str, Change]] = {
    "LOW": Change(lifts=(Effect.RISK_MEDIUM, Effect.RISK_HIGH)),
    "MEDIUM": Change(puts=(Effect.RISK_MEDIUM,), lifts=(Effect.RISK_HIGH,)),
    "HIGH": Change(puts=(Effect.RISK_HIGH,), lifts=(Effect.RISK_MEDIUM,)),
}
_PRINCIPALS: Final = {"USER": USER, "DEVICE": "device", "SESSION": "session", "TENANT": "tenant"}
_ROUTINE_X509: Final = frozenset({"create", "update"})


def _always(change: Change) -> Callable[[Mapping[str, Any]], Change]:
    return lambda _: change


def _claims_change(payload: Mapping[str, Any]) -> Change:
    if not isinstance(payload.get("claims"), dict):
        refuse("`claims` is missing, or is not an object")
    return _REVOKED


def _credential_change(payload: Mapping[str, Any]) -> Change:
    kind = _text(payload, "credential_type")
    change = _one_of(payload, "change_type", ("create", "revoke", "update", "delete"))
    if kind == "x509":
        return NOTHING if change in _ROUTINE_X509 else _REVOKED
    return NOTHING if change == "create" else _REAUTHENTICATE


def _credential_compromise(payload: Mapping[str, Any]) -> Change:
    _text(payload, "credential_type")
    return _REVOKED


def _assurance_change(payload: Mapping[str, Any]) -> Change:
    _text(payload, "namespace")
    _text(payload, "current_level")
    if "change_direction" not in payload:
        return _REAUTHENTICATE
    direction = _one_of(payload, "change_direction", ("increase", "decrease"))
    return NOTHING if direction == "increase" else _REAUTHENTICATE


def _compliance_change(payload: Mapping[str, Any]) -> Change:
    statuses = ("compliant", "not-compliant")
    _one_of(payload, "previous_status", statuses)
    compliant = _one_of(payload, "current_status", statuses) == "compliant"
    noncompliant = (Effect.NONCOMPLIANT,)
    return Change(puts=() if compliant else noncompliant, lifts=noncompliant if compliant else (), principal="device")


def _risk_change(payload: Mapping[str, Any]) -> Change:
    change = _RISKS[_one_of(payload, "current_level", tuple(_RISKS))]
    who = _text(payload, "principal")
    if who not in _PRINCIPALS:
        return Change(problem="the risk is that of something we do not tell callers apart by")
    return Change(puts=change.puts, lifts=change.lifts, principal=_PRINCIPALS[who])


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        refuse(f"`{name}` is missing, or is no text")
    return value


def _one_of(payload: Mapping[str, Any], name: str, values: tuple[str, ...]) -> str:
    value = _text(payload, name)
    if value not in values:
        refuse(f"`{name}` is none of: {', '.join(values)}")
    return value


_KINDS: Final[Mapping[str, Mapping[str, Callable[[Mapping[str, Any]], Change]]]] = {
    CAEP: {
        "session-revoked": _always(_REVOKED),
        "token-claims-change": _claims_change,
        "credential-change": _credential_change,
        "assurance-level-change": _assurance_change,
        "device-compliance-change": _compliance_change,
        "session-established": _always(NOTHING),
        "session-presented": _always(NOTHING),
        "risk-level-change": _risk_change,
    },
    RISC: {
        "account-credential-change-required": _always(_REAUTHENTICATE),
        # Not DISABLED: an account that is gone is not enabled again, so no event lifts this.
        "account-purged": _always(Change(puts=(Effect.QUARANTINED,))),
        "account-disabled": _always(Change(puts=(Effect.DISABLED,))),
        "account-enabled": _always(Change(lifts=(Effect.DISABLED,))),
        "credential-compromise": _credential_compromise,
        "identifier-changed": _always(NOTHING),
        # Its new owner must not be taken for the one who has it no longer.
        "identifier-recycled": _always(_REVOKED),
        "opt-in": _always(NOTHING),
        "opt-out-initiated": _always(NOTHING),
        "opt-out-cancelled": _always(NOTHING),
        "opt-out-effective": _always(NOTHING),
        "recovery-activated": _always(NOTHING),
        "recovery-information-changed": _always(NOTHING),
        "sessions-revoked": _always(_REVOKED),
    },
}

READERS: Final[Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Change]]]] = {
    base + kind: (kind, reader) for base, kinds in _KINDS.items() for kind, reader in kinds.items()
}
"""URI of an event → its kind, and what it does."""
