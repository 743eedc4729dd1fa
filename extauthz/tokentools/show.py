"""An inspected token for people and for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from extauthz.audit.redact import to_recorded
from extauthz.tokentools.steps import NOT_MADE, PASSED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.clock import Instant
    from extauthz.model.identity import Identity, Principal
    from extauthz.model.registry import Declared, Registration, RoleBinding
    from extauthz.tokentools.inspection import Inspection
    from extauthz.tokentools.steps import Step

_MARKS: Final = {PASSED: "ok", REFUSED: "REFUSED", NOT_MADE: "not made"}

_TIMES: Final = frozenset({"exp", "iat", "nbf", "auth_time"})


def to_document(found: Inspection, now: Instant) -> dict[str, Any]:
    """Return the inspection as JSON. Header and claims are what the token says, verified or not."""
    return {
        "accepted": found.accepted,
        "at": _instant(now),
        "profile": found.profile,
        "reason": found.reason or None,
        "missing": found.missing or None,
        "unverified_header": dict(found.header),
        "unverified_claims": dict(found.claims),
        "steps": [_step(step) for step in found.steps],
        "identity": _identity(found.identity) if found.identity is not None else None,
        "registry": [_declared(party, about) for party, about in _parties(found)],
    }


def lines_of(found: Inspection, now: Instant) -> Iterator[str]:
    """Yield the inspection for people, line by line."""
    if found.claims or found.header:
        yield "What the token says (anybody could have written this):"
        said = (*found.header.items(), *found.claims.items())
        yield from (f"  {_plain(name):<14} {_said(name, value)}" for name, value in said)
    else:
        yield "The token is not a JWT that can be read; only its issuer knows what it says."
    yield ""
    yield f"Checks by the profile `{found.profile}`, as of {_instant(now)}:"
    for step in found.steps:
        yield f"  {_MARKS[step.outcome]:<9} {step.name}"
        yield from (f"            {text}" for text in (step.reason, step.inner, step.detail) if text)
    if found.identity is not None:
        yield ""
        yield "Whom it proves:"
        yield from (f"  {name:<14} {_plain(value)}" for name, value in _identity(found.identity).items())
    for party, about in _parties(found):
        yield from _registry_lines(party, about)
    yield ""
    yield _outcome(found)


def _outcome(found: Inspection) -> str:
    if found.reason:
        return f"REFUSED: {found.reason}"
    if found.missing:
        return f"NOT DECIDED: {found.missing}"
    if any(step.outcome == NOT_MADE for step in found.steps):
        return "ACCEPTED as far as it could be checked; policy decides what the caller may do."
    return "ACCEPTED; policy decides what the caller may do."


def _step(step: Step) -> dict[str, Any]:
    told = {"reason": step.reason, "inner": step.inner, "detail": step.detail}
    return {"step": step.name, "outcome": step.outcome, **{name: text for name, text in told.items() if text}}


def _identity(identity: Identity) -> dict[str, Any]:
    known: dict[str, Any] = {
        "subject": _party(identity.subject),
        "actor": _party(identity.actor) if identity.actor is not None else None,
        "chain": [_party(party) for party in identity.chain],
        "tenant": identity.tenant,
        "session": identity.session,
        "workload": identity.workload,
        "environment": identity.environment,
        "device": identity.device,
        "scopes": sorted(identity.scopes),
        "groups": sorted(identity.groups),
        "acr": identity.acr,
        "auth_time": _instant(identity.auth_time),
        "amr": list(identity.amr),
        "authorization_details": [each["type"] for each in identity.authorization_details],
        "binding": identity.binding.value,
        "accepted_until": _instant(identity.accepted_until),
    }
    return {name: _shown(value) for name, value in known.items() if value}


def _party(party: Principal) -> dict[str, Any]:
    known = {
        "issuer": party.issuer,
        "subject": party.subject,
        "kind": party.kind.value if party.kind is not None else "",
        "client": party.client,
        "roles": sorted(party.roles),
    }
    return {name: _shown(value) for name, value in known.items() if value}


def _parties(found: Inspection) -> list[tuple[Principal, Declared]]:
    if found.identity is None:
        return []
    return list(zip(found.identity.involved, found.declared, strict=False))


def _declared(party: Principal, about: Declared) -> dict[str, Any]:
    return {
        "party": _party(party),
        "entries": [_entry(entry) for entry in about.entries],
        "bindings": [_binding(binding) for binding in about.bindings],
    }


def _entry(entry: Registration) -> dict[str, Any]:
    known = {
        "name": entry.name,
        "owner": entry.owner,
        "standing": entry.standing.value,
        "environment": entry.environment,
        "networks": [str(network) for network in entry.networks],
        "expires": _instant(entry.expires_at),
    }
    return {name: value for name, value in known.items() if value}


def _binding(binding: RoleBinding) -> dict[str, Any]:
    return {"role": binding.role, "where": dict(binding.where), "until": _instant(binding.until)}


def _registry_lines(party: Principal, about: Declared) -> Iterator[str]:
    yield ""
    yield f"What the registry says about {_plain(to_recorded(party.subject))}:"
    if not about.entries and not about.bindings:
        yield "  nothing"
    for entry in about.entries:
        yield "  " + ", ".join(f"{name} {_plain(value)}" for name, value in _entry(entry).items())
    for binding in about.bindings:
        where = ", ".join(f"{name} is {value}" for name, value in binding.where.items())
        until = f", until {_instant(binding.until)}" if binding.until is not None else ""
        yield f"  role {binding.role} {f'where {where}' if where else 'everywhere'}{until}"


def _said(name: str, value: Any) -> str:
    if name in _TIMES and isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value} ({_moment(value)})"
    return _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return to_recorded(value)
    return [_shown(each) for each in value] if isinstance(value, list) else value


def _moment(seconds: float) -> str:
    try:
        return _instant(seconds) or ""
    except (ValueError, OverflowError, OSError):
        return "not a time"


def _instant(at: float | None) -> str | None:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else None
