"""Every hard bound, with its unit, its reason and its source. A bound that two places share is shared here."""

from __future__ import annotations

from typing import Final

# --- the Check message ------------------------------------------------------------------------------------------------

MAX_CHECK_BYTES: Final = 4 * 1024 * 1024
"""Bytes of a serialised CheckRequest that we decide on its merits; a larger one is refused with 413. It is gRPC's usual
receive limit. The gRPC receive limit itself is *off*: exceeding it answers RESOURCE_EXHAUSTED, which Envoy counts as an
error and lets through under `failure_mode_allow`. What a client can send is bounded by Envoy (`max_request_bytes`)."""

# --- HTTP -------------------------------------------------------------------------------------------------------------

MAX_PATH_BYTES: Final = 8192
"""Bytes of path and query; common servers stop between 8,000 (RFC 9110 section 4.1 recommendation) and 16 KiB."""

MAX_HEADERS: Final = 256
"""Different header names of one request; Envoy's own default is 100 lines. Names are counted, and not lines, so that a
request is answered alike whether Envoy shows its lines merged or one by one."""

MAX_HEADER_NAME_BYTES: Final = 256
"""Bytes of one header name; no registered name comes near, and names are kept in a cache."""

MAX_HEADER_VALUE_BYTES: Final = 65536
"""Bytes of the values of one header name, joined. Envoy's default for all request headers together is 60 KiB."""

MAX_HOST_BYTES: Final = 253
"""Octets of a DNS name in text form (RFC 1035 section 2.3.4 less the length octets)."""

MAX_QUERY_PARAMETERS: Final = 256
"""Query parameters of one request; more is an attack on whoever parses them."""

MAX_REQUEST_ID_CHARACTERS: Final = 128
"""Characters of `x-request-id` that we keep; Envoy's own are UUIDs of 36."""

# --- JSON -------------------------------------------------------------------------------------------------------------

MAX_JSON_DEPTH: Final = 32
"""Nesting of any JSON text we read (claims, keys, bodies). Deeper documents exist to exhaust parsers."""

MAX_JSON_INTEGER_DIGITS: Final = 20
"""Characters of an integer in a JSON text: as many as a 64-bit value needs, sign included. Longer ones cost quadratic
time and are read differently by parsers that use doubles (RFC 8259 section 6)."""

MAX_BODY_JSON_BYTES: Final = 1024 * 1024
"""Bytes of a request body that policy may read."""

MAX_FORM_FIELDS: Final = 256
"""Fields of a form that policy reads; more is an attack on whoever parses them."""

# --- tokens -----------------------------------------------------------------------------------------------------------

MAX_TOKEN_BYTES: Final = 16384
"""Bytes of a compact JWS. Envoy's header limits make longer ones unlikely; an unbounded one costs hashing and memory
before any check."""

MAX_JOSE_HEADER_BYTES: Final = 2048
"""Bytes of a decoded JOSE header; ours need `alg`, `kid`, `typ`."""

MAX_KID_BYTES: Final = 256
"""Bytes of a `kid`. It is a look-up key in memory and nothing else."""

MAX_CLAIM_STRING_BYTES: Final = 2048
"""Bytes of a claim that becomes part of an identity (a SPIFFE ID may be 2048 bytes long)."""

MAX_NUMERIC_DATE: Final = 253_402_300_799
"""Seconds since the epoch: the end of the year 9999. A later NumericDate is no time, and huge integers break
arithmetic."""

MAX_DELEGATION_DEPTH: Final = 4
"""Actors in one `act` chain (RFC 8693 section 4.1), the outermost included."""

MAX_AUTHORIZATION_DETAILS: Final = 64
"""Objects in `authorization_details`; a token of `MAX_TOKEN_BYTES` holds hardly more that mean anything."""

MAX_MAPPED_LIST: Final = 256
"""Texts that a mapping expression may give for one field of an identity."""

DEFAULT_LEEWAY_SECONDS: Final = 5
"""Clock difference tolerated between issuers and us."""

# --- client certificates ----------------------------------------------------------------------------------------------

MAX_CERTIFICATE_BYTES: Final = 16384
"""Bytes of one client certificate, DER. Usual ones have 500 to 2,000; long lists of names make the largest."""

MAX_CHAIN_CERTIFICATES: Final = 8
"""Certificates in one forwarded chain, the client's own included; real chains have two to four."""

MAX_SPIFFE_ID_BYTES: Final = 2048
"""Bytes of a SPIFFE ID (SPIFFE-ID, section 2.3)."""

MAX_TRUST_DOMAIN_BYTES: Final = 255
"""Bytes of a SPIFFE trust domain (SPIFFE-ID, section 2.3)."""

MAX_AUTHORITIES_BYTES: Final = 1024 * 1024
"""Bytes of a file of certificate authorities; a bundle of a hundred takes about 200 KiB."""

MAX_PROOF_BYTES: Final = 8192
"""Bytes of a DPoP proof, which holds a key and five short claims; with RSA keys of 8192 bits some 4 KiB."""

MAX_PROOF_ID_CHARACTERS: Final = 256
"""Characters of a proof's `jti`; 96 random bits are enough (RFC 9449 section 4.2)."""

MIN_NONCE_SECRET_BYTES: Final = 32
"""Bytes of the secret that nonces are made from: as many as the digest of the MAC has (RFC 2104 section 3)."""

# --- security events -------------------------------------------------------------------------------------------------

MAX_EVENT_TOKEN_BYTES: Final = 65536
"""Bytes of a security event token; usual ones have under 2,000, reasons in many languages make them longer."""

MAX_EVENT_ID_CHARACTERS: Final = 256
"""Characters of an event's `jti`, which is remembered; usual ones have 36."""

MAX_EVENT_SUBJECTS: Final = 16
"""Ways of naming one subject (`aliases`) that are read; each becomes a restriction of its own."""

# --- keys -------------------------------------------------------------------------------------------------------------

MAX_JWKS_BYTES: Final = 512 * 1024
"""Bytes of a key set or discovery document that we read from an issuer."""

MAX_INTROSPECTION_BYTES: Final = 16384
"""Bytes of an issuer's answer about a token; it says what a token says, which is bounded alike."""

MAX_SECRET_BYTES: Final = 4096
"""Bytes of a file that holds a secret of ours."""

MAX_STATUS_LISTS_BYTES: Final = 64 * 1024 * 1024
"""Bytes of all status lists in memory together, inflated: the status of some five hundred million tokens."""

MAX_KEYS_PER_ISSUER: Final = 100
"""Keys of one issuer that we keep."""

MIN_RSA_BITS: Final = 2048
"""RFC 7518 section 3.3."""

MAX_RSA_BITS: Final = 8192
"""Verifying costs the square of the length; an issuer with a longer key would slow every decision."""

# --- what we write ----------------------------------------------------------------------------------------------------

MAX_RECORDED_TEXT: Final = 1024
"""Characters of any text from a request that goes into a decision record or dynamic metadata."""

MAX_RECORDED_LIST: Final = 64
"""Entries of any list of a caller's (scopes, roles, groups) that go into a decision record; tokens rarely have ten."""

MAX_ANSWER_HEADER_BYTES: Final = 16384
"""Bytes of one header value in an answer; Envoy's own bound for `HeaderValue.value`."""

MAX_CHALLENGE_TEXT: Final = 1024
"""Characters of one parameter of `WWW-Authenticate`; together they stay below common header limits of clients."""

MAX_PROBLEM_TEXT: Final = 1024
"""Characters of `detail` in a problem body."""

MAX_PROBLEM_REMEDIES_BYTES: Final = 8192
"""Bytes of the remedies in a problem body."""

# --- policy -----------------------------------------------------------------------------------------------------------

MAX_ATTRIBUTE_LENGTH: Final = MAX_RECORDED_TEXT
"""Characters of one resource attribute, so that the record shows the whole value that was decided on."""

MAX_CONDITION_LENGTH: Final = 4096
"""Characters of one CEL expression; longer ones are several rules."""

# --- files of the operator --------------------------------------------------------------------------------------------

MAX_YAML_BYTES: Final = 16 * 1024 * 1024
"""Bytes of one settings or policy file; ten thousand resources take about 2 MiB."""

MAX_YAML_DEPTH: Final = 32
"""Nesting of a settings or policy file; ours need about eight."""

# --- how security events arrive ---------------------------------------------------------------------------------------

MAX_PUSH_HEAD_BYTES: Final = 16 * 1024
"""Bytes of request line and headers of a pushed event; nobody else's headers travel with one."""

MAX_POLL_BYTES: Final = 8 * 1024 * 1024
"""Bytes of one answer to a poll: a hundred events as large as may be, or some thousands of usual ones."""
