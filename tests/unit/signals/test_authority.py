"""Where the stream, or the subject, decides what becomes of an event; and events about the stream itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.errors import SignalError
from extauthz.model.restriction import Effect, Form, Mark
from extauthz.signals.events import Outcome
from extauthz.signals.stream_events import STATUSES
from tests.simulators.events import ALICE, OTHER_ISSUER, stream_rules
from tests.simulators.tokens import ISSUER
from tests.unit.signals.test_events import ACME, ALICE_MARK, EMAIL, KINDS, STREAM, effects, report

if TYPE_CHECKING:
    from collections.abc import Mapping


class TestAuthority:
    """Beyond its issuers, tenants and kinds a stream changes nothing."""

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if report(kind).outcome is Outcome.APPLIED])
    def test_kinds_that_are_not_listed_take_no_effect(self, kind: str) -> None:
        """Each of them, with the control that it does when it is listed."""
        others = frozenset(KINDS) - {kind}
        reported = report(kind, ALICE, stream_rules(events=others))
        assert (reported.outcome, effects(reported)) == (Outcome.OUTSIDE_AUTHORITY, (set(), set()))
        assert "authority.events" in reported.note
        assert report(kind, ALICE, stream_rules(events=frozenset({kind}))).outcome is Outcome.APPLIED

    @pytest.mark.parametrize(
        "subject",
        [
            {**ALICE, "iss": OTHER_ISSUER},
            {"format": "jwt_id", "iss": OTHER_ISSUER, "jti": "t"},
            {"format": "uri", "uri": "spiffe://prod.example/a"},
            {"format": "complex", "user": ALICE, "tenant": {"format": "iss_sub", "iss": OTHER_ISSUER, "sub": "acme"}},
            {"format": "complex", "user": {**ALICE, "iss": OTHER_ISSUER}, "session": STREAM},
            {"format": "aliases", "identifiers": [ALICE, {**ALICE, "iss": OTHER_ISSUER}]},
        ],
        ids=str,
    )
    def test_callers_of_other_issuers_are_out_of_reach(self, subject: Mapping[str, Any]) -> None:
        """Wherever in the subject the other issuer stands."""
        reported = report("session-revoked", subject)
        assert (reported.outcome, reported.restrictions) == (Outcome.OUTSIDE_AUTHORITY, ())
        assert "authority.issuers" in reported.note
        both = stream_rules(issuers=(ISSUER, OTHER_ISSUER, "spiffe://prod.example"))
        assert report("session-revoked", subject, both).outcome is Outcome.APPLIED

    def test_tenants(self) -> None:
        """One of them may be named, another may not; where none is, the event is bound to them."""
        rules = stream_rules(tenants=("acme", "beta"))
        assert report("session-revoked", ACME, rules).outcome is Outcome.APPLIED
        other = {"format": "complex", "user": ALICE, "tenant": {"format": "opaque", "id": "other"}}
        assert report("session-revoked", other, rules).outcome is Outcome.OUTSIDE_AUTHORITY
        bound = report("session-revoked", ALICE, rules).restrictions
        tenants = [(Mark(Form.TENANT, ISSUER, name),) for name in ("acme", "beta")]
        assert [(each.mark, each.also) for each in bound] == [(ALICE_MARK, also) for also in tenants]

    def test_the_tenant_of_another_issuer_binds_nobody(self) -> None:
        """Whoever is named is bound to the tenants of the own issuer all the same."""
        rules = stream_rules(issuers=(ISSUER, OTHER_ISSUER), tenants=("acme",))
        tenant = {"format": "iss_sub", "iss": OTHER_ISSUER, "sub": "acme"}
        (restriction,) = report(
            "session-revoked", {"format": "complex", "user": ALICE, "tenant": tenant}, rules
        ).restrictions
        assert Mark(Form.TENANT, ISSUER, "acme") in restriction.also

    def test_what_is_not_applicable_is_outside_all_the_same(self) -> None:
        """The alarm does not depend on whether it could have been done."""
        reported = report("session-revoked", EMAIL, stream_rules(events=frozenset({"account-disabled"})))
        assert reported.outcome is Outcome.OUTSIDE_AUTHORITY


class TestSubjectsOfEvents:
    """Where a subject decides what becomes of an event."""

    def test_critical_members_discard(self) -> None:
        """It says which one."""
        subject = {**ACME, "org_unit": {"format": "opaque", "id": "eu"}}
        reported = report("session-revoked", subject, stream_rules(critical=frozenset({"org_unit"})))
        assert (reported.outcome, reported.restrictions) == (Outcome.DISCARDED, ())
        assert reported.note == "the critical subject member `org_unit` cannot be used"
        assert report("session-revoked", subject).outcome is Outcome.APPLIED

    def test_nobody_we_could_compare_is_not_applicable(self) -> None:
        """It says why."""
        reported = report("session-revoked", EMAIL)
        assert (reported.outcome, reported.restrictions) == (Outcome.NOT_APPLICABLE, ())
        assert "email" in reported.note

    def test_lifting_needs_the_whole_subject(self) -> None:
        """What is passed over makes narrowing wider, and must not make lifting wider."""
        unit = {**ACME, "org_unit": {"format": "opaque", "id": "eu"}}
        assert report("account-disabled", unit).restrictions
        enabled = report("account-enabled", unit)
        assert (enabled.outcome, enabled.note) == (Outcome.NOT_APPLICABLE, "it would lift more than the subject says")
        risk = report("risk-level-change", unit, principal="TENANT", current_level="MEDIUM")
        assert effects(risk) == ({Effect.RISK_MEDIUM}, set())
        one = {"format": "complex", "user": ALICE, "org_unit": {"format": "opaque", "id": "eu"}}
        assert report("account-enabled", one).lifts


class TestStreamEvents:
    """Events about the stream itself."""

    def test_verification(self) -> None:
        """With and without a state."""
        reported = report("verification", STREAM, state="abc")
        assert (reported.kind, reported.outcome, reported.news.state) == ("verification", Outcome.STREAM, "abc")
        assert report("verification", STREAM).news.state is None

    @pytest.mark.parametrize("status", STATUSES)
    def test_status(self, status: str) -> None:
        """Each of the three."""
        assert report("stream-updated", STREAM, status=status).news.status == status

    @pytest.mark.parametrize("kind", ["verification", "stream-updated"])
    @pytest.mark.parametrize(
        "subject", [ALICE, {"format": "opaque", "id": "x"}, {"format": "complex", "user": ALICE}, {}], ids=str
    )
    def test_another_subject_is_refused(self, kind: str, subject: Mapping[str, Any]) -> None:
        """It has to be this stream, by its id; where that is not configured, any stream id."""
        with pytest.raises(SignalError, match="invalid_request"):
            report(kind, subject)
        assert report(kind, {"format": "opaque", "id": "x"}, stream_rules(stream_id="")).outcome is Outcome.STREAM

    @pytest.mark.parametrize("state", [7, ["a"], {}], ids=str)
    def test_a_state_is_a_text(self, state: Any) -> None:
        """Nothing else can have been sent."""
        with pytest.raises(SignalError, match="invalid_request"):
            report("verification", STREAM, state=state)
