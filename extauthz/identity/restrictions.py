"""What was taken away after login: whom it concerns, and what it means for a proven caller at this instant.

1. The names of everything that could concern the caller are noted before anything is looked at: how fresh the state and
   the signals are, and each target that the caller is.
2. Nothing is believed that is not fresh. A resource may say that it goes on with what is known.
3. A restriction concerns a caller that is its target, and everything else that it names; what the caller says nothing
   about counts as met, since nobody can show that somebody else is meant (SSF 1.0, complex subjects).
4. A quarantine refuses, and so does being switched off, until somebody lifts it.
5. Software that is named itself, as subject, client or workload, is refused until somebody lifts it also where its
   credentials were revoked: whoever stole its secret would have new ones made.
6. A revoked token or certificate is refused whatever its times say; its name is the name of one credential.
7. Any other revocation ends what was issued, or signed in for, at or before it. `iat` has whole seconds, so what was
   issued in the same second is ended too, and so is what says neither. A session begins anew by a sign-in only: a token
   of it that is merely newer may have been refreshed by whoever took it over.
8. People who have to sign in anew are told so, in a way that their next sign-in satisfies.

The gravest of several counts. Non-compliance and risk refuse nobody by themselves: they are returned, for rules that
ask. Nobody (`credential: none`) has nothing that could be revoked; a quarantine of everybody refuses them too.
"""

from __future__ import annotations

import math
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extauthz.errors import Refusal
from extauthz.model.identity import Credential, Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.model.restriction import Effect, Form, Mark
from extauthz.model.state import FRESH_STATE, fresh_signals
from extauthz.model.verdict import StepUp
from extauthz.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.clock import Instant
    from extauthz.ledger import Ledger
    from extauthz.model.restriction import Restriction
    from extauthz.ports import RestrictionSource

EVERYBODY: Final = Mark(Form.EVERYBODY)

_GRAVEST_FIRST: Final = (
    Reason.IDENTITY_QUARANTINED,
    Reason.IDENTITY_DISABLED,
    Reason.TOKEN_REVOKED,
    Reason.SESSION_REVOKED,
    Reason.STEP_UP_REQUIRED,
)
_DETAILS: Final = {
    Reason.IDENTITY_QUARANTINED: "Ask the owner of the identity.",
    Reason.IDENTITY_DISABLED: "Ask the owner of the identity.",
    Reason.TOKEN_REVOKED: "Have a new credential made.",
    Reason.SESSION_REVOKED: "Sign in again, or request a new token.",
    Reason.STEP_UP_REQUIRED: "Sign in again as the challenge says.",
}
_SPIFFE: Final = "spiffe://"
_REVOKES: Final = frozenset({Effect.REVOKED, Effect.REAUTHENTICATE})
_ONE_CREDENTIAL: Final = frozenset({Form.TOKEN, Form.CERTIFICATE})
_SOFTWARE: Final = frozenset({Form.CLIENT, Form.WORKLOAD})
_ONE_USE: Final = frozenset({Form.TOKEN, Form.SESSION})


@dataclass(frozen=True, slots=True)
class Trust:
    """What a resource believes although it may be old.

    Attributes:
        stale_proceeds: it goes on with a state that may be too old.
        signals_optional: it goes on while who reports about the caller is not heard.
    """

    stale_proceeds: bool = False
    signals_optional: bool = False


FRESH_ONLY: Final = Trust()


def require_unrestricted(
    identity: Identity, at: Instant, trust: Trust = FRESH_ONLY, *, restrictions: RestrictionSource, ledger: Ledger
) -> tuple[Restriction, ...]:
    """Return what concerns the caller and refuses nothing by itself, for the rules that ask about it.

    Args:
        identity: a proven caller, or nobody.
        at: the instant of the decision.
        trust: what the resource believes.
        restrictions: what was taken away.
        ledger: takes the names of everything that is looked at.

    Raises:
        Refusal: something refuses the caller, or what would is not known well enough (`state_stale`, `signals_stale`,
            `evidence_unavailable`).
    """
    if restrictions is NOTHING:  # Without a state nothing can be taken away, and nothing grows old.
        return ()
    marks = marks_of(identity)
    issuers = tuple(dict.fromkeys(party.issuer for party in identity.involved if party.issuer))
    # 1. Names first.
    ledger.note(FRESH_STATE, *[fresh_signals(issuer) for issuer in issuers], *[mark.name for mark in marks])
    # 2. Fresh enough to be believed.
    if not trust.stale_proceeds and not restrictions.is_state_fresh(at):
        raise Refusal(Reason.STATE_STALE, "Try again shortly.")
    for issuer in issuers:
        if not trust.signals_optional and not restrictions.are_signals_fresh(issuer, at):
            raise Refusal(Reason.SIGNALS_STALE, "Try again shortly.", inner=f"about callers of {issuer}")
    # 3. What concerns this caller.
    found = tuple(each for each in restrictions.find_restrictions(marks, at) if _concerns(each, marks))
    # 4. to 8. What that means; the gravest counts.
    meanings = [(reason, each) for each in found if (reason := _meaning(each, identity)) is not None]
    for reason, each in sorted(meanings, key=lambda meaning: _GRAVEST_FIRST.index(meaning[0])):
        again = (_sign_in_after(each.event_at, at),) if reason is Reason.STEP_UP_REQUIRED else ()
        inner = f"{each.effect.value} as {each.mark.form.value} by {each.source}, {each.signal or 'unnamed'}"
        raise Refusal(reason, _DETAILS[reason], remedies=again, inner=inner)
    return found


def marks_of(identity: Identity) -> tuple[Mark, ...]:
    """Return every target that a caller is, itself and everybody that it acts for; each once."""
    return tuple(dict.fromkeys(_marks_of(identity)))


def _marks_of(identity: Identity) -> Iterator[Mark]:
    issuer = identity.subject.issuer
    if issuer:
        for party in identity.involved:
            yield from _marks_of_party(party)
        own = (
            (Form.SESSION, identity.session),
            (Form.TOKEN, identity.token_id),
            (Form.TENANT, identity.tenant),
            (Form.DEVICE, identity.device),
        )
        for form, value in own:
            if value:
                yield Mark(form, issuer, value)
        actors = identity.involved[1:]
        for workload in (identity.workload, *map(_workload_of, actors)):
            if workload:
                yield Mark(Form.WORKLOAD, "", workload)
        if thumbprint := _find_thumbprint(identity):
            yield Mark(Form.CERTIFICATE, "", thumbprint)
    yield EVERYBODY


def _marks_of_party(party: Principal) -> Iterator[Mark]:
    yield Mark(Form.SUBJECT, party.issuer, party.subject)
    if party.client:
        yield Mark(Form.CLIENT, party.issuer, party.client)
    yield Mark(Form.ISSUER, party.issuer)


def _workload_of(actor: Principal) -> str:
    """Return the stable key that an actor has when it comes by itself."""
    if actor.subject.startswith(_SPIFFE):
        return actor.subject
    return f"{actor.issuer}|{actor.client or actor.subject}"


def _find_thumbprint(identity: Identity) -> str:
    """Return the thumbprint of the certificate that proved the caller, or that its token is bound to; else empty."""
    if identity.credential is Credential.CERTIFICATE:
        return identity.token_id
    confirmation = identity.claims.get("cnf")
    bound = confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None
    if not isinstance(bound, str):
        return ""
    try:
        return urlsafe_b64decode(bound + "=" * (-len(bound) % 4)).hex()
    except (Base64Error, ValueError):
        return ""


def _concerns(restriction: Restriction, marks: tuple[Mark, ...]) -> bool:
    """Return whether a caller is the target of a restriction, and all else that it names."""
    said = {(mark.form, mark.issuer) for mark in marks}
    return restriction.mark in marks and all(
        mark in marks or (mark.form, mark.issuer) not in said for mark in restriction.also
    )


def _meaning(restriction: Restriction, identity: Identity) -> Reason | None:  # noqa: PLR0911 — the list above
    """Return why a restriction refuses the caller that it concerns; None when it does not."""
    effect, form = restriction.effect, restriction.mark.form
    if effect is Effect.QUARANTINED:
        return Reason.IDENTITY_QUARANTINED
    if effect is Effect.DISABLED:
        return Reason.IDENTITY_DISABLED
    if effect not in _REVOKES or not identity.subject.issuer:
        return None
    if _names_software(restriction, identity):
        return Reason.IDENTITY_QUARANTINED
    signs_in = effect is Effect.REAUTHENTICATE and identity.human
    if form in _ONE_CREDENTIAL and not signs_in:
        return Reason.TOKEN_REVOKED
    if _begins_after(identity, restriction):
        return None
    return Reason.STEP_UP_REQUIRED if signs_in else Reason.SESSION_REVOKED


def _names_software(restriction: Restriction, identity: Identity) -> bool:
    """Return whether a restriction is about software itself, and neither about a person nor about one of its uses."""
    named = (restriction.mark, *restriction.also)
    if any(mark.form in _ONE_USE for mark in named):
        return False
    kinds = [party.kind for party in identity.involved if Mark(Form.SUBJECT, party.issuer, party.subject) in named]
    return Kind.USER not in kinds if kinds else any(mark.form in _SOFTWARE for mark in named)


def _begins_after(identity: Identity, restriction: Restriction) -> bool:
    """Return whether the credential says that it was issued, and signed in for, after the event."""
    if restriction.mark.form is Form.SESSION and identity.auth_time is None:
        return False
    said = [instant for instant in (identity.auth_time, identity.issued_at) if instant is not None]
    return bool(said) and min(said) > restriction.event_at


def _sign_in_after(moment: Instant, at: Instant) -> StepUp:
    """Return a demand that every sign-in up to `moment` fails, now and later, and every one from now on meets."""
    return StepUp(max_age=max(0, math.ceil(at - moment) - 1))
