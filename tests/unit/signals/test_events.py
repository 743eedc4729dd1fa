"""What each kind of event does, and what it does not."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any, get_args

import pytest

from extauthz.config.signals import EventKind
from extauthz.errors import SignalError
from extauthz.limits import MAX_RECORDED_TEXT
from extauthz.model.restriction import Effect, Form, Mark
from extauthz.signals.effects import READERS
from extauthz.signals.events import Outcome, Reported, read_event
from tests.simulators.events import ALICE, PAYLOADS, STREAM_ID, event_token, stream_rules
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.model.restriction import Restriction

RULES = stream_rules()
KINDS = [kind for kind, _ in READERS.values()]
ALICE_MARK = Mark(Form.SUBJECT, ISSUER, "alice")
ACME: Mapping[str, Any] = {"format": "complex", "tenant": {"format": "opaque", "id": "acme"}}
EMAIL: Mapping[str, Any] = {"format": "email", "email": "alice@example.com"}
STREAM: Mapping[str, Any] = {"format": "opaque", "id": STREAM_ID}
REQUIRED = [
    (kind, member)
    for kind, members in PAYLOADS.items()
    for member in members
    if member not in {"risk_reason", "change_direction"}
]
NO_TIMES: list[Any] = ["now", True, -1, 1e13, [], NOW + 6]
STATES = [
    ("account-disabled", {}),
    ("account-enabled", {}),
    ("device-compliance-change", {"current_status": "compliant"}),
    ("device-compliance-change", {"current_status": "not-compliant"}),
    *[("risk-level-change", {"current_level": level}) for level in ("LOW", "MEDIUM", "HIGH")],
]


def report(kind: str, subject: Mapping[str, Any] = ALICE, rules: Any = RULES, /, **payload: Any) -> Reported:
    """Return what an event comes to."""
    return read_event(event_token(kind, subject, **payload), rules, NOW)


def risks(*levels: str) -> list[tuple[str, dict[str, Any]]]:
    """Return an event for each level of risk."""
    return [("risk-level-change", {"current_level": level}) for level in levels]


def effects(reported: Reported) -> tuple[set[Effect], set[Effect]]:
    """Return what an event puts in force, and what it lifts."""
    return {each.effect for each in reported.restrictions}, {each.effect for each in reported.lifts}


class TestTable:
    """Kinds and effects; `docs/signals.md` shows the same, and a test compares them."""

    def test_the_settings_know_the_same_kinds(self) -> None:
        """What can be allowed is what is read."""
        assert sorted(get_args(EventKind)) == sorted(KINDS)

    @pytest.mark.parametrize(
        ("kind", "payload", "put", "lifted"),
        [
            ("session-revoked", {}, {Effect.REVOKED}, set()),
            ("token-claims-change", {}, {Effect.REVOKED}, set()),
            ("credential-change", {"change_type": "create"}, set(), set()),
            ("credential-change", {"change_type": "revoke"}, {Effect.REAUTHENTICATE}, set()),
            ("credential-change", {"credential_type": "new-kind"}, {Effect.REAUTHENTICATE}, set()),
            ("credential-change", {"credential_type": "x509"}, set(), set()),
            ("credential-change", {"credential_type": "x509", "change_type": "create"}, set(), set()),
            ("credential-change", {"credential_type": "x509", "change_type": "revoke"}, {Effect.REVOKED}, set()),
            ("credential-change", {"credential_type": "x509", "change_type": "delete"}, {Effect.REVOKED}, set()),
            ("assurance-level-change", {}, {Effect.REAUTHENTICATE}, set()),
            ("assurance-level-change", {"change_direction": None}, {Effect.REAUTHENTICATE}, set()),
            ("assurance-level-change", {"change_direction": "increase"}, set(), set()),
            ("device-compliance-change", {}, {Effect.NONCOMPLIANT}, set()),
            ("device-compliance-change", {"current_status": "compliant"}, set(), {Effect.NONCOMPLIANT}),
            ("risk-level-change", {}, {Effect.RISK_HIGH}, {Effect.RISK_MEDIUM}),
            ("risk-level-change", {"current_level": "MEDIUM"}, {Effect.RISK_MEDIUM}, {Effect.RISK_HIGH}),
            ("risk-level-change", {"current_level": "LOW"}, set(), {Effect.RISK_MEDIUM, Effect.RISK_HIGH}),
            ("account-credential-change-required", {}, {Effect.REAUTHENTICATE}, set()),
            ("account-purged", {}, {Effect.QUARANTINED}, set()),
            ("account-disabled", {"reason": "hijacking"}, {Effect.DISABLED}, set()),
            ("account-enabled", {}, set(), {Effect.DISABLED}),
            ("credential-compromise", {}, {Effect.REVOKED}, set()),
            ("identifier-recycled", {}, {Effect.REVOKED}, set()),
            ("sessions-revoked", {}, {Effect.REVOKED}, set()),
        ],
    )
    def test_effects(self, kind: str, payload: dict[str, Any], put: set[Effect], lifted: set[Effect]) -> None:
        """Each kind, with the values that make a difference."""
        reported = report(kind, **payload)
        assert effects(reported) == (put, lifted)
        assert reported.outcome is (Outcome.APPLIED if put or lifted else Outcome.NOTED)
        assert all(each.in_force for each in reported.restrictions)
        assert not any(each.in_force for each in reported.lifts)

    @pytest.mark.parametrize(
        "kind",
        [
            "session-established",
            "session-presented",
            "identifier-changed",
            "opt-in",
            "opt-out-initiated",
            "opt-out-cancelled",
            "opt-out-effective",
            "recovery-activated",
            "recovery-information-changed",
        ],
    )
    def test_inventory(self, kind: str) -> None:
        """They take nothing away, so no authority is asked for either."""
        reported = report(kind, ALICE, stream_rules(events=frozenset()))
        assert (reported.outcome, effects(reported)) == (Outcome.NOTED, (set(), set()))
        assert reported.subject == ALICE_MARK.name.of

    @pytest.mark.parametrize(
        ("kind", "payload"),
        [
            *[(kind, {member: None}) for kind, member in REQUIRED],
            ("token-claims-change", {"claims": []}),
            ("credential-change", {"change_type": "renamed"}),
            ("credential-change", {"credential_type": 7}),
            ("credential-change", {"credential_type": ""}),
            ("assurance-level-change", {"change_direction": "sideways"}),
            ("device-compliance-change", {"current_status": "unknown"}),
            ("risk-level-change", {"current_level": "high"}),
            ("risk-level-change", {"current_level": ["HIGH"]}),
            *[("session-revoked", {"event_timestamp": value}) for value in NO_TIMES],
        ],
        ids=str,
    )
    def test_what_does_not_conform_is_an_invalid_request(self, kind: str, payload: dict[str, Any]) -> None:
        """A required member that is missing or has no such value; a time that is none, or has not come yet."""
        subject = STREAM if kind == "stream-updated" else ALICE
        with pytest.raises(SignalError) as caught:
            report(kind, subject, **payload)
        assert caught.value.err == "invalid_request"

    def test_the_control_of_it(self) -> None:
        """All payloads of the table are valid as they are, with an instant just within the leeway."""
        assert {
            kind: report(kind, event_timestamp=NOW + 5).outcome for kind in KINDS if kind in PAYLOADS
        } == dict.fromkeys((kind for kind in KINDS if kind in PAYLOADS), Outcome.APPLIED)

    def test_an_event_that_we_do_not_know_is_said_to_be_one(self) -> None:
        """It is valid, and no error of the sender; its name is bounded where it is written down."""
        reported = report("https://x.example/" + "y" * 5000)
        assert (reported.outcome, reported.note) == (Outcome.NOT_APPLICABLE, "no event that we know")
        assert len(reported.kind) == MAX_RECORDED_TEXT
        assert report("https://x.example/\x1b[2J\n").kind == "https://x.example/ [2J "

    def test_the_risk_of_what_we_cannot_tell_apart(self) -> None:
        """Of a group: nobody is hit instead of the tenant that it is in."""
        subject = {**ACME, "group": {"format": "opaque", "id": "admins"}}
        reported = report("risk-level-change", subject, principal="GROUP")
        assert (reported.outcome, reported.restrictions) == (Outcome.NOT_APPLICABLE, ())
        assert report("risk-level-change", subject, principal="TENANT").restrictions

    @pytest.mark.parametrize(
        ("principal", "form"), [("DEVICE", Form.DEVICE), ("SESSION", Form.SESSION), ("TENANT", Form.TENANT)]
    )
    def test_the_principal_says_whose_risk_it_is(self, principal: str, form: Form) -> None:
        """A simple subject names it."""
        (restriction,) = report("risk-level-change", principal=principal).restrictions
        assert restriction.mark == Mark(form, ISSUER, "alice")

    def test_compliance_is_that_of_a_device(self) -> None:
        """A simple subject is the device."""
        (restriction,) = report("device-compliance-change").restrictions
        assert restriction.mark == Mark(Form.DEVICE, ISSUER, "alice")


class TestRestrictions:
    """What is written down of an effect."""

    def test_who_when_and_why(self) -> None:
        """Everything that people want to know later comes from the event."""
        (restriction,) = report(
            "session-revoked",
            event_timestamp=NOW - 10.5,
            initiating_entity="admin",
            reason_admin={"de": "verloren", "en": "laptop lost"},
        ).restrictions
        assert (restriction.source, restriction.signal, restriction.by) == ("stream idp", "e-1", "admin")
        assert (restriction.reason, restriction.event_at) == ("laptop lost", NOW - 10.5)

    def test_without_a_time_of_its_own_it_happened_when_it_was_issued(self) -> None:
        """`event_timestamp` is optional."""
        assert report("session-revoked").event_at == NOW

    @pytest.mark.parametrize(
        ("said", "known"),
        [
            ({"de": "a"}, "a"),
            ("a\nb\x1b[2J", "a b [2J"),
            ("plain", "plain"),
            ({}, ""),
            ({"en": 7}, ""),
            (7, ""),
            ({"en": "x" * 5000}, "x" * 1024),
        ],
        ids=lambda value: str(value)[:12],
    )
    def test_reasons_are_for_people_and_never_an_error(self, said: Any, known: str) -> None:
        """A revocation is not lost over its explanation."""
        assert report("session-revoked", reason_admin=said, initiating_entity="martian").reason == known
        assert report("session-revoked", initiating_entity="martian").by == ""

    @pytest.mark.parametrize(
        ("kind", "subject", "kept"),
        [
            ("session-revoked", ALICE, None),
            ("credential-change", ALICE, None),
            ("session-revoked", {"format": "complex", "user": ALICE, "device": STREAM}, None),
            ("session-revoked", {"format": "complex", "application": STREAM}, None),
            ("session-revoked", {"format": "jwt_id", "iss": ISSUER, "jti": "t"}, 86400),
            ("session-revoked", {"format": "complex", "user": ALICE, "session": STREAM}, 86400),
            ("session-revoked", ACME, 86400),
            ("account-disabled", ALICE, None),
            ("device-compliance-change", ACME, None),
        ],
        ids=str,
    )
    def test_how_long_it_is_kept(self, kind: str, subject: Mapping[str, Any], kept: float | None) -> None:
        """Where software can be named, until it is lifted; what credentials outgrow, as long as those live."""
        (restriction,) = report(kind, subject).restrictions
        assert restriction.until == (None if kept is None else NOW + kept)

    def test_what_is_lifted_is_known_until_it_can_be_forgotten(self) -> None:
        """So that an older event that arrives late does not bring it back."""
        (lifted,) = report("account-enabled").lifts
        assert lifted.until == NOW + RULES.keep

    @pytest.mark.parametrize(("kind", "payload"), STATES)
    def test_lifting_is_about_the_same_row(self, kind: str, payload: dict[str, Any]) -> None:
        """What lifts has the identity of what it lifts: the same stream, target and effect."""
        narrowing = [report(other, **more) for other, more in STATES if other == kind or other.startswith(kind[:8])]
        rows = {each.identity for reported in narrowing for each in reported.restrictions}
        assert {each.identity for each in report(kind, **payload).lifts} <= rows
        other_stream = report(kind, ALICE, stream_rules(name="other"), **payload)
        assert not {each.identity for each in other_stream.lifts} & rows


class TestOrder:
    """The latest event by its own time holds, whatever order events arrive in."""

    @staticmethod
    def in_force_after(events: list[Reported]) -> set[Effect]:
        """Return what is in force after events arrived in this order, by the rule of the table."""
        rows: dict[tuple[str, ...], Restriction] = {}
        for reported in events:
            for wanted in (*reported.restrictions, *reported.lifts):
                known = rows.get(wanted.identity)
                if known is None or wanted.succeeds(known):
                    rows[wanted.identity] = wanted
        return {row.effect for row in rows.values() if row.in_force}

    @pytest.mark.parametrize(
        ("steps", "holds"),
        [
            ([("account-disabled", {}), ("account-enabled", {})], set()),
            ([("account-enabled", {}), ("account-disabled", {})], {Effect.DISABLED}),
            ([("account-disabled", {}), ("account-enabled", {}), ("account-disabled", {})], {Effect.DISABLED}),
            (risks("HIGH", "LOW", "MEDIUM"), {Effect.RISK_MEDIUM}),
            (risks("MEDIUM", "HIGH", "LOW"), set()),
            (risks("LOW", "MEDIUM", "HIGH"), {Effect.RISK_HIGH}),
            ([("device-compliance-change", {"current_status": s}) for s in ("not-compliant", "compliant")], set()),
            ([("account-purged", {}), ("account-enabled", {})], {Effect.QUARANTINED}),
            ([("session-revoked", {}), ("account-enabled", {})], {Effect.REVOKED}),
        ],
        ids=str,
    )
    def test_every_order_gives_the_same(self, steps: list[tuple[str, dict[str, Any]]], holds: set[Effect]) -> None:
        """Enabled before disabled by `event_timestamp`, and every other permutation; nothing is un-revoked by age."""
        events = [report(kind, event_timestamp=NOW - 100 + n, **payload) for n, (kind, payload) in enumerate(steps)]
        assert {frozenset(self.in_force_after(list(order))) for order in permutations(events)} == {frozenset(holds)}

    def test_without_their_own_times_the_order_of_arrival_would_decide(self) -> None:
        """The control: by the last arrival the same two events would give two answers."""
        disabled, enabled = report("account-disabled", event_timestamp=NOW - 9), report("account-enabled")
        by_arrival = [{row.effect for row in last.restrictions} for last in (enabled, disabled)]
        assert by_arrival == [set(), {Effect.DISABLED}]
        assert self.in_force_after([enabled, disabled]) == set()

    def test_of_two_at_once_the_narrower_holds(self) -> None:
        """In both orders."""
        both = [report("account-disabled"), report("account-enabled")]
        assert self.in_force_after(both) == self.in_force_after(both[::-1]) == {Effect.DISABLED}

    def test_a_replay_from_far_in_the_past_lifts_nothing(self) -> None:
        """An enablement of years ago, after a disablement of today."""
        events = [report("account-disabled"), report("account-enabled", event_timestamp=1)]
        assert self.in_force_after(events) == {Effect.DISABLED}
