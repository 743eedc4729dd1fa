"""What has been taken away from somebody after login: revoked, quarantined, disabled, believed less.

A restriction is about a target and comes from a source that has the authority for it. It narrows what its target may
do; only its own source, or a person, lifts it again. What is lifted stays known until it can be forgotten, so that an
older event that arrives late cannot bring it back or do away with a newer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from extauthz.model.state import StateName

if TYPE_CHECKING:
    from extauthz.clock import Instant

OPERATOR: Final = "operator"
"""The source of what people do by hand. Streams are the sources `stream NAME`."""


class Form(StrEnum):
    """What sort of target."""

    TOKEN = "token"  # noqa: S105 — a form of target, not a password
    """One credential: issuer and `jti`, or the id of an API key."""
    SESSION = "session"
    """Issuer and `sid`."""
    SUBJECT = "subject"
    """Issuer and `sub`."""
    CLIENT = "client"
    """Issuer and OAuth client."""
    WORKLOAD = "workload"
    """The stable workload key (`Identity.workload`); its issuer is part of it, so `issuer` is empty."""
    DEVICE = "device"
    """Issuer and `Identity.device`."""
    CERTIFICATE = "certificate"
    """The SHA-256 thumbprint of a client certificate, lower-case hexadecimal; `issuer` is empty."""
    TENANT = "tenant"
    """Issuer and tenant."""
    ISSUER = "issuer"
    """Everybody of one issuer; `value` is empty."""
    EVERYBODY = "everybody"
    """Issuer and value are empty."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Whom a restriction is about.

    Attributes:
        form: what sort of target.
        issuer: who named it; empty where the form says so.
        value: its name there.
    """

    form: Form
    issuer: str = ""
    value: str = ""

    @property
    def name(self) -> StateName:
        """Return the name of all restrictions on this target. No issuer has a space in it."""
        return StateName("restriction", f"{self.form.value} {self.issuer} {self.value}")


class Effect(StrEnum):
    """What a restriction does."""

    REVOKED = "revoked"
    """Credentials issued, or signed in for, at or before `event_at` are refused. A machine that is named as subject,
    client or workload is refused until this is lifted: whoever stole its secret can have new tokens made."""
    REAUTHENTICATE = "reauthenticate"
    """People who signed in at or before `event_at` have to sign in anew; machines as with `REVOKED`."""
    QUARANTINED = "quarantined"
    """Refused until lifted."""
    DISABLED = "disabled"
    """Switched off where the identity lives; refused until lifted."""
    NONCOMPLIANT = "noncompliant"
    """Not in order: the posture requirement is not met, whatever else is known."""
    RISK_MEDIUM = "risk_medium"
    """The risk is at least medium."""
    RISK_HIGH = "risk_high"
    """The risk is high."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """One thing that one source says about one target.

    Attributes:
        mark: whom it is about.
        also: further targets that all have to be met; one that a caller says nothing about is met (SSF 1.0, complex
            subjects: a member that is missing on either side matches anything).
        effect: what it does.
        source: who says so; `OPERATOR`, or `stream NAME`.
        event_at: when it happened, by the source's word. Of two that differ in nothing else, the later holds.
        until: first instant at which it can be forgotten; None as long as it is in force.
        in_force: False when it is lifted.
        signal: id of the event or action that it comes from.
        by: who did it, or lifted it, for people.
        reason: why, for people.
    """

    mark: Mark
    also: tuple[Mark, ...] = ()
    effect: Effect
    source: str
    event_at: Instant
    until: Instant | None = None
    in_force: bool = True
    signal: str = ""
    by: str = ""
    reason: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what is the same for all that one source says about one effect on one target: one row of the state."""
        marks = (self.mark, *sorted(self.also, key=lambda mark: mark.name.of))
        return (self.source, self.effect.value, *(mark.name.of for mark in marks))

    def succeeds(self, before: Restriction) -> bool:
        """Return whether this takes the place of what the same source said before; of two at once the narrower does."""
        if self.event_at != before.event_at:
            return self.event_at > before.event_at
        return self.in_force and not before.in_force
