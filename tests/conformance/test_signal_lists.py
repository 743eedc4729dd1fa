"""What hearing signals has to get right, line by line, and the tests that fail when a line is broken.

The lines are those of RFC 8417, 8935, 8936 and 9493, of Shared Signals 1.0, CAEP 1.0 and RISC 1.0, and of attacks on
receivers. Tests are named by file, from `tests/` on, and function.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.conformance.test_identity_lists import names_in

TOKEN: Final = "unit/signals/test_event_token.py"
SUBJECTS: Final = "unit/signals/test_subjects.py"
AUTHORITY: Final = "unit/signals/test_authority.py"
EVENTS: Final = "unit/signals/test_events.py"
DESK: Final = "unit/keeper/test_signaldesk.py"
KEEPER: Final = "unit/keeper/test_keeper.py"
STREAMS: Final = "unit/keeper/test_streams.py"
PUSH: Final = "unit/receiver/test_push.py"
POLL: Final = "unit/receiver/test_poll.py"
HEARD: Final = "integration/test_receiver_push.py"
DURABLE: Final = "integration/test_receiver_durability.py"
PAGE: Final = "conformance/test_signals_page.py"
SEEN: Final = "unit/identity/test_restrictions.py"
CONCERNED: Final = "unit/identity/test_restrictions_concern.py"
ANY: Final = "property/test_signals.py"

LINES: Final[dict[str, list[tuple[str, str]]]] = {
    "`typ` JWT, with `exp`, with `sub`, without `sub_id`, two events: 400 invalid_request": [
        (TOKEN, "test_another_type_is_an_invalid_request"),
        (TOKEN, "test_what_is_not_one_event_about_one_subject_is_an_invalid_request"),
        (DESK, "test_codes"),
        (PUSH, "test_what_the_desk_refuses_is_400_as_the_rfc_says"),
    ],
    "wrong issuer, audience, unknown key, alg none: their own codes": [
        (TOKEN, "test_another_issuer_is_invalid_issuer"),
        (TOKEN, "test_another_audience_is_invalid_audience"),
        (TOKEN, "test_an_unsigned_event_is_an_invalid_key"),
        (TOKEN, "test_an_algorithm_that_the_stream_does_not_use_is_an_invalid_key"),
        (TOKEN, "test_a_wrong_signature_is_an_invalid_key"),
        (TOKEN, "test_a_short_rsa_key_never_counts"),
        (DESK, "test_a_key_that_is_not_published_is_invalid"),
    ],
    "bad push `Authorization`: 400 authentication_failed": [
        (PUSH, "test_another_authorization_is_400_authentication_failed"),
        (PUSH, "test_two_authorizations_are_none"),
    ],
    "same `jti` twice: accepted twice, applied once": [
        (DESK, "test_the_same_event_twice_is_applied_once"),
        (KEEPER, "test_an_action_is_carried_out_once"),
        (KEEPER, "test_two_at_once_are_carried_out_once"),
    ],
    "202 is empty, and is said when nothing can be lost any more": [
        (PUSH, "test_what_the_desk_accepts_is_202_with_nothing_else"),
        (PUSH, "test_202_waits_for_the_desk"),
        (PUSH, "test_whatever_is_not_certain_is_503_and_comes_again"),
        (DURABLE, "test_what_was_confirmed_survives_a_kill_right_after"),
        (DURABLE, "test_the_state_is_synced_before_every_202"),
        (DESK, "test_a_worker_that_does_not_confirm"),
        (DESK, "test_a_state_that_cannot_be_written"),
        (DESK, "test_while_keys_cannot_be_had_the_event_comes_again"),
    ],
    "`session-revoked`: earlier `auth_time` or `iat` denied, a newer token allowed": [
        (DESK, "test_a_revoked_session_is_over_and_a_new_sign_in_is_not"),
        (SEEN, "test_what_is_revoked_of_a_person_was_issued_before"),
        (DESK, "test_software_waits_for_a_person"),
    ],
    "out of order: the latest by event time holds": [
        (EVENTS, "test_every_order_gives_the_same"),
        (EVENTS, "test_of_two_at_once_the_narrower_holds"),
        (DESK, "test_disabled_and_enabled"),
    ],
    "an event in the future is refused, also by milliseconds taken for seconds": [
        (EVENTS, "test_what_does_not_conform_is_an_invalid_request"),
        (TOKEN, "test_clocks_may_differ_by_the_leeway"),
    ],
    "complex subject with a tenant only: all of its members": [
        (SUBJECTS, "test_a_tenant_alone_is_all_of_its_members"),
        (DESK, "test_a_tenant_is_all_of_its_members"),
    ],
    "a member missing on either side of a complex subject matches": [
        (SUBJECTS, "test_the_most_specific_member_is_the_target"),
        (SUBJECTS, "test_a_member_that_we_have_no_use_for_is_passed_over"),
        (CONCERNED, "test_all_that_is_named_has_to_be_met_or_not_said"),
    ],
    "unknown critical member: discarded and logged": [
        (SUBJECTS, "test_a_critical_member_that_we_cannot_use_ends_it"),
        (AUTHORITY, "test_critical_members_discard"),
        (DESK, "test_it_is_written_down_once_with_its_reason"),
        (DESK, "test_critical_members_are_learnt_from_the_transmitter"),
    ],
    "verification with right, wrong and absent state": [
        (DESK, "test_verification"),
        (AUTHORITY, "test_another_subject_is_refused"),
    ],
    "stream paused: health says so, callers are refused": [
        (DESK, "test_a_stream_that_stops_leaves_us_blind"),
        (HEARD, "test_a_stream_that_falls_silent_refuses_its_issuers_callers"),
        ("unit/server/test_metrics_http.py", "test_readiness_tells_what_is_missing"),
    ],
    "poll: setErrs for the bad, ack for the good, moreAvailable followed": [
        (POLL, "test_what_is_refused_is_reported_and_the_good_ones_are_acknowledged"),
        (POLL, "test_events_are_acknowledged_after_the_desk_has_them"),
        (POLL, "test_more_than_fits_is_fetched_at_once"),
        (POLL, "test_a_restart_loses_nothing"),
    ],
    "a replay from far in the past un-revokes nothing": [
        (EVENTS, "test_a_replay_from_far_in_the_past_lifts_nothing"),
        (DESK, "test_a_replay_from_far_in_the_past_lifts_nothing"),
    ],
    "identifiers have exactly the members of their format; aliases are not nested": [
        (SUBJECTS, "test_each_format_has_exactly_its_members"),
        (SUBJECTS, "test_aliases_are_one_level_deep"),
        (SUBJECTS, "test_malformed_ones_are_refused"),
    ],
    "`email`, `iss_sub` and `opaque` are accepted": [
        (SUBJECTS, "test_what_names_a_caller"),
        (SUBJECTS, "test_other_names_of_users_count_where_the_settings_say_so"),
        (DESK, "test_verification"),
    ],
    "every value of `credential-change` is interpreted": [
        (EVENTS, "test_effects"),
        (PAGE, "test_the_table_is_complete"),
        (PAGE, "test_the_table_is_what_the_code_does"),
    ],
    "an older `subject` inside of the event must say the same": [
        (TOKEN, "test_an_older_subject_that_says_the_same_is_accepted"),
        (TOKEN, "test_what_is_not_one_event_about_one_subject_is_an_invalid_request"),
    ],
    "unknown members and events are ignored": [
        (TOKEN, "test_a_valid_event_is_read"),
        (EVENTS, "test_an_event_that_we_do_not_know_is_said_to_be_one"),
    ],
    "a stream reports within its issuers, tenants and kinds, or raises an alarm": [
        (AUTHORITY, "test_callers_of_other_issuers_are_out_of_reach"),
        (AUTHORITY, "test_tenants"),
        (AUTHORITY, "test_kinds_that_are_not_listed_take_no_effect"),
        (DESK, "test_another_streams_users_are_out_of_reach"),
        (ANY, "test_any_event_about_anybody_is_read_or_refused"),
    ],
    "a stream lifts only what it said itself": [
        (DESK, "test_a_stream_with_the_same_authority_lifts_only_its_own"),
        (EVENTS, "test_lifting_is_about_the_same_row"),
        (AUTHORITY, "test_lifting_needs_the_whole_subject"),
        (KEEPER, "test_a_stream_lifts_its_own_only"),
    ],
    "one user is never a whole tenant": [
        (SUBJECTS, "test_one_user_is_never_a_whole_tenant"),
        (SUBJECTS, "test_only_members_that_we_have_no_use_for_name_nobody"),
        (EVENTS, "test_the_risk_of_what_we_cannot_tell_apart"),
    ],
    "too many sessions at once wait for a person": [
        (DESK, "test_too_many_at_once_wait_for_a_person"),
        (KEEPER, "test_too_many_sessions_are_held_for_a_person"),
    ],
    "an event that was kept back does not end a silence": [
        (DESK, "test_an_event_that_was_kept_back_does_not_end_a_silence"),
    ],
    "keys come from the transmitter's own metadata, and from nobody else's": [
        (STREAMS, "test_keys_are_discovered_by_the_transmitters_own_metadata"),
        (STREAMS, "test_metadata_of_somebody_else_bring_no_keys"),
    ],
    "all of it holds for a whole server, by push and by poll": [
        (HEARD, "test_promise"),
        ("integration/test_receiver_poll.py", "test_promise"),
        ("e2e/test_workers.py", "test_what_the_receiver_is_sent_is_in_force_on_every_worker"),
    ],
    "whatever is sent is read or refused": [
        (ANY, "test_any_text_is_refused"),
        (ANY, "test_any_signed_claims_are_read_or_refused"),
    ],
}
"""Line → file and test of everything that proves it."""


@pytest.mark.parametrize("line", LINES)
def test_every_line_has_tests_that_exist(line: str) -> None:
    """A renamed or removed test is noticed here."""
    assert LINES[line]
    assert [f"{file}::{test}" for file, test in LINES[line] if test not in names_in(file)] == []


def test_a_name_that_is_gone_would_be_noticed() -> None:
    """The control."""
    assert "test_codes" in names_in(DESK)
    assert "test_code" not in names_in(DESK)
