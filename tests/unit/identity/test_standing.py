"""What the registry says about a caller: every rule of `standing.py`, for every member of a delegation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.standing import REGISTRY, Known, require_standing
from extauthz.ledger import Ledger
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.model.request import Request, Source
from extauthz.nothing import NOTHING
from tests.simulators.profiles import profile
from tests.simulators.profiles import request as plain_request
from tests.simulators.registry import registry
from tests.simulators.tokens import ISSUER, NOW, MemoryKeys

if TYPE_CHECKING:
    from extauthz.ports import RegistrySource

SUBJECT = Principal(issuer=ISSUER, subject="alice", kind=Kind.USER, client="app")
ACTOR = Principal(issuer=ISSUER, subject="bot", kind=Kind.AGENT, client="bot-client")
EARLIER = Principal(issuer=ISSUER, subject="planner")
ALONE = Identity(subject=SUBJECT, workload=f"{ISSUER}|app")
DELEGATED = replace(ALONE, actor=ACTOR, chain=(EARLIER,))
MEMBERS = {
    "subject": "subject: alice",
    "client of the subject": "client: app",
    "workload": "workload: app",
    "actor": "subject: bot",
    "client of the actor": "client: bot-client",
    "chain": "subject: planner",
}


def about(match: str, more: str = "", name: str = "it") -> str:
    """Return an entry about somebody."""
    return f"  - {{name: {name}, match: {{issuer: ISSUER, {match}}}{more}}}\n"


def stand(
    identity: Identity, *entries: str, source: RegistrySource | None = None, address: str = "", **changes: Any
) -> Known:
    """Return what becomes of a caller by a registry with these entries."""
    asked: Request = replace(plain_request(), source=Source(address=address))
    held = source or registry("identities:\n" + "".join(entries) if entries else "")
    ledger = Ledger(MemoryKeys())
    known = require_standing(identity, replace(profile(), **changes), asked, NOW, registry=held, ledger=ledger)
    assert ledger.names == (REGISTRY,)
    return known


def reason_of(identity: Identity, *entries: str, **arguments: Any) -> Reason | None:
    """Return why a caller is refused, None when it is not."""
    try:
        stand(identity, *entries, **arguments)
    except Refusal as refusal:
        return refusal.reason
    return None


def test_the_client_learns_what_to_do_and_no_names() -> None:
    """Names of entries are for the record."""
    with pytest.raises(Refusal) as raised:
        stand(ALONE, about("subject: alice", ", standing: quarantined", name="secret-project"))
    assert raised.value.detail == "Ask the owner of the identity."
    assert raised.value.inner == "`secret-project` is quarantined"


def test_the_epoch_is_noted_before_the_registry_is_looked_at() -> None:
    """A change in between must not go unnoticed."""
    ledger = Ledger(MemoryKeys())
    seen = []

    class Telling:
        """A registry that looks at the ledger."""

        def find_declared(self, identity: Identity) -> Any:
            """Note what is in the ledger."""
            seen.append(ledger.names)
            return NOTHING.find_declared(identity)

    require_standing(ALONE, profile(), plain_request(), NOW, registry=Telling(), ledger=ledger)
    assert seen == [(REGISTRY,)]


def test_without_entries_the_caller_is_as_it_was() -> None:
    """Nothing is declared, nothing changes."""
    for source in (NOTHING, registry("")):
        assert stand(DELEGATED, source=source).identity is DELEGATED
    assert len(stand(DELEGATED, source=NOTHING).declared) == 3


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (", standing: quarantined", Reason.IDENTITY_QUARANTINED),
        (", standing: disabled", Reason.IDENTITY_DISABLED),
        (", expires: 2020-01-01", Reason.IDENTITY_EXPIRED),
        (", standing: active, expires: 2100-01-01", None),
    ],
)
def test_one_member_in_bad_standing_refuses_all(member: str, more: str, reason: Reason | None) -> None:
    """Whoever it is, by whichever name it is declared; the last row is the control."""
    assert reason_of(DELEGATED, about(MEMBERS[member], more)) is reason


def test_an_entry_about_the_subject_does_not_hide_one_about_its_client() -> None:
    """A quarantined client stays quarantined whoever signs in through it."""
    entries = (about("subject: alice", name="fine"), about("client: app", ", standing: quarantined"))
    assert reason_of(ALONE, *entries) is Reason.IDENTITY_QUARANTINED


def test_the_gravest_is_told() -> None:
    """Quarantine before switched off before ended, in whatever order they are found."""
    quarantined = about("subject: planner", ", standing: quarantined", "q")
    disabled = about("subject: bot", ", standing: disabled", "d")
    ended = about("subject: alice", ", expires: 2020-01-01", "e")
    assert reason_of(DELEGATED, ended, disabled, quarantined) is Reason.IDENTITY_QUARANTINED
    assert reason_of(DELEGATED, ended, disabled) is Reason.IDENTITY_DISABLED


def test_an_entry_ends_at_its_instant() -> None:
    """At the instant itself it has ended, and a decision is not kept beyond it."""
    assert reason_of(ALONE, about("subject: alice", ", expires: 2026-09-21T14:13:20Z")) is Reason.IDENTITY_EXPIRED
    later = about("subject: planner", ", expires: 2026-09-21T14:13:21Z")
    assert stand(DELEGATED, later).identity.accepted_until == NOW + 1
    sooner = replace(DELEGATED, accepted_until=type(NOW)(NOW + 0.5))
    assert stand(sooner, later).identity.accepted_until == NOW + 0.5
    assert stand(sooner, about("subject: planner")).identity.accepted_until == NOW + 0.5
    assert stand(DELEGATED, about("subject: planner")).identity.accepted_until is None


@pytest.mark.parametrize("missing", ["alice", "bot", "planner", None])
def test_who_is_not_declared_is_refused_where_that_is_asked_for(missing: str | None) -> None:
    """Everybody must be declared; without the demand nobody needs to be."""
    everybody = [about(f"subject: {name}", name=name) for name in ("alice", "bot", "planner") if name != missing]
    expected = Reason.IDENTITY_UNREGISTERED if missing else None
    assert reason_of(DELEGATED, *everybody, refuses_unknown=True) is expected
    assert reason_of(DELEGATED, *everybody) is None


def test_nobody_is_declared_by_an_empty_registry() -> None:
    """Then the demand refuses everybody."""
    assert reason_of(ALONE, refuses_unknown=True) is Reason.IDENTITY_UNREGISTERED


@pytest.mark.parametrize(
    ("match", "kind", "reason"),
    [
        ("subject: alice", "user", None),
        ("subject: alice", "agent", Reason.IDENTITY_UNMAPPED),
        ("client: app", "service", Reason.IDENTITY_UNMAPPED),
        ("subject: bot", "agent", None),
        ("subject: bot", "user", Reason.IDENTITY_UNMAPPED),
        ("subject: planner", "agent", None),
    ],
)
def test_two_kinds_cannot_both_be_true(match: str, kind: str, reason: Reason | None) -> None:
    """Declared and proven, of each party; a kind that is not proven contradicts none, and is not filled in."""
    assert reason_of(DELEGATED, about(match, f", kind: {kind}")) is reason
    if reason is None:
        assert stand(DELEGATED, about(match, f", kind: {kind}")).identity.involved == DELEGATED.involved


@pytest.mark.parametrize(
    ("proven", "by_subject", "by_client", "agreed"),
    [
        ("", "staging", "", "staging"),
        ("", "", "staging", "staging"),
        ("staging", "staging", "staging", "staging"),
        ("staging", "", "", "staging"),
        ("", "", "", ""),
        ("staging", "production", "", None),
        ("staging", "", "production", None),
        ("", "staging", "production", None),
    ],
)
def test_environments_agree(proven: str, by_subject: str, by_client: str, agreed: str | None) -> None:
    """What is declared fills in what is not proven; two different ones refuse."""
    entries = [
        about(match, f", environment: {name}" if name else "", match.split(":")[0])
        for match, name in (("subject: alice", by_subject), ("client: app", by_client))
    ]
    caller = replace(ALONE, environment=proven)
    if agreed is None:
        assert reason_of(caller, *entries) is Reason.UNEXPECTED_ENVIRONMENT
    else:
        assert stand(caller, *entries).identity.environment == agreed


def test_the_environment_of_an_actor_is_not_that_of_the_subject() -> None:
    """Its entry says where the actor runs."""
    assert stand(DELEGATED, about("subject: bot", ", environment: lab")).identity.environment == ""


@pytest.mark.parametrize(
    ("identity", "match", "counts"),
    [
        (ALONE, "subject: alice", True),
        (ALONE, "client: app", True),
        (ALONE, "workload: app", True),
        (DELEGATED, "subject: bot", True),
        (DELEGATED, "client: bot-client", True),
        (DELEGATED, "client: app", True),
        (DELEGATED, "subject: alice", False),
        (DELEGATED, "subject: planner", False),
    ],
)
def test_the_presenter_comes_from_where_it_may(identity: Identity, match: str, counts: bool) -> None:
    """The actor, and the client that the token was issued to; a person behind an agent sits elsewhere."""
    entry = about(match, ", networks: [192.0.2.0/24, '2001:db8::/32']")
    for inside in ("192.0.2.7", "2001:db8::7"):
        assert reason_of(identity, entry, address=inside) is None
    for outside in ("198.51.100.1", "2001:db9::1", ""):
        assert (reason_of(identity, entry, address=outside) is Reason.UNEXPECTED_NETWORK) is counts


def test_every_entry_about_the_presenter_counts() -> None:
    """An address that only one of them expects is refused."""
    entries = (
        about("subject: alice", ", networks: [192.0.2.0/24]", "a"),
        about("client: app", ", networks: [192.0.2.0/25]", "b"),
    )
    assert reason_of(ALONE, *entries, address="192.0.2.1") is None
    assert reason_of(ALONE, *entries, address="192.0.2.200") is Reason.UNEXPECTED_NETWORK


def test_the_subject_is_described_by_its_most_specific_entry() -> None:
    """By subject before workload before client; an entry about an actor describes the actor."""
    entries = [about(match, name=match.split(": ")[0]) for match in ("client: app", "workload: app", "subject: alice")]
    for count, expected in ((1, "client"), (2, "workload"), (3, "subject")):
        found = stand(ALONE, *entries[:count]).identity.registration
        assert found is not None
        assert found.name == expected
    assert stand(DELEGATED, about("subject: bot")).identity.registration is None
