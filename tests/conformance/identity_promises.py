"""What is promised about credentials beyond the standards' lists, and the tests that fail when it is broken."""

from __future__ import annotations

from typing import Final

from tests.conformance.identity_lists import (
    API_KEYS,
    ASKED,
    DELEGATION,
    DPOP,
    EGRESS,
    ISSUERS,
    KEYS,
    MTLS,
    OPAQUE,
    REGISTRY,
    SHAPES,
    STATUS,
    TOKEN,
    Lines,
)

ORIGIN: Final = "unit/server/test_keyorigin.py"
REMOTE: Final = "unit/server/test_remote.py"
CARRIER: Final = "test_only_the_declared_carrier_reaches_the_upstream"

KINDS: Final[Lines] = {
    "each JWT shape is accepted, and refused in its own ways": [
        (SHAPES, "test_each_shape_is_accepted"),
        (SHAPES, "test_each_shape_is_refused_in_its_own_ways"),
        (SHAPES, "test_a_token_of_one_shape_is_nothing_at_the_resource_of_another"),
    ],
    "GitHub: numbers and both forms of `sub`": [
        ("unit/identity/test_shapes_ci.py", "test_both_forms_of_subject_and_an_organisations_own_are_accepted"),
        ("unit/identity/test_shapes_ci.py", "test_a_subject_with_other_numbers_than_the_claims_is_refused"),
    ],
    "GitLab, Kubernetes, SPIFFE": [
        ("unit/identity/test_shapes_ci.py", "test_a_token_of_gitlab_ci"),
        ("unit/identity/test_shapes_workloads.py", "test_a_token_of_a_service_account"),
        ("unit/identity/test_shapes_workloads.py", "test_a_trust_domain_signs_for_itself_only"),
    ],
    "transaction tokens are context only": [
        ("unit/identity/test_transaction.py", "test_it_proves_nobody"),
        (SHAPES, "test_a_verified_transaction_token_goes_on_unchanged_and_no_other"),
    ],
    "longest life and age": [
        (TOKEN, "test_a_token_may_live_as_long_as_its_issuer_may_say_and_no_longer"),
        (TOKEN, "test_a_profile_may_bound_the_age"),
    ],
    "opaque tokens are accepted, and refused in their own ways": [
        (OPAQUE, "test_opaque_tokens_are_accepted_once_and_refused_in_their_own_ways")
    ],
    "certificates of workloads and others": [
        (MTLS, "test_an_svid_is_accepted"),
        (MTLS, "test_a_plain_certificate_is_accepted"),
        (MTLS, "test_certificates_that_envoy_accepts_and_we_do_not"),
        (MTLS, "test_sources_that_disagree_are_refused"),
        (MTLS, "test_a_header_of_the_client_s_proves_nothing"),
    ],
    "DPoP is accepted once": [(DPOP, "test_a_proof_is_accepted_once"), (DPOP, "test_a_wrong_proof_is_refused")],
    "API keys: accepted, expired, revoked, from their networks": [
        (API_KEYS, "test_a_key_is_accepted_and_reaches_the_upstream_like_every_declared_carrier"),
        (API_KEYS, "test_a_wrong_key_is_refused"),
        (API_KEYS, "test_an_expired_key_is_refused"),
        (API_KEYS, "test_a_revoked_key_is_refused_at_the_next_request"),
        (API_KEYS, "test_a_key_is_accepted_from_its_networks_only"),
        (API_KEYS, "test_no_file_holds_a_secret"),
    ],
    "API keys: unknown costs as much as known, last use is recorded": [
        ("unit/identity/test_apikey.py", "test_an_unknown_key_costs_a_digest_too"),
        ("integration/test_api_key_freshness.py", "test_uses_are_listed_after_the_server_has_written_them"),
        ("unit/cli/test_keys.py", "test_a_rotated_key_has_a_successor_like_it"),
    ],
    "status lists, for each issuer": [
        (OPAQUE, "test_a_status_list_is_accepted_once_and_refuses_in_its_own_ways"),
        (STATUS, "test_what_the_operator_says_about_status"),
    ],
    "on whose behalf: in policy, records and upstream headers": [
        (DELEGATION, "test_the_record_and_the_upstream_learn_on_whose_behalf"),
        ("unit/identity/test_delegation.py", "test_the_longest_chain_is_read_and_a_longer_one_refused"),
    ],
    "a mapping is checked at load, and its failure names the rule": [
        ("unit/identity/test_expressions.py", "test_what_cannot_be_a_text_is_refused_at_load"),
        ("unit/identity/test_expressions.py", "test_what_gives_no_text_is_unmapped"),
        ("unit/identity/test_expressions.py", "test_no_refusal_echoes_a_claim"),
    ],
    "`token inspect` tells what the server decides": [
        (REGISTRY, "test_a_live_token_is_explained"),
        ("unit/tokentools/test_steps.py", "test_a_refusal_is_told_at_the_step_that_refused"),
        ("unit/tokentools/test_inspection.py", "test_a_bound_token_that_no_resource_would_take_is_refused"),
    ],
}

REGISTERED: Final[Lines] = {
    "one member in bad standing refuses all: subject, actor, anywhere in the chain": [
        (REGISTRY, "test_one_member_in_bad_standing_refuses_all_at_the_next_request"),
        ("unit/identity/test_standing.py", "test_one_member_in_bad_standing_refuses_all"),
    ],
    "the unknown are a choice": [(REGISTRY, "test_who_is_not_declared_is_refused_where_the_profile_says_so")],
    "the expired are refused": [("unit/identity/test_standing.py", "test_an_entry_ends_at_its_instant")],
    "roles where and until": [(REGISTRY, "test_a_binding_gives_a_role_only_where_it_says")],
    "a mistake changes nothing": [
        (REGISTRY, "test_a_broken_registry_changes_nothing"),
        ("property/test_registry_files.py", "test_no_edit_of_one_character_lifts_the_quarantine_unnoticed"),
    ],
}

COMBINATIONS: Final[Lines] = {
    "bearer: exactly the declared carrier goes upstream": [(SHAPES, CARRIER)],
    "DPoP: exactly the declared carrier goes upstream": [(DPOP, CARRIER)],
    "API key: exactly the declared carrier goes upstream": [(API_KEYS, CARRIER)],
    "certificate: nothing goes upstream": [(MTLS, "test_only_who_it_is_reaches_the_upstream")],
    "no credential declared: none goes upstream": [(SHAPES, "test_where_no_credential_is_declared_none_goes_on")],
    "a second one that could be the caller's: refused": [
        (SHAPES, "test_a_second_token_in_the_query_is_refused"),
        (API_KEYS, "test_two_credentials_are_refused"),
        (DPOP, "test_schemes"),
    ],
}

OUTAGES: Final[Lines] = {
    "evidence at hand keeps its latency; others are refused before Envoy gives up; recovery needs no restart": [
        (OPAQUE, "test_an_outage_costs_only_those_who_need_the_issuer"),
        (ISSUERS, "test_an_outage_is_never_inactive_and_recovery_needs_no_restart"),
        ("e2e/test_failures.py", "test_bad_issuer_costs_only_what_needs_it"),
        ("e2e/test_failures.py", "test_issuer_recovers"),
    ],
    "keys: floor, ceiling, cool-down, size, single flight, hard maximum age": [
        (ORIGIN, "test_a_server_is_asked_again_when_it_says_within_floor_and_ceiling"),
        (KEYS, "test_a_thousand_demands_in_one_window_cause_one_fetch"),
        (KEYS, "test_a_set_older_than_the_hard_maximum_is_not_believed"),
        (KEYS, "test_the_real_egress_client_and_a_lying_server_end_in_a_kept_set"),
        ("unit/server/test_fetch.py", "test_an_endless_body_is_cut_at_the_limit"),
    ],
    "discovery by both standards; a document that lies leads nowhere": [
        (ORIGIN, "test_discovery_locations_follow_both_standards"),
        (ORIGIN, "test_a_lying_document_leads_nowhere"),
    ],
    "introspection: bounded cache, bulkhead, deadline, breaker": [
        (ASKED, "test_an_answer_is_remembered_until_it_is_too_old"),
        (ASKED, "test_a_flood_of_made_up_tokens_asks_within_the_rate_and_drives_out_no_good_one"),
        (ASKED, "test_the_endpoint_is_discovered_and_looked_up_again_after_an_outage"),
        (REMOTE, "test_the_next_is_told_at_once_when_all_slots_are_taken"),
        (REMOTE, "test_who_waits_leaves_at_his_own_time_and_the_answer_is_kept_all_the_same"),
        (REMOTE, "test_a_failing_remote_is_left_alone_and_comes_back_without_a_restart"),
    ],
    "revalidate: the age counts from the start of the fetch": [
        (OPAQUE, "test_a_sensitive_resource_asks_anew"),
        (ASKED, "test_an_answer_is_remembered_until_it_is_too_old"),
        (ASKED, "test_who_needs_a_newer_answer_gets_one"),
    ],
    "one way out: listed hosts, pinned addresses, no redirects, no proxy of the environment, no metadata": [
        (EGRESS, "test_only_listed_hosts_are_called"),
        (EGRESS, "test_a_name_is_resolved_once_and_the_connection_goes_to_that_address"),
        (EGRESS, "test_a_listed_metadata_address_is_refused"),
        ("unit/server/test_fetch.py", "test_redirects_are_not_followed"),
        ("unit/server/test_fetch.py", "test_the_environments_proxy_is_not_used"),
        ("unit/server/test_addresses.py", "test_wrapping_never_helps"),
    ],
}
