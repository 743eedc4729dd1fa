"""What was taken away after login: every rule of `restrictions.py`, for every form of target and every effect."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.identity.apikey import ISSUER as API_KEYS
from extauthz.identity.restrictions import EVERYBODY, FRESH_ONLY, Trust, marks_of, require_unrestricted
from extauthz.ledger import Ledger
from extauthz.model.identity import ANONYMOUS, Credential, Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from extauthz.model.state import FRESH_STATE, fresh_signals
from extauthz.model.verdict import StepUp
from extauthz.nothing import NOTHING
from tests.simulators.tokens import ISSUER, NOW, MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHER: Final = "https://other.example"
PERSON = Principal(issuer=ISSUER, subject="alice", kind=Kind.USER, client="app")
BOT = Principal(issuer=OTHER, subject="bot", kind=Kind.AGENT, client="bot-client")
ALICE = Identity(
    subject=PERSON,
    tenant="acme",
    session="s-1",
    token_id="t-1",
    workload=f"{ISSUER}|app",
    device="d-1",
    auth_time=Instant(NOW - 100),
    issued_at=Instant(NOW - 50),
    claims={"cnf": {"x5t#S256": "AAEC"}},
)
CI = replace(ALICE, subject=replace(PERSON, kind=Kind.CI, subject="runner"))
MARKS: Final = {
    Form.TOKEN: Mark(Form.TOKEN, ISSUER, "t-1"),
    Form.SESSION: Mark(Form.SESSION, ISSUER, "s-1"),
    Form.SUBJECT: Mark(Form.SUBJECT, ISSUER, "alice"),
    Form.CLIENT: Mark(Form.CLIENT, ISSUER, "app"),
    Form.WORKLOAD: Mark(Form.WORKLOAD, "", f"{ISSUER}|app"),
    Form.DEVICE: Mark(Form.DEVICE, ISSUER, "d-1"),
    Form.CERTIFICATE: Mark(Form.CERTIFICATE, "", "000102"),
    Form.TENANT: Mark(Form.TENANT, ISSUER, "acme"),
    Form.ISSUER: Mark(Form.ISSUER, ISSUER),
    Form.EVERYBODY: EVERYBODY,
}
RUNNER = {**MARKS, Form.SUBJECT: Mark(Form.SUBJECT, ISSUER, "runner")}
SOFTWARE = frozenset({Form.SUBJECT, Form.CLIENT, Form.WORKLOAD})
ONE_CREDENTIAL = frozenset({Form.TOKEN, Form.CERTIFICATE})


@dataclass
class Source:
    """Restrictions, and what was in the ledger when they were looked at."""

    restrictions: tuple[Restriction, ...] = ()
    fresh: bool = True
    silent: str = ""
    ledger: Ledger = field(default_factory=lambda: Ledger(MemoryKeys()))
    noted: list[set[str]] = field(default_factory=list)

    def find_restrictions(self, marks: Sequence[Mark], at: Instant) -> tuple[Restriction, ...]:
        """Return those on any of `marks`; see `ports.RestrictionSource`."""
        self._look()
        return tuple(each for each in self.restrictions if each.mark in marks and (each.until or at + 1) > at)

    def is_state_fresh(self, at: Instant) -> bool:
        """See `ports.RestrictionSource`."""
        del at
        self._look()
        return self.fresh

    def are_signals_fresh(self, issuer: str, at: Instant) -> bool:
        """See `ports.RestrictionSource`."""
        del at
        self._look()
        return issuer != self.silent

    def _look(self) -> None:
        self.noted.append({name.of for name in self.ledger.names})


def taken(mark: Mark, effect: Effect, ago: float = 0, **others: Any) -> Restriction:
    """Return what was taken away so many seconds ago."""
    fields: dict[str, Any] = {"source": OPERATOR, "event_at": Instant(NOW - ago), "signal": "s-7", **others}
    return Restriction(mark=mark, effect=effect, **fields)


def refusal_of(
    identity: Identity, *restrictions: Restriction, trust: Trust = FRESH_ONLY, **source: Any
) -> Refusal | None:
    """Return why a caller is refused; None when it is not."""
    given = Source(restrictions, **source)
    try:
        require_unrestricted(identity, NOW, trust, restrictions=given, ledger=given.ledger)
    except Refusal as refusal:
        return refusal
    return None


def reason_of(identity: Identity, *restrictions: Restriction, **arguments: Any) -> Reason | None:
    """Return the reason of that."""
    refusal = refusal_of(identity, *restrictions, **arguments)
    return refusal.reason if refusal is not None else None


def test_a_caller_is_every_target_that_its_evidence_names() -> None:
    """Subject, actor and chain with their issuers; the rest belongs to the credential."""
    earlier = Principal(issuer=ISSUER, subject="planner")
    marks = marks_of(replace(ALICE, actor=BOT, chain=(earlier, PERSON)))
    assert set(marks) == {
        *MARKS.values(),
        Mark(Form.SUBJECT, OTHER, "bot"),
        Mark(Form.CLIENT, OTHER, "bot-client"),
        Mark(Form.ISSUER, OTHER),
        Mark(Form.SUBJECT, ISSUER, "planner"),
        Mark(Form.WORKLOAD, "", f"{OTHER}|bot-client"),
        Mark(Form.WORKLOAD, "", f"{ISSUER}|planner"),
    }
    assert len(set(marks)) == len(marks)


def test_a_workload_is_refused_as_actor_too() -> None:
    """By the key that it has when it comes by itself; an SVID's is its SPIFFE ID."""
    svid = "spiffe://example.org/ns/a/sa/b"
    delegated = replace(ALICE, actor=Principal(issuer="spiffe://example.org", subject=svid), chain=(BOT,))
    for key in (svid, f"{OTHER}|bot-client"):
        mark = Mark(Form.WORKLOAD, "", key)
        word = Restriction(mark=mark, effect=Effect.QUARANTINED, source=OPERATOR, event_at=Instant(NOW))
        with pytest.raises(Refusal) as caught:
            require_unrestricted(delegated, NOW, restrictions=Source((word,)), ledger=Ledger(MemoryKeys()))
        assert caught.value.reason is Reason.IDENTITY_QUARANTINED


def test_what_a_caller_says_nothing_about_it_is_not() -> None:
    """And nobody is everybody, no more."""
    bare = Identity(subject=Principal(issuer=ISSUER, subject="x"))
    assert marks_of(bare) == (Mark(Form.SUBJECT, ISSUER, "x"), Mark(Form.ISSUER, ISSUER), EVERYBODY)
    assert marks_of(ANONYMOUS) == (EVERYBODY,)


def test_an_api_key_is_a_token_by_its_public_part() -> None:
    """Under the issuer of our own keys."""
    key = Identity(subject=Principal(issuer=API_KEYS, subject="nightly"), token_id="k1", credential=Credential.API_KEY)
    assert Mark(Form.TOKEN, API_KEYS, "k1") in marks_of(key)


def test_a_certificate_that_proves_its_caller_is_a_target() -> None:
    """By the thumbprint that people write."""
    workload = replace(CI, credential=Credential.CERTIFICATE, token_id="ab" * 32, claims={})
    assert Mark(Form.CERTIFICATE, "", "ab" * 32) in marks_of(workload)


@pytest.mark.parametrize("confirmation", [{"jkt": "x"}, {"x5t#S256": 7}, {"x5t#S256": "A"}, "text"])
def test_what_is_bound_to_no_certificate_has_none(confirmation: object) -> None:
    """A thumbprint that cannot be read names none; the binding itself is checked elsewhere."""
    marks = marks_of(replace(ALICE, claims={"cnf": confirmation}))
    assert not [mark for mark in marks if mark.form is Form.CERTIFICATE]


def test_every_name_is_noted_before_anything_is_looked_at() -> None:
    """A change in between must not go unnoticed."""
    source = Source()
    identity = replace(ALICE, actor=BOT)
    assert require_unrestricted(identity, NOW, restrictions=source, ledger=source.ledger) == ()
    expected = {
        FRESH_STATE.of,
        fresh_signals(ISSUER).of,
        fresh_signals(OTHER).of,
        *(mark.name.of for mark in marks_of(identity)),
    }
    assert source.noted == [expected] * 4
    assert {name.kind for name in source.ledger.names} == {"freshness", "restriction"}


def test_without_a_state_nothing_is_noted_and_nothing_refused() -> None:
    """There is nothing that could change."""
    ledger = Ledger(MemoryKeys())
    assert require_unrestricted(ALICE, NOW, restrictions=NOTHING, ledger=ledger) == ()
    assert ledger.names == ()


@pytest.mark.parametrize("identity", [ALICE, CI, ANONYMOUS])
def test_a_state_that_is_too_old_is_not_believed(identity: Identity) -> None:
    """Unless the resource goes on; what is known counts then."""
    quarantine = taken(EVERYBODY, Effect.QUARANTINED)
    going_on = Trust(stale_proceeds=True)
    assert reason_of(identity, fresh=False) is Reason.STATE_STALE
    assert reason_of(identity, quarantine, fresh=False) is Reason.STATE_STALE
    assert reason_of(identity, fresh=False, trust=going_on) is None
    assert reason_of(identity, quarantine, fresh=False, trust=going_on) is Reason.IDENTITY_QUARANTINED
    assert reason_of(identity, fresh=False, trust=Trust(signals_optional=True)) is Reason.STATE_STALE


@pytest.mark.parametrize("silent", [ISSUER, OTHER])
def test_silence_about_anybody_involved_refuses(silent: str) -> None:
    """Unless the resource goes on. About other issuers it does not matter."""
    identity = replace(ALICE, actor=BOT)
    assert reason_of(identity, silent=silent) is Reason.SIGNALS_STALE
    assert reason_of(identity, silent=silent, trust=Trust(stale_proceeds=True)) is Reason.SIGNALS_STALE
    assert reason_of(identity, silent=silent, trust=Trust(signals_optional=True)) is None
    assert reason_of(identity, silent="https://third.example") is None
    assert reason_of(ANONYMOUS, silent=silent) is None


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize(
    ("effect", "reason"),
    [(Effect.QUARANTINED, Reason.IDENTITY_QUARANTINED), (Effect.DISABLED, Reason.IDENTITY_DISABLED)],
)
def test_quarantine_and_switching_off_refuse_until_lifted(form: Form, effect: Effect, reason: Reason) -> None:
    """Whatever the times say; people and machines alike."""
    assert reason_of(ALICE, taken(MARKS[form], effect, ago=1000)) is reason
    assert reason_of(CI, taken(RUNNER[form], effect, ago=1000)) is reason


@pytest.mark.parametrize("form", Form)
def test_what_is_revoked_of_a_person_was_issued_before(form: Form) -> None:
    """One credential by its name, software until it is lifted, and everything else by its times."""
    at_sign_in, after_sign_in = taken(MARKS[form], Effect.REVOKED, ago=100), taken(MARKS[form], Effect.REVOKED, ago=101)
    if form in ONE_CREDENTIAL:
        assert reason_of(ALICE, at_sign_in) is reason_of(ALICE, after_sign_in) is Reason.TOKEN_REVOKED
    elif form in {Form.CLIENT, Form.WORKLOAD}:
        assert reason_of(ALICE, at_sign_in) is reason_of(ALICE, after_sign_in) is Reason.IDENTITY_QUARANTINED
    else:
        assert reason_of(ALICE, at_sign_in) is Reason.SESSION_REVOKED
        assert reason_of(ALICE, after_sign_in) is None


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("effect", [Effect.REVOKED, Effect.REAUTHENTICATE])
def test_what_is_revoked_of_a_machine(form: Form, effect: Effect) -> None:
    """A machine cannot sign in: both effects are the same, and one that is named itself waits for somebody."""
    machine = replace(CI, auth_time=None)
    old, new = taken(RUNNER[form], effect, ago=50), taken(RUNNER[form], effect, ago=51)
    if form in ONE_CREDENTIAL:
        assert reason_of(machine, old) is reason_of(machine, new) is Reason.TOKEN_REVOKED
    elif form in SOFTWARE:
        assert reason_of(machine, old) is reason_of(machine, new) is Reason.IDENTITY_QUARANTINED
    elif form is Form.SESSION:
        assert reason_of(machine, old) is reason_of(machine, new) is Reason.SESSION_REVOKED
    else:
        assert reason_of(machine, old) is Reason.SESSION_REVOKED
        assert reason_of(machine, new) is None


@pytest.mark.parametrize("kind", [None, *(kind for kind in Kind if kind is not Kind.USER)])
def test_whoever_is_not_known_to_be_a_person_is_a_machine(kind: Kind | None) -> None:
    """New tokens by a stolen secret do not help, whenever they were issued."""
    machine = replace(CI, subject=replace(CI.subject, kind=kind), issued_at=Instant(NOW + 3), auth_time=None)
    assert reason_of(machine, taken(RUNNER[Form.SUBJECT], Effect.REVOKED)) is Reason.IDENTITY_QUARANTINED


@pytest.mark.parametrize("form", [form for form in Form if form not in {Form.CLIENT, Form.WORKLOAD}])
def test_people_are_told_to_sign_in_anew(form: Form) -> None:
    """By an age that the sign-in before does not meet, now or later, and every one from now on does."""
    refusal = refusal_of(ALICE, taken(MARKS[form], Effect.REAUTHENTICATE, ago=100))
    assert refusal is not None
    assert (refusal.reason, refusal.remedies) == (Reason.STEP_UP_REQUIRED, (StepUp(max_age=99),))
    assert reason_of(ALICE, taken(MARKS[form], Effect.REAUTHENTICATE, ago=101)) is None


@pytest.mark.parametrize(("ago", "max_age"), [(0, 0), (0.5, 0), (1, 0), (1.5, 1), (-3, 0), (60, 59)])
def test_the_age_that_is_asked_for_is_less_than_that_of_the_event(ago: float, max_age: int) -> None:
    """In whole seconds; 0 is a sign-in now."""
    refusal = refusal_of(ALICE, taken(MARKS[Form.SUBJECT], Effect.REAUTHENTICATE, ago=ago))
    assert refusal is not None
    assert refusal.remedies == (StepUp(max_age=max_age),)
    signed_in = replace(ALICE, auth_time=Instant(NOW + 5), issued_at=Instant(NOW + 5))
    assert reason_of(signed_in, taken(MARKS[Form.SUBJECT], Effect.REAUTHENTICATE, ago=ago)) is None


def test_a_session_that_was_taken_over_is_not_refreshed() -> None:
    """A newer token of it helps only where it says that its holder has signed in since."""
    over = taken(MARKS[Form.SESSION], Effect.REVOKED, ago=10)
    newer = replace(ALICE, issued_at=Instant(NOW - 5))
    assert reason_of(newer, over) is Reason.SESSION_REVOKED
    assert reason_of(replace(newer, auth_time=None), over) is Reason.SESSION_REVOKED
    assert reason_of(replace(newer, auth_time=Instant(NOW - 6)), over) is None


def test_what_says_neither_when_it_was_issued_nor_signed_in_for_is_refused() -> None:
    """And of two instants the earlier counts."""
    cut = taken(EVERYBODY, Effect.REVOKED, ago=1000)
    assert reason_of(replace(ALICE, auth_time=None, issued_at=None), cut) is Reason.SESSION_REVOKED
    assert reason_of(replace(ALICE, auth_time=None), cut) is None
    assert reason_of(replace(ALICE, issued_at=None), cut) is None
    assert reason_of(replace(ALICE, issued_at=Instant(NOW - 1000)), cut) is Reason.SESSION_REVOKED
    assert reason_of(replace(ALICE, auth_time=Instant(NOW - 1000)), cut) is Reason.SESSION_REVOKED


@pytest.mark.parametrize("form", [Form.TENANT, Form.ISSUER, Form.EVERYBODY])
def test_those_of_a_tenant_an_issuer_or_all_come_back_with_new_credentials(form: Form) -> None:
    """People and machines alike."""
    for identity in (ALICE, CI):
        newer = replace(identity, auth_time=Instant(NOW + 1), issued_at=Instant(NOW + 1))
        assert reason_of(identity, taken(MARKS[form], Effect.REVOKED)) is Reason.SESSION_REVOKED
        assert reason_of(newer, taken(MARKS[form], Effect.REVOKED)) is None


@pytest.mark.parametrize("effect", [Effect.NONCOMPLIANT, Effect.RISK_MEDIUM, Effect.RISK_HIGH])
def test_risk_and_compliance_refuse_nobody_by_themselves(effect: Effect) -> None:
    """They are handed to the rules that ask, where they concern the caller."""
    mine = taken(MARKS[Form.DEVICE], effect)
    another = replace(mine, also=(Mark(Form.SUBJECT, ISSUER, "bob"),))
    source = Source((mine, another))
    assert require_unrestricted(ALICE, NOW, restrictions=source, ledger=source.ledger) == (mine,)


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (Effect.QUARANTINED, Reason.IDENTITY_QUARANTINED),
        (Effect.DISABLED, Reason.IDENTITY_DISABLED),
        (Effect.REVOKED, None),
        (Effect.REAUTHENTICATE, None),
    ],
)
def test_nobody_has_nothing_to_be_revoked(effect: Effect, reason: Reason | None) -> None:
    """A public page stays public when all tokens are revoked, and is shut by a quarantine of everybody."""
    assert reason_of(ANONYMOUS, taken(EVERYBODY, effect)) is reason


def test_the_gravest_counts_and_its_origin_is_recorded() -> None:
    """Whatever the order; the client learns nothing of it."""
    effects = [
        taken(MARKS[Form.SUBJECT], Effect.REAUTHENTICATE),
        taken(MARKS[Form.SESSION], Effect.REVOKED),
        taken(MARKS[Form.TOKEN], Effect.REVOKED, signal=""),
        taken(MARKS[Form.TENANT], Effect.DISABLED),
        taken(MARKS[Form.SUBJECT], Effect.QUARANTINED, source="stream idp"),
    ]
    expected = [
        (Reason.STEP_UP_REQUIRED, "reauthenticate as subject by operator, s-7"),
        (Reason.SESSION_REVOKED, "revoked as session by operator, s-7"),
        (Reason.TOKEN_REVOKED, "revoked as token by operator, unnamed"),
        (Reason.IDENTITY_DISABLED, "disabled as tenant by operator, s-7"),
        (Reason.IDENTITY_QUARANTINED, "quarantined as subject by stream idp, s-7"),
    ]
    for number, (reason, inner) in enumerate(expected, start=1):
        for order in (effects[:number], effects[:number][::-1]):
            refusal = refusal_of(ALICE, *order)
            assert refusal is not None
            assert (refusal.reason, refusal.inner) == (reason, inner)
            assert refusal.detail
            assert not any(word in refusal.detail for word in ("idp", "operator", "s-7"))
