"""Verified claims become an identity by the issuer's mapping; what is absent stays empty."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.rules import FixedValue, FromClaim, MappingRules
from extauthz.model.identity import Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.ports import KeysOf, NeedsEvidence
from tests.simulators.profiles import LEEWAY, bearer, issuer_rules, profile, prove, request
from tests.simulators.tokens import ISSUER, NOW, MemoryKeys, TokenMaker

MAKER = TokenMaker()


def identify(mapping: MappingRules | None = None, **claims: Any) -> Identity:
    """Return the identity of a token with these claims."""
    found = prove(bearer(MAKER.mint(**claims)), profile(issuer_rules(mapping=mapping)), MAKER.key_source())
    assert isinstance(found, Identity)
    return found


def refused(mapping: MappingRules | None = None, **claims: Any) -> Reason:
    """Return why a token with these claims is refused."""
    with pytest.raises(Refusal) as refusal:
        identify(mapping, **claims)
    return refusal.value.reason


def test_every_field_comes_from_its_claim() -> None:
    """One token that says everything."""
    identity = identify(
        scope="read write",
        roles=["deployer"],
        groups=["ops"],
        sid="s-1",
        acr="phr",
        amr=["hwk", "pin"],
        auth_time=NOW - 60,
        act={"sub": "bot", "kind": "agent", "act": {"sub": "older"}},
    )
    assert identity.subject == Principal(
        issuer=ISSUER, subject="deployer", kind=Kind.CI, client="pipeline", roles=frozenset({"deployer"})
    )
    assert identity.actor == Principal(issuer=ISSUER, subject="bot", kind=Kind.AGENT)
    assert identity.chain == (Principal(issuer=ISSUER, subject="older"),)
    assert (identity.tenant, identity.session, identity.profile) == ("acme", "s-1", "api")
    assert identity.scopes == {"read", "write"}
    assert identity.groups == {"ops"}
    assert (identity.acr, identity.amr, identity.auth_time) == ("phr", ("hwk", "pin"), NOW - 60)
    assert (identity.token_id, identity.issued_at, identity.expires_at) == ("t-1", NOW, NOW + 300)
    assert identity.claims["scope"] == "read write"


def test_what_is_absent_stays_empty() -> None:
    """Above all `auth_time`, which is never taken from `iat`."""
    identity = identify(tenant=None, scope=None)
    assert (identity.tenant, identity.acr, identity.amr, identity.auth_time) == ("", "", (), None)
    assert (identity.scopes, identity.groups, identity.subject.roles) == (frozenset(), frozenset(), frozenset())
    assert (identity.actor, identity.chain) == (None, ())


def test_the_session_is_the_token_where_the_issuer_names_none() -> None:
    """So that there is always something to revoke."""
    assert identify().session == "t-1"


def test_the_workload_key_does_not_change_with_the_token() -> None:
    """Two tokens of one client are the same workload; `jti` and session play no part."""
    first, second = identify(jti="t-1", sid="a"), identify(jti="t-2", sid="b")
    assert first.workload == second.workload == f"{ISSUER}|pipeline"
    assert identify(client_id="other").workload != first.workload


def test_verified_claims_cannot_be_changed_afterwards() -> None:
    """Later stages see what the issuer signed."""
    with pytest.raises(TypeError):
        identify().claims["sub"] = "root"  # type: ignore[index]  # the point of the test


def test_a_mapping_may_step_into_objects_or_fix_a_value() -> None:
    """Issuers name things differently."""
    mapping = MappingRules(
        kind=FixedValue("service"),
        tenant=FixedValue("globex"),
        roles=FromClaim("realm_access.roles"),
        groups=FixedValue("everyone"),
        session=FromClaim("https://issuer.example/session"),
    )
    identity = identify(
        mapping,
        kind="user",
        realm_access={"roles": ["admin"]},
        **{"https://issuer.example/session": "s"},
    )
    assert (identity.subject.kind, identity.tenant, identity.session) == (Kind.SERVICE, "globex", "s")
    assert identity.subject.roles == {"admin"}
    assert identity.groups == {"everyone"}


@pytest.mark.parametrize("kind", [None, "", "root", "anonymous", "CI", 1, ["ci"], True], ids=repr)
def test_an_unknown_kind_is_unmapped(kind: Any) -> None:
    """Nobody is of no kind, and no credential proves `anonymous`."""
    assert refused(kind=kind) is Reason.IDENTITY_UNMAPPED


def test_a_fixed_kind_that_is_unknown_is_unmapped() -> None:
    """A misspelt setting lets nobody in."""
    assert refused(MappingRules(kind=FixedValue("cii"))) is Reason.IDENTITY_UNMAPPED
    assert refused(MappingRules(kind=FixedValue("anonymous"))) is Reason.IDENTITY_UNMAPPED


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("tenant", 1),
        ("tenant", ["acme"]),
        ("tenant", ""),
        ("tenant", "a\nb"),
        ("roles", "admin"),
        ("roles", [1]),
        ("groups", {"a": 1}),
        ("scope", ["read"]),
        ("sid", 7),
        ("acr", ["phr"]),
        ("acr", ""),
        ("amr", "pwd"),
        ("amr", [1]),
        ("auth_time", "1790000000"),
        ("auth_time", True),
        ("act", "bot"),
    ],
)
def test_an_optional_claim_of_another_type_is_malformed(claim: str, value: Any) -> None:
    """It never reads as absent."""
    assert refused(**{claim: value}) is Reason.CREDENTIALS_MALFORMED


def test_a_sign_in_in_the_future_is_refused_beyond_the_leeway() -> None:
    """It would count as recent for as long as its author likes."""
    assert identify(auth_time=NOW + LEEWAY).auth_time == NOW + LEEWAY
    assert refused(auth_time=NOW + LEEWAY + 1) is Reason.TOKEN_NOT_YET_VALID


def test_a_request_without_a_credential_is_refused_before_any_key_is_looked_for() -> None:
    """The one door asks for a credential first."""
    keys = MemoryKeys()
    with pytest.raises(Refusal) as refusal:
        prove(request(), profile(), keys)
    assert refusal.value.reason is Reason.NO_CREDENTIALS
    assert keys.asked == []


def test_a_need_for_evidence_passes_through_the_door() -> None:
    """The shell fetches and asks again."""
    found = prove(bearer(MAKER.mint()), profile(), MemoryKeys())
    assert found == NeedsEvidence(KeysOf(ISSUER))
