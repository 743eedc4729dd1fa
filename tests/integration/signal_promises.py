"""What a receiver of security events promises (Shared Signals 1.0, CAEP 1.0), whichever way events arrive.

Each promise is a function of a running scene. `test_receiver_push.py` and `test_receiver_poll.py` keep all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.integration.signalled import ACCEPTED, ALLOWED, DISABLED, REVOKED, Scene, seconds_of_patience
from tests.simulators.tokens import ISSUER
from tests.simulators.transmitter import CAEP, RISC, SSF, STREAM_ID

if TYPE_CHECKING:
    from collections.abc import Callable


def malformed_events_are_invalid_requests(scene: Scene) -> None:
    """Wrong type, `exp`, `sub`, no `sub_id`, two events: refused, and nothing changes."""
    token = scene.mint("sound")
    two: dict[str, Any] = {CAEP + "session-revoked": {}, CAEP + "credential-change": {}}
    bad = [
        scene.revoke("sound", typ="JWT"),
        scene.revoke("sound", typ=None),
        scene.revoke("sound", exp=9_999_999_999),
        scene.revoke("sound", sub="sound"),
        scene.revoke("sound", sub_id=None),
        scene.revoke("sound", sub_id="sound"),
        scene.revoke("sound", events=two),
        scene.revoke("sound", events={}),
        scene.revoke("sound", jti=None),
        "not a token",
    ]
    assert [scene.send(event) for event in bad] == ["invalid_request"] * len(bad)
    assert scene.outcome(token) == ALLOWED


def events_of_others_have_their_own_codes(scene: Scene) -> None:
    """Wrong issuer, wrong audience, unknown key, another's signature, no signature."""
    token = scene.mint("others")
    assert scene.send(scene.revoke("others", iss="https://other.example")) == "invalid_issuer"
    assert scene.send(scene.revoke("others", aud="https://others.example")) == "invalid_audience"
    assert scene.send(scene.revoke("others", aud=None)) == "invalid_audience"
    assert scene.send(scene.revoke("others", headers={"kid": "unknown"})) == "invalid_key"
    assert scene.send(scene.transmitter.unsigned(subject={"format": "opaque", "id": "x"})) == "invalid_key"
    signed, another = scene.revoke("others"), scene.revoke("others")
    assert scene.send(f"{signed.rpartition('.')[0]}.{another.rpartition('.')[2]}") == "invalid_key"
    assert scene.outcome(token) == ALLOWED


def an_event_twice_is_accepted_twice_and_applied_once(scene: Scene) -> None:
    """By its `jti`; the second time nothing is newer than the first."""
    event = scene.revoke("twice", happened=10)
    assert scene.send(event) == ACCEPTED
    first = scene.applied(event)
    assert len(first) == 1
    assert scene.send(event) == ACCEPTED
    assert scene.applied(event) == first


def a_revoked_session_ends_earlier_tokens_and_no_newer_one(scene: Scene) -> None:
    """At the next decision, although the answer was kept."""
    old = scene.mint("revoked", age=60)
    for _ in range(3):
        assert scene.outcome(old) == ALLOWED
    assert scene.send(scene.revoke("revoked", happened=30)) == ACCEPTED
    assert scene.outcome(old) == REVOKED
    assert scene.outcome(scene.mint("revoked", age=5)) == ALLOWED
    assert scene.outcome(scene.mint("somebody else", age=60)) == ALLOWED


def the_latest_by_event_time_holds(scene: Scene) -> None:
    """In whatever order events arrive."""
    token = scene.mint("toggled")
    assert scene.send(scene.event(RISC + "account-disabled", "toggled", happened=50)) == ACCEPTED
    assert scene.outcome(token) == DISABLED
    assert scene.send(scene.event(RISC + "account-enabled", "toggled", happened=20)) == ACCEPTED
    assert scene.outcome(token) == ALLOWED
    assert scene.send(scene.event(RISC + "account-disabled", "toggled", happened=30)) == ACCEPTED
    assert scene.outcome(token) == ALLOWED
    assert scene.send(scene.event(RISC + "account-disabled", "toggled", happened=10)) == ACCEPTED
    assert scene.outcome(token) == DISABLED


def a_tenant_alone_means_all_its_members(scene: Scene) -> None:
    """A member of a complex subject that is missing matches anybody."""
    inside, outside = scene.mint("x", tenant="red"), scene.mint("x", tenant="blue")
    assert {scene.outcome(inside), scene.outcome(outside)} == {ALLOWED}
    tenant = {"format": "complex", "tenant": {"format": "opaque", "id": "red"}}
    assert scene.send(scene.revoke(tenant)) == ACCEPTED
    assert (scene.outcome(inside), scene.outcome(outside)) == (REVOKED, ALLOWED)


def an_unknown_critical_member_discards_the_event(scene: Scene) -> None:
    """The transmitter's metadata say that `org_unit` is critical; the event is accepted, and changes nothing."""
    scene.transmitter.metadata = {"critical_subject_members": ["tenant", "org_unit"]}
    token = scene.mint("critical")
    user = {"format": "iss_sub", "iss": ISSUER, "sub": "critical"}
    event = scene.revoke({"format": "complex", "user": user, "org_unit": {"format": "opaque", "id": "o"}})
    assert scene.send(event) == ACCEPTED
    assert scene.outcome(token) == ALLOWED
    assert scene.applied(event) == []
    told = scene.ask_keeper(op="tail", after=None, limit=100)["events"]
    assert "discarded" in {each["outcome"] for each in told}


def verification_brings_back_our_state(scene: Scene) -> None:
    """Right or absent is in order, wrong is `invalid_state`, another stream's is not ours."""
    stream = scene.transmitter.streams[STREAM_ID]
    seconds_of_patience(lambda: stream.states)

    def verification(state: str | None, **subject: str) -> str:
        payload = {} if state is None else {"state": state}
        opaque = {"format": "opaque", "id": STREAM_ID, **subject}
        return scene.event(SSF + "verification", opaque, payload=payload)

    assert scene.send(verification(stream.states[0])) == ACCEPTED
    assert scene.send(verification(None)) == ACCEPTED
    assert scene.send(verification("made up")) == "invalid_state"
    assert scene.send(verification(None, id="another")) == "invalid_request"


def a_paused_stream_shows(scene: Scene) -> None:
    """Until it is enabled again."""

    def updated(status: str) -> str:
        opaque = {"format": "opaque", "id": STREAM_ID}
        return scene.event(SSF + "stream-updated", opaque, payload={"status": status})

    assert scene.send(updated("paused")) == ACCEPTED
    assert scene.stream()["status"] == "paused"
    assert scene.send(updated("enabled")) == ACCEPTED
    assert scene.stream()["status"] == "enabled"


def a_replay_from_long_ago_lifts_nothing(scene: Scene) -> None:
    """An `account-enabled` of last week, sent again after the account was disabled."""
    enabled = scene.event(RISC + "account-enabled", "replayed", age=600_000, happened=600_000)
    token = scene.mint("replayed")
    assert scene.send(enabled) == ACCEPTED
    assert scene.send(scene.event(RISC + "account-disabled", "replayed", happened=5)) == ACCEPTED
    for replay in (enabled, scene.event(RISC + "account-enabled", "replayed", happened=600_000)):
        assert scene.send(replay) == ACCEPTED
        assert scene.outcome(token) == DISABLED


def nobody_is_reported_about_beyond_the_streams_authority(scene: Scene) -> None:
    """Another issuer's caller, and a kind of event that the stream may not report: accepted, without effect."""
    token = scene.mint("beyond")
    foreign = {"format": "iss_sub", "iss": "https://unknown.example", "sub": "beyond"}
    for event in (scene.revoke(foreign), scene.event(RISC + "account-purged", "beyond")):
        assert scene.send(event) == ACCEPTED
        assert scene.applied(event) == []
    assert scene.outcome(token) == ALLOWED


PROMISES: Final[tuple[Callable[[Scene], None], ...]] = (
    malformed_events_are_invalid_requests,
    events_of_others_have_their_own_codes,
    an_event_twice_is_accepted_twice_and_applied_once,
    a_revoked_session_ends_earlier_tokens_and_no_newer_one,
    the_latest_by_event_time_holds,
    a_tenant_alone_means_all_its_members,
    verification_brings_back_our_state,
    a_paused_stream_shows,
    a_replay_from_long_ago_lifts_nothing,
    nobody_is_reported_about_beyond_the_streams_authority,
)
