"""Mapping rules in CEL: checked when they are loaded, judged by the type of their result, and never half-failed."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.expressions import ExpressionError, compile_field
from extauthz.identity.rules import MappingRules
from extauthz.limits import MAX_CONDITION_LENGTH, MAX_MAPPED_LIST
from extauthz.model.identity import Identity, Kind
from extauthz.model.reason import Reason
from tests.simulators.profiles import bearer, issuer_rules, profile, prove
from tests.simulators.tokens import ISSUER, TokenMaker

MAKER = TokenMaker()


def found(text: str, field: str = "tenant", *, many: bool = False, **claims: Any) -> Any:
    """Return what an expression gives for claims."""
    return compile_field(text, field, many=many).find(claims)


def failed(text: str, field: str = "tenant", *, many: bool = False, **claims: Any) -> Refusal:
    """Return the refusal that an expression ends in."""
    with pytest.raises(Refusal) as refusal:
        found(text, field, many=many, **claims)
    return refusal.value


def rejected(text: str, field: str = "tenant", *, many: bool = False) -> str:
    """Return why an expression is not accepted at load."""
    with pytest.raises(ExpressionError) as error:
        compile_field(text, field, many=many)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "claims", "expected"),
    [
        ("claims.env == 'prod' ? 'service' : 'ci'", {"env": "prod"}, "service"),
        ("claims.env == 'prod' ? 'service' : 'ci'", {"env": "test"}, "ci"),
        ("claims.org.unit", {"org": {"unit": "u"}}, "u"),
        ("claims['https://x.example/tenant']", {"https://x.example/tenant": "acme"}, "acme"),
        ("has(claims.env) ? claims.env : ''", {}, ""),
        ("'env' in claims ? claims.env : 'none'", {"env": "prod"}, "prod"),
        ("claims.owner + '/' + claims.name", {"owner": "o", "name": "n"}, "o/n"),
        ("string(claims.number)", {"number": 5}, "5"),
    ],
)
def test_an_expression_gives_a_text(text: str, claims: dict[str, Any], expected: str) -> None:
    """Out of the claims, with the means of CEL."""
    assert found(text, **claims) == expected


@pytest.mark.parametrize(
    ("text", "claims", "expected"),
    [
        ("claims.roles", {"roles": ["a", "b"]}, ["a", "b"]),
        ("claims.roles.filter(r, r.startsWith('x-'))", {"roles": ["x-a", "b"]}, ["x-a"]),
        ("claims.admin ? ['admin'] : []", {"admin": False}, []),
        ("['all', claims.team]", {"team": "t"}, ["all", "t"]),
    ],
)
def test_an_expression_gives_a_list(text: str, claims: dict[str, Any], expected: list[str]) -> None:
    """For roles and groups."""
    assert found(text, "roles", many=True, **claims) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("claims.env ==", "1:14: Syntax error"),
        ("claim.env", "undeclared reference to 'claim.env'"),
        ("identity.kind", "undeclared"),
        ("now", "undeclared"),
        ("claims.env == 'prod'", "it must give a text, this is bool"),
        ("size(claims.env)", "it must give a text, this is int"),
        ("[claims.env]", "it must give a text"),
        ("claims", "it must give a text"),
        ("'acme'", "reads no claim"),
        ("", "1:1"),
        ("claims.x + '" + "x" * MAX_CONDITION_LENGTH + "'", "at most"),
        ("claims.f(" * 40 + "claims" + ")" * 40, "recursion limit"),
    ],
    ids=lambda text: text[:24],
)
def test_what_cannot_be_a_text_is_refused_at_load(text: str, complaint: str) -> None:
    """With a complaint that the operator can act on."""
    assert complaint in rejected(text)


@pytest.mark.parametrize("text", ["claims.env == 'a' ? 'b' : 'c'", "'a' + claims.b", "[size(claims.a)]"])
def test_what_cannot_be_a_list_is_refused_at_load(text: str) -> None:
    """A single text is not a list."""
    assert "a list of texts" in rejected(text, "roles", many=True)


@pytest.mark.parametrize("text", ["claims.a ? 'servce' : 'ci'", "claims.a ? 'ci' : (claims.b ? 'anonymous' : 'user')"])
def test_a_kind_that_does_not_exist_is_found_at_load(text: str) -> None:
    """Wherever it can be the result; a text that is only compared with is not."""
    assert "is not a kind of caller" in rejected(text, "kind")
    assert compile_field(text, "tenant").rule == "map.tenant"
    assert compile_field("claims.a == 'servce' ? 'service' : 'ci'", "kind").rule == "map.kind"


def test_an_expression_that_is_too_deep_is_refused_at_load() -> None:
    """Whatever the compiler itself thinks of it."""
    assert "recursion" in rejected("claims.a" + " + (claims.a" * 150 + ")" * 150)
    text = "a == 'x'"
    for _ in range(24):
        text = f"claims.g.exists(a, {text})"
    assert "too deeply" in rejected(f"{text} ? 'a' : 'b'")


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("claims.env == 'prod' ? 'service' : 'ci'", {}),
        ("claims.env", {"env": None}),
        ("claims.env", {"env": 5}),
        ("claims.env", {"env": True}),
        ("claims.env", {"env": {"a": "b"}}),
        ("claims.env", {"env": ["prod"]}),
        ("claims.env", {"env": 2**80}),
        ("claims.env ? 'a' : 'b'", {"env": "true"}),
        ("claims.a + claims.b", {"a": "x", "b": 1}),
        ("claims.a.b.c", {"a": {"b": "text"}}),
    ],
    ids=repr,
)
def test_what_gives_no_text_is_unmapped(text: str, claims: dict[str, Any]) -> None:
    """The runtime's errors count as failures, although Python takes them for true; the record names the rule."""
    refusal = failed(text, **claims)
    assert refusal.reason is Reason.IDENTITY_UNMAPPED
    assert refusal.inner.startswith("map.tenant: ")


@pytest.mark.parametrize(
    "roles",
    [None, "admin", [1], ["a", None], [["a"]], {"a": "b"}, ["r"] * (MAX_MAPPED_LIST + 1)],
    ids=lambda r: repr(r)[:12],
)
def test_what_gives_no_list_of_texts_is_unmapped(roles: Any) -> None:
    """A list that is too long is one that nobody meant."""
    assert failed("claims.roles", "roles", many=True, roles=roles).reason is Reason.IDENTITY_UNMAPPED
    assert found("claims.roles", "roles", many=True, roles=["r"] * MAX_MAPPED_LIST)


def test_a_loop_beyond_its_budget_is_unmapped() -> None:
    """The runtime raises then."""
    text = "claims.g.exists(a, claims.g.exists(b, claims.g.exists(c, a == b && b == c && c == 'z'))) ? 'x' : 'y'"
    assert found(text, g=["z"]) == "x"
    assert failed(text, g=[str(number) for number in range(2000)]).reason is Reason.IDENTITY_UNMAPPED


@pytest.mark.parametrize(
    "claims", [{"env": "prod\x00.evil"}, {"other": ["prod\x00"]}, {"o\x00": "x", "env": "prod"}], ids=repr
)
def test_claims_with_a_nul_are_unmapped(claims: dict[str, Any]) -> None:
    """The runtime ends texts there, so `prod` and `prod` NUL anything would be the same."""
    text = "has(claims.env) && claims.env == 'prod' ? 'service' : 'ci'"
    assert "NUL" in failed(text, **claims).inner
    assert found(text, env="prod") == "service"


def test_claims_that_cannot_be_changed_are_mapped_as_well() -> None:
    """Verified claims are handed on read-only."""
    assert compile_field("claims.env", "tenant").find(MappingProxyType({"env": "prod"})) == "prod"


def test_no_refusal_echoes_a_claim() -> None:
    """Neither to the client nor into the record."""
    refusal = failed("claims.env", env=["zqzqzq"])
    assert "zqzqzq" not in refusal.detail + refusal.inner


def test_every_field_can_come_from_an_expression() -> None:
    """Through the one door, with all fields at once."""
    texts = {
        "kind": "claims.env == 'prod' ? 'service' : 'ci'",
        "tenant": "claims.org",
        "session": "claims.run + '-' + claims.attempt",
        "workload": "claims.repo",
        "environment": "claims.env",
        "device": "claims.host",
    }
    lists = {"roles": "claims.grants", "groups": "claims.grants.filter(g, g != 'a')"}
    mapping = MappingRules(
        **{field: compile_field(text, field) for field, text in texts.items()},
        **{field: compile_field(text, field, many=True) for field, text in lists.items()},
    )
    claims: dict[str, Any] = {
        "env": "prod",
        "org": "acme",
        "run": "7",
        "attempt": "1",
        "repo": "r",
        "host": "h",
        "grants": ["a", "b"],
    }
    identity = prove(bearer(MAKER.mint(**claims)), profile(issuer_rules(mapping=mapping)), MAKER.key_source())
    assert isinstance(identity, Identity)
    assert (identity.subject.kind, identity.tenant, identity.session) == (Kind.SERVICE, "acme", "7-1")
    assert (identity.workload, identity.environment, identity.device) == (f"{ISSUER}|r", "prod", "h")
    assert identity.subject.roles == {"a", "b"}
    assert identity.groups == {"b"}


@pytest.mark.parametrize(
    ("kind", "reason"), [("servce", Reason.IDENTITY_UNMAPPED), ("anonymous", Reason.IDENTITY_UNMAPPED)]
)
def test_a_kind_that_comes_out_of_a_claim_is_judged_like_any_other(kind: str, reason: Reason) -> None:
    """Nobody becomes of a kind that there is not."""
    believed = profile(issuer_rules(mapping=MappingRules(kind=compile_field("claims.what", "kind"))))
    with pytest.raises(Refusal) as refusal:
        prove(bearer(MAKER.mint(what=kind)), believed, MAKER.key_source())
    assert refusal.value.reason is reason


def test_a_mapped_text_may_be_empty_and_not_hold_control_characters() -> None:
    """Empty means unknown; the rest travels in headers and logs."""
    mapping = MappingRules(tenant=compile_field("claims.org", "tenant"))
    believed = profile(issuer_rules(mapping=mapping))
    empty = prove(bearer(MAKER.mint(org="")), believed, MAKER.key_source())
    assert isinstance(empty, Identity)
    assert empty.tenant == ""
    with pytest.raises(Refusal) as refusal:
        prove(bearer(MAKER.mint(org="a\nb")), believed, MAKER.key_source())
    assert refusal.value.reason is Reason.CREDENTIALS_MALFORMED
    assert "`map.tenant`" in refusal.value.detail


def test_an_actor_is_not_mapped_by_an_expression() -> None:
    """It speaks of subjects; an actor of unknown kind meets no rule that asks for one."""
    mapping = MappingRules(kind=compile_field("claims.what", "kind"))
    token = MAKER.mint(what="user", act={"sub": "bot", "what": "agent", "kind": "agent"})
    identity = prove(bearer(token), profile(issuer_rules(mapping=mapping)), MAKER.key_source())
    assert isinstance(identity, Identity)
    assert identity.actor is not None
    assert identity.actor.kind is None
