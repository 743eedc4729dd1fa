"""The desk that hears events: what is answered, what is in force then, and what is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.model.identity import Kind
from extauthz.model.restriction import Effect
from extauthz.ports import Fetched, KeysOf
from extauthz.state.sessions import SessionSeen
from tests.simulators.events import ALICE, OTHER_ISSUER, STREAM_ID, TRANSMITTER, EventMaker
from tests.simulators.hearing import Hearing, hearing
from tests.simulators.tokens import ISSUER, NOW, MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAKER = EventMaker()
STREAM: Mapping[str, Any] = {"format": "opaque", "id": STREAM_ID}
NEWER: Mapping[str, Any] = {"auth_time": NOW + 1, "issued_at": NOW + 1}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Hearing]:
    """Yield a desk for one stream."""
    with hearing(tmp_path) as office:
        yield office


class TestEffects:
    """What is accepted is in force."""

    def test_a_revoked_session_is_over_and_a_new_sign_in_is_not(self, office: Hearing) -> None:
        """For whoever signed in before; the answer comes when the worker decides by it."""
        assert office.verdict() == set()
        heard = office.hear(MAKER.event("session-revoked"))
        assert (heard.status, heard.err) == ("accepted", "")
        assert heard.receipt is not None
        assert (heard.receipt.changed, heard.receipt.workers, heard.receipt.of_workers) == (1, 1, 1)
        assert office.verdict() == "session_revoked"
        assert office.verdict(**NEWER) == set()
        assert office.verdict(subject="bob") == set()

    def test_software_waits_for_a_person(self, office: Hearing) -> None:
        """Whoever stole its secret can have new tokens made, so a newer one proves nothing."""
        office.hear(MAKER.event("session-revoked"))
        assert office.verdict(kind=Kind.SERVICE, **NEWER) == "identity_quarantined"

    def test_disabled_and_enabled(self, office: Hearing) -> None:
        """In the order in which it happened, not in the one in which it was heard."""
        office.hear(MAKER.event("account-disabled", jti="d", event_timestamp=NOW - 10))
        assert office.verdict(**NEWER) == "identity_disabled"
        office.hear(MAKER.event("account-enabled", jti="e", event_timestamp=NOW - 20))
        assert office.verdict() == "identity_disabled"
        office.hear(MAKER.event("account-enabled", jti="f", event_timestamp=NOW - 5))
        assert office.verdict() == set()
        office.hear(MAKER.event("account-disabled", jti="g", event_timestamp=NOW - 7))
        assert office.verdict() == set()

    def test_a_replay_from_far_in_the_past_lifts_nothing(self, office: Hearing) -> None:
        """Neither under its own id, nor under a new one."""
        office.hear(MAKER.event("account-enabled", jti="old", now=NOW - 10**8, event_timestamp=NOW - 10**8))
        office.hear(MAKER.event("account-disabled", jti="d"))
        for jti in ("old", "new"):
            assert office.hear(
                MAKER.event("account-enabled", jti=jti, now=NOW - 10**8, event_timestamp=NOW - 10**8)
            ).status == "accepted"  # fmt: skip
        assert office.verdict() == "identity_disabled"

    def test_risk_and_compliance_reach_rules_that_ask(self, office: Hearing) -> None:
        """They refuse nobody by themselves."""
        office.hear(MAKER.event("risk-level-change", jti="1"))
        office.hear(
            MAKER.event("device-compliance-change", {"format": "iss_sub", "iss": ISSUER, "sub": "d-1"}, jti="2")
        )
        assert office.verdict(device="d-1") == {Effect.RISK_HIGH, Effect.NONCOMPLIANT}
        assert office.verdict(device="d-2") == {Effect.RISK_HIGH}
        office.hear(MAKER.event("risk-level-change", jti="3", current_level="MEDIUM", event_timestamp=NOW + 1))
        assert office.verdict() == {Effect.RISK_MEDIUM}
        office.hear(MAKER.event("risk-level-change", jti="4", current_level="LOW", event_timestamp=NOW + 2))
        assert office.verdict() == set()

    def test_a_tenant_is_all_of_its_members(self, office: Hearing) -> None:
        """A complex subject with nothing else in it."""
        subject = {"format": "complex", "tenant": {"format": "opaque", "id": "acme"}}
        office.hear(MAKER.event("session-revoked", subject))
        assert [office.verdict(tenant="acme", subject=name) for name in ("alice", "bob")] == ["session_revoked"] * 2
        assert office.verdict(tenant="other") == set()

    def test_the_same_event_twice_is_applied_once(self, office: Hearing) -> None:
        """It is accepted twice, and written down once."""
        event = MAKER.event("account-disabled")
        assert [office.hear(event).status for _ in range(2)] == ["accepted", "accepted"]
        assert len(office.tail()) == 1
        assert office.counted("extauthz_signals_total", stream="idp", kind="account-disabled", outcome="known") == 1
        again = office.hear(event).receipt
        assert again is not None
        assert (again.changed, again.workers) == (0, 1)

    def test_age_and_outcome_are_counted(self, office: Hearing) -> None:
        """The age is that of what happened, when it is in force."""
        office.hear(MAKER.event("session-revoked", event_timestamp=NOW - 42))
        assert office.counted("extauthz_signals_total", stream="idp", kind="session-revoked", outcome="applied") == 1
        assert office.counted("extauthz_signal_age_seconds_sum", stream="idp") == 42


class TestNoEffect:
    """What is accepted and changes nothing says so."""

    def test_another_streams_users_are_out_of_reach(self, tmp_path: Path) -> None:
        """Stream B sends scopes, compliance and enablement for A's subject: verdicts stay, and an alarm is raised."""
        streams = {"a": {}, "b": {"issuers": (OTHER_ISSUER,), "issuer": "https://b.example"}}
        b = EventMaker(issuer="https://b.example")
        device = {"format": "complex", "user": ALICE, "device": {"format": "iss_sub", "iss": ISSUER, "sub": "d-1"}}
        with hearing(tmp_path, streams) as office:
            office.keys.known.add(b)
            office.hear(MAKER.event("account-disabled", jti="0"), "a")
            office.hear(MAKER.event("device-compliance-change", device, jti="1"), "a")
            before = [office.verdict(device="d-1"), office.verdict(subject="bob", device="d-1")]
            events = [
                b.event("token-claims-change", {**ALICE, "sub": "bob"}, jti="2", claims={"scope": "admin"}),
                b.event(
                    "device-compliance-change", device, jti="3", current_status="compliant", event_timestamp=NOW + 1
                ),
                b.event("account-enabled", jti="4", event_timestamp=NOW + 1),
            ]
            assert [office.hear(event, "b").status for event in events] == ["accepted"] * 3
            assert [office.verdict(device="d-1"), office.verdict(subject="bob", device="d-1")] == before
            assert before[0] == "identity_disabled"
            assert [each.outcome for each in office.tail()[2:]] == ["outside_authority"] * 3
            assert office.counted("extauthz_alarms_total", what="outside_authority") == 3
            # The control: the stream with the authority does lift it.
            office.hear(MAKER.event("account-enabled", jti="5", event_timestamp=NOW + 1), "a")
            assert office.verdict() == set()

    def test_a_stream_with_the_same_authority_lifts_only_its_own(self, tmp_path: Path) -> None:
        """Both may disable alice; only who did so enables her again."""
        with hearing(tmp_path, {"a": {}, "b": {}}) as office:
            office.hear(MAKER.event("account-disabled"), "a")
            office.hear(MAKER.event("account-enabled", event_timestamp=NOW + 1), "b")
            assert office.verdict() == "identity_disabled"
            assert [each.outcome for each in office.tail()] == ["in_force", "lifted"]

    @pytest.mark.parametrize(
        ("kind", "subject", "outcome"),
        [
            ("session-established", ALICE, "noted"),
            ("https://x.example/other", ALICE, "not_applicable"),
            ("session-revoked", {"format": "email", "email": "a@b.example"}, "not_applicable"),
            ("session-revoked", {**ALICE, "iss": OTHER_ISSUER}, "outside_authority"),
            ("session-revoked", {"format": "complex", "user": ALICE, "org_unit": STREAM}, "discarded"),
        ],
        ids=str,
    )
    def test_it_is_written_down_once_with_its_reason(
        self, tmp_path: Path, kind: str, subject: Mapping[str, Any], outcome: str
    ) -> None:
        """Never silently dropped; sent again it is known, and raises no further alarm."""
        with hearing(tmp_path, {"idp": {"critical": frozenset({"org_unit"})}}) as office:
            for _ in range(2):
                assert office.hear(MAKER.event(kind, subject)).status == "accepted"
            (happening,) = office.tail()
            assert (happening.outcome, bool(happening.detail)) == (outcome, outcome != "noted")
            assert office.verdict() == set()
            label = "unknown" if "/" in kind else kind
            for each in (outcome, "known"):
                assert office.counted("extauthz_signals_total", stream="idp", kind=label, outcome=each) == 1
            alarms = office.counted("extauthz_alarms_total", what="outside_authority")
            assert alarms == (1 if outcome == "outside_authority" else 0)

    def test_what_is_heard_all_the_time_is_soon_forgotten(self, office: Hearing) -> None:
        """A transmitter may tell of every use of a session; what has to be looked at stays as long as revocations."""
        office.hear(MAKER.event("session-presented", jti="1"))
        office.hear(MAKER.event("verification", STREAM, jti="2"))
        office.hear(MAKER.event("session-revoked", {**ALICE, "iss": OTHER_ISSUER}, jti="3"))
        with office.keeper.reading() as query:
            kept = dict(query("SELECT id, until FROM signals", ()))
        assert {name: until - NOW for name, until in kept.items()} == {"1": 3600, "2": 3600, "3": 30 * 86400}

    def test_critical_members_are_learnt_from_the_transmitter(self, office: Hearing) -> None:
        """Before, the member is passed over; from then on the event is discarded."""
        subject = {"format": "complex", "user": ALICE, "org_unit": STREAM}
        office.desk.learn("idp", ["org_unit"])
        assert office.hear(MAKER.event("session-revoked", subject)).receipt is None
        assert office.tail()[0].outcome == "discarded"

    def test_too_many_at_once_wait_for_a_person(self, tmp_path: Path) -> None:
        """Accepted and durable, yet not in force; the answer says under which name it waits."""
        tenant = {"format": "complex", "tenant": {"format": "opaque", "id": "acme"}}
        with hearing(tmp_path, hold_above=2) as office:
            seen = [
                SessionSeen(issuer=ISSUER, session=f"s{n}", subject=f"u{n}", tenant="acme", source="10.0.0.1", at=NOW)
                for n in range(3)
            ]
            office.keeper.note_sessions(seen)
            heard = office.hear(MAKER.event("session-revoked", tenant))
            assert heard.status == "accepted"
            assert heard.receipt is not None
            assert (heard.receipt.held != "", heard.receipt.sessions) == (True, 3)
            assert office.verdict(tenant="acme") == set()
            assert office.keeper.admit(heard.receipt.held, "root") is not None
            assert office.verdict(tenant="acme") == "session_revoked"


class TestRefused:
    """What is no event for us leaves no trace."""

    @pytest.mark.parametrize(
        ("event", "err"),
        [
            ("x", "invalid_request"),
            (MAKER.mint(typ="JWT"), "invalid_request"),
            (MAKER.mint(iss="https://x.example"), "invalid_issuer"),
            (MAKER.mint(aud="https://x.example"), "invalid_audience"),
            (MAKER.unsigned(), "invalid_key"),
            (MAKER.forge(typ="secevent+jwt"), "invalid_key"),
            (MAKER.event("risk-level-change", current_level="BIG"), "invalid_request"),
            (MAKER.event("session-revoked", event_timestamp=NOW + 60), "invalid_request"),
            (MAKER.event("session-revoked", {"format": "email"}), "invalid_request"),
        ],
        ids=range(9),
    )
    def test_codes(self, office: Hearing, event: str, err: str) -> None:
        """Each with a sentence that says what is wrong."""
        heard = office.hear(event)
        assert (heard.status, heard.err, heard.receipt) == ("refused", err, None)
        assert heard.description
        assert (office.tail(), office.streams()) == ((), {})
        assert office.counted("extauthz_signals_total", stream="idp", kind="", outcome="refused") == 1

    def test_a_stream_that_is_not_configured(self, office: Hearing) -> None:
        """It is nobody's."""
        heard = office.hear(MAKER.event("session-revoked"), "other")
        assert (heard.status, heard.err) == ("refused", "access_denied")


class TestKeys:
    """Keys that are not in memory."""

    def test_a_new_key_is_looked_for_once(self, office: Hearing) -> None:
        """The transmitter has begun to sign with another one."""
        newer = EventMaker(kid="k2")
        office.keys.published = (newer,)
        assert office.hear(newer.event("session-revoked")).status == "accepted"
        assert office.keys.looks == [KeysOf(TRANSMITTER)]

    def test_a_key_that_is_not_published_is_invalid(self, office: Hearing) -> None:
        """The look was made, and it is not there."""
        heard = office.hear(EventMaker(kid="k2").event("session-revoked"))
        assert (heard.status, heard.err) == ("refused", "invalid_key")

    def test_while_keys_cannot_be_had_the_event_comes_again(self, office: Hearing) -> None:
        """It is not dropped because of us."""
        office.keys.known = MemoryKeys()
        office.keys.outcome = Fetched.UNAVAILABLE
        assert office.hear(MAKER.event("session-revoked")).status == "unavailable"
        assert office.verdict() == set()
        office.keys.known.add(MAKER)
        assert office.hear(MAKER.event("session-revoked")).status == "accepted"
        assert office.verdict() == "session_revoked"


class TestUnavailable:
    """Nothing is confirmed that is not in force, or may be lost."""

    def test_a_worker_that_does_not_confirm(self, office: Hearing) -> None:
        """It is durable, yet not confirmed; sent again, once the worker answers, it is."""
        event = MAKER.event("session-revoked")
        office.answering[0] = False
        assert office.hear(event).status == "unavailable"
        office.answering[0] = True
        assert office.hear(event).status == "accepted"
        assert len(office.tail()) == 1

    def test_a_state_that_cannot_be_written(self, tmp_path: Path) -> None:
        """The disk is gone; when it is back, the event that comes again is taken."""
        with hearing(tmp_path) as office:
            (tmp_path / "state.db").rename(tmp_path / "gone.db")
            heard = office.hear(MAKER.event("session-revoked"))
            noted = office.hear(MAKER.event("session-established", jti="e-2"))
            (tmp_path / "gone.db").rename(tmp_path / "state.db")
            assert {heard.status, noted.status} == {"unavailable"}
            assert heard.description == "try again shortly"
            assert office.tail() == ()
            assert office.hear(MAKER.event("session-revoked")).status == "accepted"


class TestStreams:
    """Events about the stream."""

    @pytest.mark.parametrize(
        ("state", "status", "err"),
        [("right", "accepted", ""), ("wrong", "refused", "invalid_state"), (None, "accepted", "")],
    )
    def test_verification(self, office: Hearing, state: str | None, status: str, err: str) -> None:
        """The state that we asked with, another one, and none: a transmitter may send one unasked."""
        sent = {"right": office.verifications.ask("idp"), "wrong": "wrong", None: None}[state]
        heard = office.hear(MAKER.event("verification", STREAM, state=sent))
        assert (heard.status, heard.err) == (status, err)
        assert bool(office.streams()) is (status == "accepted")

    @pytest.mark.parametrize("status", ["paused", "disabled"])
    def test_a_stream_that_stops_leaves_us_blind(self, office: Hearing, status: str) -> None:
        """Whoever needs its signals is refused, until it goes on; an older word that comes late changes nothing."""
        office.hear(MAKER.event("verification", STREAM, jti="v"))
        assert office.verdict(signals_needed=True) == set()
        assert office.hear(MAKER.event("stream-updated", STREAM, jti="1", status=status)).status == "accepted"
        assert office.streams()["idp"].status == status
        assert office.view.silent_streams() == ("idp",)
        assert office.verdict(signals_needed=True) == "signals_stale"
        assert office.verdict() == set()
        office.hear(MAKER.event("stream-updated", STREAM, jti="2", status="enabled", event_timestamp=NOW - 60))
        assert office.verdict(signals_needed=True) == "signals_stale"
        office.hear(MAKER.event("stream-updated", STREAM, jti="3", status="enabled", event_timestamp=NOW + 1))
        assert office.verdict(signals_needed=True) == set()
        assert office.view.silent_streams() == ()

    def test_an_event_that_was_kept_back_does_not_end_a_silence(self, office: Hearing) -> None:
        """A stream was heard when its transmitter signed, not when somebody brought it."""
        office.hear(MAKER.event("verification", STREAM, jti="1"))
        office.clock.advance(700)
        office.keeper.upkeep.beat()
        assert office.verdict(signals_needed=True) == "signals_stale"
        office.hear(MAKER.event("session-established", jti="2", now=NOW + 50))
        assert office.verdict(signals_needed=True) == "signals_stale"
        office.hear(MAKER.event("verification", STREAM, jti="3", now=NOW + 700))
        assert office.verdict(signals_needed=True) == set()


class TestHandle:
    """Questions through the socket."""

    def test_an_event(self, office: Hearing) -> None:
        """As `hear`, without the receipt."""
        answer = office.desk.handle({"op": "event", "stream": "idp", "token": MAKER.event("session-revoked")})
        assert answer == {"status": "accepted", "err": "", "description": ""}
        assert office.desk.handle({"op": "event", "stream": "idp", "token": "x"})["err"] == "invalid_request"

    def test_streams(self, office: Hearing) -> None:
        """Which there are."""
        assert office.desk.handle({"op": "streams"}) == {"streams": ["idp"]}

    @pytest.mark.parametrize("message", [{}, {"op": "event"}, {"op": "event", "stream": 7, "token": "x"}, {"op": "x"}])
    def test_anything_else_is_an_error(self, office: Hearing, message: dict[str, Any]) -> None:
        """And never an acceptance."""
        assert set(office.desk.handle(message)) == {"error"}
