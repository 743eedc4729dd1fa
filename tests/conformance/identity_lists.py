"""What identity has to get right, line by line, and the tests that fail when a line is broken.

The lines are those of the standards and of the attacks that broke other verifiers; `identity_promises.py` has the rest.
Tests are named by file, from `tests/` on, and function. `test_identity_lists.py` keeps the names true.
"""

from __future__ import annotations

from typing import Final

BEARER: Final = "conformance/test_bearer_checklist.py"
ATTACKS: Final = "conformance/test_jose_attacks.py"
STEP_UP: Final = "conformance/test_step_up_checklist.py"
DELEGATION: Final = "conformance/test_delegation_rules.py"
TOKEN: Final = "unit/identity/test_bearer.py"
BOUND: Final = "unit/identity/test_binding.py"
PROOF: Final = "unit/identity/test_dpop.py"
PROOF_CLAIMS: Final = "unit/identity/test_dpop_claims.py"
STATUS: Final = "unit/identity/test_status_list.py"
LISTS: Final = "unit/server/test_statuslists.py"
ASKED: Final = "unit/server/test_introspect.py"
KEYS: Final = "unit/server/test_keys.py"
EGRESS: Final = "unit/server/test_egress.py"
SHAPES: Final = "e2e/test_jwt_shapes.py"
MTLS: Final = "e2e/test_mtls.py"
DPOP: Final = "e2e/test_dpop.py"
OPAQUE: Final = "e2e/test_opaque.py"
API_KEYS: Final = "e2e/test_api_keys.py"
REGISTRY: Final = "e2e/test_registry.py"
ISSUERS: Final = "integration/test_introspection.py"

Lines = dict[str, list[tuple[str, str]]]
"""Line → file and test of everything that proves it."""

BEARER_TOKENS: Final[Lines] = {
    "no header, another scheme: 401 without error": [
        (BEARER, "test_without_a_credential_the_challenge_names_no_error")
    ],
    "`Bearer` alone, `Bearer a b`: 400 or 401, never 500": [
        (BEARER, "test_what_is_no_single_token_is_refused_and_not_our_failure"),
        ("property/test_identity.py", "test_any_text_as_header_ends_decided"),
    ],
    "expired beyond the leeway, `nbf` in the future, `iat` far in the future: invalid_token": [
        (BEARER, "test_a_wrong_claim_is_an_invalid_token"),
        (TOKEN, "test_a_token_is_good_until_its_expiry_and_the_leeway_after"),
        (TOKEN, "test_a_token_from_the_future_is_refused_beyond_the_leeway"),
    ],
    "`typ` of another kind, missing, with a space: 401": [(BEARER, "test_another_type_is_an_invalid_token")],
    "`typ` in another case, with `application/`: accepted": [(BEARER, "test_the_type_in_another_case_is_the_same")],
    "`alg` none, None, HS256 with the public key: 401": [
        (BEARER, "test_an_unsigned_token_and_one_signed_with_the_public_key_are_invalid"),
        (ATTACKS, "test_a_public_key_is_no_secret"),
    ],
    "`aud` of every wrong shape: 401": [
        (BEARER, "test_a_wrong_claim_is_an_invalid_token"),
        (ATTACKS, "test_other_audiences_are_refused"),
        (TOKEN, "test_a_claim_that_is_null_is_malformed"),
    ],
    "`aud` with ours among others: accepted": [(BEARER, "test_one_of_several_audiences_is_enough")],
    "issuer A with the `kid` of issuer B: 401, no foreign URL is fetched": [
        (BEARER, "test_a_token_with_anothers_key_name_asks_for_its_own_issuers_keys_only"),
        (KEYS, "test_a_need_of_an_unknown_issuer_fetches_nothing"),
        ("integration/test_issuers.py", "test_a_key_of_another_issuer_does_not_count"),
    ],
    "1000 tokens with random `kid`: at most one fetch for an issuer in a window": [
        (KEYS, "test_a_thousand_demands_in_one_window_cause_one_fetch"),
        (ISSUERS, "test_a_thousand_unknown_keys_cause_one_fetch_in_a_window"),
        ("e2e/test_failures.py", "test_storm_of_unknown_keys_is_not_passed_on"),
    ],
    "`jku` in the header: no connection": [(BEARER, "test_a_url_in_the_header_is_not_followed")],
    "duplicate `sub`, `exp: true`: 401": [(BEARER, "test_claims_with_two_readings_are_invalid")],
    "introspection 401, 500, late: 503, not 401": [
        (ASKED, "test_what_is_no_answer_is_an_outage_and_not_inactive"),
        (ISSUERS, "test_an_outage_is_never_inactive_and_recovery_needs_no_restart"),
    ],
    "scopes with quotes or line ends in a challenge: sanitised": [
        ("unit/response/test_challenge.py", "test_hostile_texts_stay_inside_their_parameter"),
        ("unit/response/test_challenge.py", "test_a_scope_that_cannot_be_written_is_left_out_and_never_altered"),
    ],
}

STEP_UPS: Final[Lines] = {
    "`acr` absent: 401 with the exact error; in the accepted set: allowed": [
        (STEP_UP, "test_another_context_or_none_is_challenged"),
        (STEP_UP, "test_a_context_of_the_accepted_ones_is_enough"),
    ],
    "`auth_time` 299 and 301 seconds ago, in the future, a string": [(STEP_UP, "test_the_sign_in_is_recent")],
    "`max_age` 0: asks for what nobody can have, so it is refused at load": [
        ("unit/policy/requirements/test_step_up.py", "test_what_asks_for_nothing_is_refused")
    ],
    "fresh `iat`, old `auth_time`: 401": [(STEP_UP, "test_a_renewed_token_is_no_sign_in")],
    "scope and `acr` missing: one 401 with both": [(STEP_UP, "test_scope_and_sign_in_are_asked_for_in_one_answer")],
    "bound to a key, weak `acr`: the scheme is DPoP, with `algs`": [
        (STEP_UP, "test_a_bound_token_is_challenged_in_its_own_scheme")
    ],
    "a machine: never a challenge to sign in": [(STEP_UP, "test_a_machine_is_not_told_to_sign_in")],
    "the header parses back, without duplicates": [(STEP_UP, "test_another_context_or_none_is_challenged")],
}

SENDER_CONSTRAINED: Final[Lines] = {
    "right certificate: allowed": [(MTLS, "test_a_bound_token_is_accepted_with_its_certificate")],
    "another certificate, none, or only in a header of the client's: 401 invalid_token": [
        (MTLS, "test_a_stolen_bound_token_is_refused"),
        (BOUND, "test_a_token_bound_to_a_certificate_needs_it"),
    ],
    "the same proof twice, also on a second process: 401 invalid_dpop_proof": [
        (DPOP, "test_a_proof_is_accepted_once"),
        (DPOP, "test_another_process_knows_what_was_used"),
        ("integration/test_spends_across_processes.py", "test_four_processes_share_what_there_is"),
    ],
    "`htu` in equivalent spellings: accepted": [
        (DPOP, "test_equivalent_addresses_are_accepted"),
        (PROOF_CLAIMS, "test_equivalent_addresses_are_accepted"),
    ],
    "`htu` with another path or host: 401": [
        (DPOP, "test_a_wrong_proof_is_refused"),
        (PROOF_CLAIMS, "test_other_addresses_are_refused"),
    ],
    "`htm` in lower case, of another method: 401": [
        (PROOF_CLAIMS, "test_the_method_is_compared_letter_by_letter"),
        (DPOP, "test_a_wrong_proof_is_refused"),
    ],
    "another key than `cnf.jkt`: 401": [
        (PROOF, "test_a_proof_by_another_key_is_refused"),
        (DPOP, "test_a_token_of_somebody_else_is_refused"),
    ],
    "`d` in `jwk`, HS256, `typ` JWT: 401": [
        (PROOF, "test_the_key_has_no_private_members"),
        (PROOF, "test_the_algorithm_is_one_that_is_accepted"),
        (PROOF, "test_the_type_is_exactly_dpop_jwt"),
        (DPOP, "test_a_wrong_proof_is_refused"),
    ],
    "`ath` missing or of another token: 401": [(PROOF_CLAIMS, "test_the_proof_is_for_this_very_token")],
    "`iat` an hour ago or in ten minutes: 401": [(PROOF_CLAIMS, "test_a_proof_is_accepted_for_a_short_time")],
    "bound to a key, sent as Bearer: 401": [
        (PROOF, "test_a_bound_token_as_bearer_is_a_downgrade"),
        (BOUND, "test_a_token_bound_to_a_key_is_refused_as_bearer"),
        (DPOP, "test_schemes"),
    ],
    "two `DPoP` lines, in both encodings: 401": [
        (PROOF, "test_there_is_exactly_one_proof"),
        (DPOP, "test_there_is_one_proof"),
        (DPOP, "test_another_process_knows_what_was_used"),
    ],
    "old nonce within the grace, and older": [(DPOP, "test_nonces"), ("integration/test_dpop.py", "test_nonces_pass")],
    "a huge `jti`, very many: bounded memory": [
        (PROOF_CLAIMS, "test_the_length_of_a_jti_is_bounded"),
        (DPOP, "test_a_huge_proof_harms_nobody"),
        ("integration/test_dpop.py", "test_many_different_proofs_take_bounded_room"),
    ],
}

DELEGATION_AND_WORKLOADS: Final[Lines] = {
    "a rule on the actor sees the outermost only": [
        (DELEGATION, "test_a_rule_on_the_actor_sees_the_outermost_one_only")
    ],
    "who acted before counts in rules on depth and on everybody involved only": [
        (DELEGATION, "test_rules_may_ask_whether_somebody_acts_and_how_many_did"),
        ("unit/policy/test_involves.py", "test_anybody_involved_counts"),
    ],
    "`may_act` alone is no delegation": [(DELEGATION, "test_who_could_act_does_not_act")],
    "`act` that is a string, or has no `sub`: refused": [
        (DELEGATION, "test_an_act_that_cannot_be_read_never_becomes_not_delegated"),
        ("unit/identity/test_delegation.py", "test_an_act_that_cannot_be_read_refuses_the_token"),
    ],
    "rights of two objects are not mixed": [
        (DELEGATION, "test_rights_of_two_objects_are_not_mixed"),
        ("unit/policy/requirements/test_details.py", "test_members_of_two_objects_are_never_put_together"),
    ],
    "SPIFFE IDs in other spellings: refused": [
        ("unit/identity/test_spiffe.py", "test_every_other_spelling_is_refused"),
        ("unit/identity/test_shapes_workloads.py", "test_what_is_no_spiffe_id_of_the_trust_domain_is_refused"),
        (MTLS, "test_certificates_that_envoy_accepts_and_we_do_not"),
    ],
    "two URI names: refused": [
        ("unit/identity/test_workload.py", "test_what_is_not_exactly_an_svid_is_refused"),
        (MTLS, "test_certificates_that_envoy_accepts_and_we_do_not"),
    ],
}

STATUS_LISTS: Final[Lines] = {
    "both vectors, every index; one beyond": [(STATUS, "test_vectors")],
    "negative, boolean and text index: refused": [(STATUS, "test_a_reference_that_is_none_refuses_the_token")],
    "`sub` off by a slash, `typ`, `bits` 3, garbage, truncated": [
        (STATUS, "test_a_list_that_breaks_a_rule_says_nothing"),
        (STATUS, "test_the_array_is_one_whole_stream_within_its_bound"),
    ],
    "provider down: the old answer until `exp`, then refused and counted": [
        (LISTS, "test_a_provider_that_is_down_costs_nothing_until_the_list_ends"),
        (ISSUERS, "test_a_status_list_revokes_and_a_flip_bites_no_later_than_its_ttl"),
    ],
    "a flip is in force no later than `ttl`": [
        (LISTS, "test_a_list_is_fetched_and_used_until_its_ttl"),
        (ISSUERS, "test_a_status_list_revokes_and_a_flip_bites_no_later_than_its_ttl"),
    ],
    "100 MB inflated: aborted": [(STATUS, "test_the_array_is_one_whole_stream_within_its_bound")],
    "`uri` of a metadata service: not fetched": [
        (STATUS, "test_a_list_elsewhere_is_not_fetched"),
        (ISSUERS, "test_a_token_without_status_is_not_fetched_for_and_an_expired_one_stays_expired"),
        ("unit/server/test_addresses.py", "test_some_are_refused_whatever_the_operator_says"),
    ],
    "no `status` where one is demanded: refused": [
        (STATUS, "test_what_the_operator_says_about_status"),
        (OPAQUE, "test_a_status_list_is_accepted_once_and_refuses_in_its_own_ways"),
    ],
}

ATTACK_TABLE: Final[Lines] = {
    "algorithm confusion": [
        (ATTACKS, "test_another_algorithm_is_refused"),
        (ATTACKS, "test_a_public_key_is_no_secret"),
        (ATTACKS, "test_a_key_serves_only_its_own_algorithm"),
        (ATTACKS, "test_eddsa_means_ed25519_and_nothing_else"),
    ],
    "injection by `kid`": [
        (ATTACKS, "test_kid_is_a_name_in_memory_and_nothing_else"),
        (ATTACKS, "test_a_kid_that_is_no_short_text_is_malformed"),
    ],
    "`jku`, `x5u`, `x5c`, `jwk`": [
        (ATTACKS, "test_keys_in_the_header_are_not_believed"),
        (PROOF, "test_a_key_by_reference_is_not_looked_for"),
    ],
    "`crit`, `b64`": [(ATTACKS, "test_extensions_are_refused")],
    "`typ`": [(ATTACKS, "test_other_kinds_of_token_are_refused")],
    "shapes of `aud`": [(ATTACKS, "test_other_audiences_are_refused")],
    "duplicate members, NaN and boolean times": [
        (ATTACKS, "test_claims_with_two_readings_or_odd_numbers_are_malformed")
    ],
    "JSON serialisation, encryption, second spellings": [
        (ATTACKS, "test_other_serialisations_are_no_token"),
        (ATTACKS, "test_a_second_spelling_of_a_good_token_is_no_token"),
    ],
    "oversized and deeply nested parts": [
        (ATTACKS, "test_oversized_parts_are_refused"),
        (ATTACKS, "test_deeply_nested_claims_are_refused"),
    ],
    "private members in published keys, shared secrets": [
        (ATTACKS, "test_a_key_that_was_published_with_its_private_half_verifies_nothing"),
        (ATTACKS, "test_a_shared_secret_in_a_key_set_is_no_key"),
    ],
    "keys of another issuer": [(ATTACKS, "test_a_token_for_one_issuer_is_not_verified_with_anothers_keys")],
}
