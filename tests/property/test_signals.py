"""Whatever a transmitter sends is read, or refused with a code: no other end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import SignalError
from extauthz.model.restriction import Form
from extauthz.signals.effects import READERS
from extauthz.signals.event_token import EventToken, verify_event_token
from extauthz.signals.events import Outcome, Reported, read_event
from extauthz.signals.identifiers import FORMATS
from extauthz.signals.stream_events import KINDS
from tests.simulators.events import ALICE, PAYLOADS, EventMaker, stream_rules
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.ports import NeedsEvidence

MAKER = EventMaker()
KEYS = MAKER.key_source()
CODES = {"invalid_request", "invalid_key", "invalid_issuer", "invalid_audience"}
RULES = [
    stream_rules(),
    stream_rules(
        tenants=("acme",), critical=frozenset({"org_unit", "user"}), sub_formats=frozenset({"email", "opaque"})
    ),
    stream_rules(issuers=(ISSUER, "https://b.example"), stream_id=""),
    stream_rules(issuers=(ISSUER, "https://b.example"), tenants=("x", "acme")),
]

texts = st.text(max_size=8) | st.sampled_from(
    ["alice", ISSUER, "acme", "spiffe://prod.example/a", "", "HIGH", "DEVICE"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
formats = st.sampled_from([*FORMATS, "aliases", "ip-addresses", "complex", "badge"])
members = st.sampled_from([*{name for names in FORMATS.values() for name in names}, "identifiers", "ip-addresses"])
valid = st.sampled_from([{"format": name, **dict.fromkeys(needs, "x")} for name, needs in FORMATS.items()]) | st.builds(
    lambda issuer, name: {"format": "iss_sub", "iss": issuer, "sub": name},
    st.sampled_from([ISSUER, "https://b.example"]),
    st.sampled_from(["x", "acme", "alice"]),
)
identifiers = valid | st.builds(
    lambda name, rest: {**rest, "format": name}, formats, st.dictionaries(members, texts | values, max_size=3)
)
parts = st.sampled_from(["user", "device", "session", "application", "tenant", "org_unit", "group"])
subjects = identifiers | st.builds(
    lambda named: {"format": "complex", **named}, st.dictionaries(parts, valid | identifiers, max_size=4)
)
payloads = st.dictionaries(
    st.sampled_from(
        [*{name for each in PAYLOADS.values() for name in each}, "event_timestamp", "reason_admin", "state"]
    ),
    values | st.sampled_from(["not-compliant", "compliant", "LOW", "MEDIUM", "TENANT", "x509", "revoke", "decrease"]),
    max_size=4,
)
kinds = st.sampled_from([*[kind for kind, _ in READERS.values()], *KINDS.values(), "https://x.example/other"])


def hear(compact: str, rules_number: int = 0) -> Reported | NeedsEvidence | str:
    """Return what an event comes to, or the code that it is refused with."""
    rules = RULES[rules_number]
    try:
        token = verify_event_token(compact, rules, KEYS, NOW)
        return read_event(token, rules, NOW) if isinstance(token, EventToken) else token
    except SignalError as error:
        return error.err


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    """Nothing that nobody has signed is an event."""
    assert hear(text) in CODES


@given(
    st.dictionaries(st.sampled_from(["iss", "aud", "iat", "jti", "sub_id", "events", "exp", "txn"]), values, max_size=4)
)
def test_any_signed_claims_are_read_or_refused(changes: dict[str, Any]) -> None:
    """The transmitter itself may be broken, or taken over."""
    header = json.dumps({"alg": MAKER.alg, "kid": MAKER.kid, "typ": "secevent+jwt"}).encode()
    found = hear(MAKER.mint_raw(header, json.dumps({**MAKER.claims(), **changes}).encode()))
    assert isinstance(found, Reported) or found in CODES


@given(kinds, subjects | st.dictionaries(texts, values, max_size=3), payloads, st.integers(0, 3))
def test_any_event_about_anybody_is_read_or_refused(
    kind: str, subject: Mapping[str, Any], payload: dict[str, Any], rules_number: int
) -> None:
    """And never reaches beyond the authority of its stream, or lifts anything of another source."""
    rules = RULES[rules_number]
    found = hear(MAKER.event(kind, subject, **payload), rules_number)
    if not isinstance(found, Reported):
        assert found == "invalid_request"
        return
    changed = (*found.restrictions, *found.lifts)
    assert bool(changed) is (found.outcome is Outcome.APPLIED)
    for each in changed:
        assert {mark.issuer for mark in (each.mark, *each.also)} <= set(rules.issuers)
        assert each.source == rules.source
        assert each.event_at <= NOW + rules.leeway
        assert each.in_force or each.until is not None
        if rules.tenants:
            tenants = {(mark.issuer, mark.value) for mark in (each.mark, *each.also) if mark.form is Form.TENANT}
            assert {value for _, value in tenants} <= set(rules.tenants)
            assert {issuer for issuer, _ in tenants} >= {each.mark.issuer}


@given(kinds, subjects)
def test_reading_is_a_function(kind: str, subject: Mapping[str, Any]) -> None:
    """The same event comes to the same, so that one that is heard twice can be told apart from two."""
    compact = MAKER.event(kind, subject)
    assert hear(compact) == hear(compact)


def test_the_control() -> None:
    """The events that these tests change are ones that take effect."""
    found = hear(MAKER.event("session-revoked", ALICE))
    assert isinstance(found, Reported)
    assert found.outcome is Outcome.APPLIED
