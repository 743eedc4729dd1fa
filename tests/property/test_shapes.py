"""Whatever an issuer of any shape signs, identifying its token ends in an identity or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import Refusal
from extauthz.identity.expressions import compile_field
from extauthz.identity.rules import MappingRules, TransactionRules
from extauthz.model.identity import Identity, Kind
from extauthz.model.reason import REASONS
from tests.simulators.profiles import bearer, issuer_rules, profile, prove, request
from tests.simulators.shapes import ISSUERS, claims_for, maker_for, minted, rules_for
from tests.simulators.tokens import AUDIENCE, NOW, TokenMaker

if TYPE_CHECKING:
    from extauthz.identity.rules import Profile
    from extauthz.model.request import Request
    from tests.simulators.tokens import MemoryKeys

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=6), children, max_size=3),
    max_leaves=8,
)
header_names = st.sampled_from(["alg", "kid", "typ", "jku", "cty"])


def identify(sent: Request, believed: Profile, keys: MemoryKeys) -> Identity | int | None:
    """Return the caller, the status of a refusal, or None for a need; anything else that is raised fails the test."""
    try:
        found = prove(sent, believed, keys)
    except Refusal as refusal:
        return REASONS[refusal.reason].status
    return found if isinstance(found, Identity) else None


@st.composite
def tokens(draw: st.DrawFn) -> tuple[str, str]:
    """Return a shape, and a token of it with some claims and header members changed, rightly signed."""
    shape = draw(st.sampled_from(sorted(ISSUERS)))
    known = [*claims_for(shape), "nonce", "scope", "act", "iat", "jti", "sid", "authorization_details", "cnf"]
    changes: dict[str, Any] = draw(st.dictionaries(st.sampled_from(known), json_values, max_size=3))
    headers = draw(st.dictionaries(header_names, json_values, max_size=1))
    return shape, minted(shape, headers=headers, **changes)


@given(tokens())
def test_a_token_of_any_shape_ends_decided(sample: tuple[str, str]) -> None:
    """An identity that comes out is of its issuer, for us, of a kind, with a workload, and not expired."""
    shape, token = sample
    found = identify(bearer(token), profile(rules_for(shape)), maker_for(shape).key_source())
    assert isinstance(found, Identity) or found is None or found in {401, 403}
    if isinstance(found, Identity):
        assert found.subject.issuer == ISSUERS[shape]
        assert found.subject.kind not in {None, Kind.ANONYMOUS}
        assert AUDIENCE in found.claims["aud"]
        assert found.workload
        assert found.expires_at is not None
        assert found.expires_at > NOW - 5


EXPRESSIONS = MappingRules(
    kind=compile_field("claims.a == 'x' ? 'service' : 'ci'", "kind"),
    tenant=compile_field("has(claims.b) ? claims.b : ''", "tenant"),
    groups=compile_field("claims.c.filter(g, g != 'x')", "groups", many=True),
)


@given(st.dictionaries(st.sampled_from("abcd"), json_values, max_size=4))
def test_an_expression_over_any_claims_ends_decided(claims: dict[str, Any]) -> None:
    """Never half-mapped: a text is a text, and a list one of texts."""
    maker = TokenMaker()
    found = identify(bearer(maker.mint(**claims)), profile(issuer_rules(mapping=EXPRESSIONS)), maker.key_source())
    if isinstance(found, int):
        assert found in {401, 403}
        return
    assert isinstance(found, Identity)
    assert found.subject.kind is (Kind.SERVICE if claims["a"] == "x" else Kind.CI)
    assert found.tenant == (claims.get("b") or "")  # the maker leaves out what is None
    assert found.groups == set(claims["c"]) - {"x"}


@given(
    st.dictionaries(st.sampled_from(["aud", "txn", "req_wl", "scope", "sub", "iat", "exp", "iss", "nbf"]), json_values)
    | st.none(),
    st.text(max_size=20),
)
def test_any_transaction_token_ends_decided(changes: dict[str, Any] | None, text: str) -> None:
    """And never changes who the caller is."""
    maker = TokenMaker()
    good = {"aud": "trust.example", "txn": "t", "req_wl": "w", "scope": "s"}
    sent = text if changes is None else maker.mint(typ="txntoken+jwt", **{**good, **changes})
    rules = TransactionRules(rules=issuer_rules(), audience="trust.example")
    plain = profile()
    believed = type(plain)(name="api", audience=plain.audience, issuers=plain.issuers, transactions=rules)
    found = identify(request(f"Bearer {maker.mint()}", headers={"txn-token": (sent,)}), believed, maker.key_source())
    if isinstance(found, int):
        assert found in {400, 401}
        return
    assert isinstance(found, Identity)
    assert (found.subject.subject, bool(found.transaction)) == ("deployer", True)
