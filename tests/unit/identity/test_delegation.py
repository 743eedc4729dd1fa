"""Subject, actor and chain stay apart; a delegation that cannot be read refuses the token."""

from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.delegation import Delegation, read_delegation
from extauthz.identity.rules import FixedValue, FromClaim, MappingRules
from extauthz.limits import MAX_DELEGATION_DEPTH
from extauthz.model.identity import Kind, Principal
from extauthz.model.reason import Reason

ISSUER = "https://issuer.example"
AGENTS = "https://agents.example"


def read(claims: dict[str, Any], mapping: MappingRules | None = None, actors_of: str = "") -> Delegation:
    """Return the delegation in these claims."""
    return read_delegation(claims, ISSUER, mapping or MappingRules(), frozenset({actors_of} if actors_of else ()))


def nested(depth: int) -> dict[str, Any]:
    """Return claims with `depth` actors, the outermost called `a1`."""
    claims: dict[str, Any] = {}
    for number in range(depth, 0, -1):
        claims = {"act": {"sub": f"a{number}", **claims}}
    return claims


def test_the_outermost_act_is_the_actor_and_the_rest_the_chain() -> None:
    """Most recent first (RFC 8693 section 4.1)."""
    found = read(nested(3))
    assert found.actor == Principal(issuer=ISSUER, subject="a1")
    assert [party.subject for party in found.chain] == ["a2", "a3"]


def test_an_actor_keeps_what_its_own_object_says() -> None:
    """Issuer, client, kind and roles are the actor's, never the subject's."""
    actor = {
        "sub": "bot",
        "iss": AGENTS,
        "client_id": "c",
        "kind": "agent",
        "realm": {"roles": ["reader"]},
    }
    claims = {"kind": "user", "realm": {"roles": ["admin"]}, "act": actor}
    found = read(claims, MappingRules(roles=FromClaim("realm.roles")), AGENTS)
    assert found.actor == Principal(
        issuer=AGENTS,
        subject="bot",
        kind=Kind.AGENT,
        client="c",
        roles=frozenset({"reader"}),
    )


def test_fixed_values_of_the_mapping_do_not_speak_of_actors() -> None:
    """`kind: {value: ci}` describes the issuer's subjects; an actor's kind is unknown then."""
    found = read(
        {"act": {"sub": "bot", "kind": "agent", "roles": ["r"]}},
        MappingRules(kind=FixedValue("ci"), roles=FixedValue("admin")),
    )
    assert found.actor == Principal(issuer=ISSUER, subject="bot")


@pytest.mark.parametrize(
    "issuer", [AGENTS, f"{ISSUER}/", f"{ISSUER} x", "urn:extauthz:api-keys", "HTTPS://ISSUER.EXAMPLE"]
)
def test_an_issuer_speaks_of_its_own_callers_only(issuer: str) -> None:
    """Or whoever can issue any token acts as anybody of another issuer; the same holds within the chain."""
    actor = {"sub": "bot", "iss": issuer}
    for act in (actor, {"sub": "own", "act": actor}):
        with pytest.raises(Refusal) as refusal:
            read({"act": act}, actors_of="https://third.example")
        assert refusal.value.reason is Reason.ISSUER_UNKNOWN
        assert issuer not in f"{refusal.value.detail}{refusal.value.inner}".replace(ISSUER, "")


def test_an_actor_of_the_issuer_itself_may_say_so() -> None:
    """`iss` of the token's own issuer changes nothing."""
    assert read({"act": {"sub": "bot", "iss": ISSUER}}) == read({"act": {"sub": "bot"}})


def test_may_act_proves_nothing() -> None:
    """It says who could become an actor, not that somebody is one."""
    assert read({"may_act": {"sub": "bot"}}) == Delegation()


def test_times_and_audience_within_act_mean_nothing() -> None:
    """They neither expire nor widen the delegation."""
    actor = read({"act": {"sub": "bot", "exp": 0, "nbf": 1e12, "aud": []}}).actor
    assert actor is not None
    assert actor.subject == "bot"


@pytest.mark.parametrize(
    "act",
    [
        "bot",
        None,
        [],
        [{"sub": "bot"}],
        1,
        True,
        {},
        {"sub": ""},
        {"sub": 1},
        {"sub": None},
        {"client_id": "c"},
        {"sub": "a", "act": "b"},
        {"sub": "a", "act": {}},
        {"sub": "a", "iss": 1},
        {"sub": "a", "client_id": []},
        {"sub": "a", "roles": "admin"},
    ],
    ids=repr,
)
def test_an_act_that_cannot_be_read_refuses_the_token(act: Any) -> None:
    """It never turns into "not delegated"."""
    with pytest.raises(Refusal) as refusal:
        read({"act": act})
    assert refusal.value.reason is Reason.CREDENTIALS_MALFORMED


@pytest.mark.parametrize("kind", ["agnet", "anonymous", "Agent", "", 1, ["agent"]], ids=repr)
def test_an_actor_of_unknown_kind_is_unmapped(kind: Any) -> None:
    """A misspelt kind must not slip past a forbid that names the right one."""
    with pytest.raises(Refusal) as refusal:
        read({"act": {"sub": "bot", "kind": kind}})
    assert refusal.value.reason is Reason.IDENTITY_UNMAPPED


def test_the_longest_chain_is_read_and_a_longer_one_refused() -> None:
    """The bound counts every actor."""
    assert len(read(nested(MAX_DELEGATION_DEPTH)).chain) == MAX_DELEGATION_DEPTH - 1
    with pytest.raises(Refusal) as refusal:
        read(nested(MAX_DELEGATION_DEPTH + 1))
    assert refusal.value.reason is Reason.CREDENTIALS_MALFORMED
