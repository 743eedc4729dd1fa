"""A bound token is good in the hands of its sender only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.binding import verify_binding, verify_way
from extauthz.identity.certificate_rules import BindingRule, CertificateRules, Forwarded
from extauthz.identity.rules import Profile
from extauthz.model.identity import Binding, Identity
from extauthz.model.reason import Reason
from tests.simulators.client_certificates import Authority, element, request, uri
from tests.simulators.profiles import issuer_rules, prove
from tests.simulators.tokens import AUDIENCE, TokenMaker

if TYPE_CHECKING:
    from extauthz.model.request import Request

AUTHORITY = Authority()
ONE = AUTHORITY.issue(uri("spiffe://example.org/a"))
OTHER = AUTHORITY.issue(uri("spiffe://example.org/b"))
BOUND: dict[str, Any] = {"cnf": {"x5t#S256": ONE.thumbprint}}
BOUND_TO_KEY: dict[str, Any] = {"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}


def verified(
    claims: dict[str, Any],
    sent: Request,
    rule: BindingRule = BindingRule.ANY,
    forwarded: Forwarded = Forwarded.IGNORED,
) -> Binding | Reason:
    """Return the binding, or the reason of the refusal."""
    try:
        return verify_binding(claims, rule, sent, forwarded)
    except Refusal as refusal:
        return refusal.reason if refusal.detail else Reason.INTERNAL_ERROR


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (request(ONE), Binding.MTLS),
        (request(OTHER), Reason.BINDING_MISMATCH),
        (request(), Reason.BINDING_MISSING),
        (request(None, element(ONE)), Reason.BINDING_MISSING),
        (request(OTHER, element(ONE)), Reason.BINDING_MISMATCH),
        (request("nonsense"), Reason.CREDENTIALS_MALFORMED),
    ],
    ids=["its own", "another", "none", "only said by the client", "another beside the client's word", "unreadable"],
)
def test_a_token_bound_to_a_certificate_needs_it(sent: Request, outcome: Binding | Reason) -> None:
    """By the proxy's account; what the client says about itself does not count."""
    assert verified(BOUND, sent) is outcome


def test_a_trusted_header_is_as_good() -> None:
    """Also with the hash only."""
    for value in (element(ONE), element(ONE, cert=False)):
        assert verified(BOUND, request(None, value), forwarded=Forwarded.ONLY) is Binding.MTLS
    assert verified(BOUND, request(None, element(OTHER)), forwarded=Forwarded.ONLY) is Reason.BINDING_MISMATCH


@pytest.mark.parametrize("rule", BindingRule)
def test_a_token_bound_to_a_key_is_refused_as_bearer(rule: BindingRule) -> None:
    """Whatever the profile asks for: without a proof that would be a downgrade (RFC 9449 section 7.2)."""
    both = {"cnf": {**BOUND["cnf"], **BOUND_TO_KEY["cnf"]}}
    assert verified(BOUND_TO_KEY, request(ONE), rule) is Reason.BINDING_MISMATCH
    assert verified(both, request(ONE), rule) is Reason.BINDING_MISMATCH


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (BindingRule.ANY, "Authorization: DPoP"),
        (BindingRule.REQUIRED, "Authorization: DPoP"),
        (BindingRule.DPOP, "Authorization: DPoP"),
        (BindingRule.MTLS, "bound to your client certificate"),
        (BindingRule.NONE, "without `cnf`"),
    ],
)
def test_the_advice_for_a_token_bound_to_a_key_is_one_that_helps(rule: BindingRule, says: str) -> None:
    """A proof only where the profile takes tokens that are bound to keys."""
    with pytest.raises(Refusal) as refusal:
        verify_binding(BOUND_TO_KEY, rule, request(ONE), Forwarded.IGNORED)
    assert says in refusal.value.detail


@pytest.mark.parametrize(
    "confirmation",
    [{"jwk": {}}, {"kid": "a"}, {"x5t#S256": ONE.thumbprint, "jku": "https://a"}, {"x5t": "a"}, {"X5T#S256": "a"}],
)
def test_what_cannot_be_checked_is_refused(confirmation: dict[str, Any]) -> None:
    """Also beside what can."""
    assert verified({"cnf": confirmation}, request(ONE)) is Reason.BINDING_MISMATCH


@pytest.mark.parametrize("confirmation", [None, {}, [], "a", True, {"x5t#S256": 7}, {"x5t#S256": ""}])
def test_a_confirmation_of_the_wrong_shape_is_refused(confirmation: Any) -> None:
    """It never reads as "not bound"."""
    assert verified({"cnf": confirmation}, request(ONE)) is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize("spelling", [ONE.thumbprint + "=", ONE.digest.hex(), ONE.thumbprint.swapcase()])
def test_other_spellings_of_the_thumbprint_are_refused(spelling: str) -> None:
    """It is base64url without padding and nothing else (RFC 8705 section 3.1)."""
    assert verified({"cnf": {"x5t#S256": spelling}}, request(ONE)) is Reason.BINDING_MISMATCH


@pytest.mark.parametrize(
    ("rule", "unbound", "bound", "by_key"),
    [
        (BindingRule.NONE, None, Reason.BINDING_MISMATCH, Reason.BINDING_MISMATCH),
        (BindingRule.ANY, None, None, None),
        (BindingRule.REQUIRED, Reason.BINDING_MISSING, None, None),
        (BindingRule.MTLS, Reason.BINDING_MISSING, None, Reason.BINDING_MISMATCH),
        (BindingRule.DPOP, Reason.BINDING_MISSING, Reason.BINDING_MISMATCH, None),
    ],
)
def test_the_profile_says_how_tokens_must_be_bound(
    rule: BindingRule, unbound: Reason | None, bound: Reason | None, by_key: Reason | None
) -> None:
    """Line by line."""
    assert verified({}, request(ONE), rule) is (unbound or Binding.NONE)
    assert verified(BOUND, request(ONE), rule) is (bound or Binding.MTLS)
    if by_key is None:
        verify_way(Binding.DPOP, rule)
        return
    with pytest.raises(Refusal) as refusal:
        verify_way(Binding.DPOP, rule)
    assert refusal.value.reason is by_key


MAKER = TokenMaker(alg="EdDSA")


@pytest.mark.parametrize("rule", [BindingRule.ANY, BindingRule.MTLS])
def test_the_identity_says_how_it_is_bound(rule: BindingRule) -> None:
    """Through the only door: a token, a connection, an identity."""
    rules = issuer_rules()
    profile = Profile(name="api", audience=AUDIENCE, issuers={rules.issuer: rules}, binding=rule)
    sent = request(ONE, authorization=f"Bearer {MAKER.mint(**BOUND)}")
    found = prove(sent, profile, MAKER.key_source())
    assert isinstance(found, Identity)
    assert found.binding is Binding.MTLS
    stolen = request(OTHER, authorization=f"Bearer {MAKER.mint(**BOUND)}")
    with pytest.raises(Refusal) as refusal:
        prove(stolen, profile, MAKER.key_source())
    assert refusal.value.reason is Reason.BINDING_MISMATCH


@pytest.mark.parametrize(
    ("forwarded", "outcome"),
    [(Forwarded.IGNORED, Reason.BINDING_MISSING), (Forwarded.ONLY, Binding.MTLS), (Forwarded.LAST, Binding.MTLS)],
)
def test_the_profile_says_whether_the_header_is_trusted(forwarded: Forwarded, outcome: Binding | Reason) -> None:
    """A forged header binds nothing where it is ignored; the same header does where the proxy writes it."""
    rules = issuer_rules()
    certificates = CertificateRules(forwarded=forwarded)
    profile = Profile(name="api", audience=AUDIENCE, issuers={rules.issuer: rules}, certificates=certificates)
    sent = request(None, element(ONE), authorization=f"Bearer {MAKER.mint(**BOUND)}")
    if isinstance(outcome, Reason):
        with pytest.raises(Refusal) as refusal:
            prove(sent, profile, MAKER.key_source())
        assert refusal.value.reason is outcome
        return
    found = prove(sent, profile, MAKER.key_source())
    assert isinstance(found, Identity)
    assert found.binding is outcome
