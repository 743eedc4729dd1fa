"""Every fact that any path of a decision reads is in the key, counted by an epoch or bounded in time.

One line for each fact, under the mechanism that covers it. Each is changed after a decision that read it was kept and
recognised by its sketch. Without its mechanism the kept answer would go on: that is the negative control of each line.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.request.bounds import Proxy
from tests.integration.fact_questions import (
    ENTRY,
    FADING,
    FORM,
    LISTED,
    MESH,
    OPAQUE,
    ORDER,
    SECURED,
    THING,
    TOKEN,
    TRADE,
    TRANSACTION,
    fork,
    keyed,
    ordered,
    sent,
    told,
    with_token,
)
from tests.integration.facts import (
    ASKED,
    BRIEF,
    BRIEF_KEY,
    BRIEF_ROW,
    FADING_AUTHORITY,
    KEY_ROW,
    MAKER,
    OLD_KEY,
    OLD_ROW,
    PEER,
    SERVICE,
    STRANGER,
    WITHOUT_PERMIT,
    NoEpochs,
    NoNames,
    NoTime,
    Scene,
    declared,
    moment,
)
from tests.simulators.client_certificates import Authority, element
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.registry import registry
from tests.simulators.tokens import NOW, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.ports import ApiKey
    from extauthz.server.recall import Recall


class Fact(NamedTuple):
    """One fact.

    Attributes:
        name: for people.
        question: what is asked; the answer to it is an allow.
        after: the reason of the fresh answer when the fact has changed.
        change: changes it.
        seconds: or how long after the decision it has ended by itself.
        instead: or what is different about the next question, or who asks it.
        prepare: puts in place what the question needs.
    """

    name: str
    question: dict[str, Any]
    after: str
    change: Callable[[Scene], object] | None = None
    seconds: float = 0
    instead: Proxy | dict[str, Any] | None = None
    prepare: Callable[[Scene], object] | None = None


def vouched(token: str = TOKEN, lasts: float = 600) -> Callable[[Scene], object]:
    """Return what lets the issuer stand by a JWT for so many seconds."""
    return lambda scene: scene.facts.vouch(token, lasts=lasts)


def known(lasts: float = 600) -> Callable[[Scene], object]:
    """Return what lets the issuer say whose the opaque token is."""
    said: dict[str, Any] = {
        "sub": "a",
        "client_id": "a",
        "aud": "https://api.example.com",
        "exp": NOW + 2000,
        "iat": NOW,
        "kind": "ci",
    }
    return lambda scene: scene.facts.vouch(OPAQUE, issuer=ASKED, lasts=lasts, **said)


def published(lasts: float = 600, status: int = 0) -> Callable[[Scene], object]:
    """Return what publishes the status list."""
    return lambda scene: scene.facts.publish(status=status, lasts=lasts)


def stored(*rows: ApiKey) -> Callable[[Scene], object]:
    """Return what puts API keys in place."""
    return lambda scene: scene.facts.store(*rows)


def registered(change: str = "", **others: Any) -> Callable[[Scene], object]:
    """Return what puts a registry in force."""
    return lambda scene: scene.facts.registry.replace(registry(declared(change, **others)))


def withdrawn(maker: TokenMaker) -> Callable[[Scene], object]:
    """Return what withdraws a key."""
    return lambda scene: scene.facts.keys.remove(maker)


def load(scene: Scene) -> None:
    """Put another policy in force."""
    scene.live.replace(compile_policy({"p": WITHOUT_PERMIT.encode()}, PolicyContext()))


COUNTED = [
    Fact("keys of the issuer", THING, "signature_invalid", withdrawn(MAKER)),
    Fact("keys of the transaction service", sent(txn_token=TRANSACTION), "signature_invalid", withdrawn(SERVICE)),
    Fact(
        "an issuer's word about an opaque token",
        with_token("/opaque", OPAQUE),
        "token_revoked",
        lambda scene: scene.facts.vouch(OPAQUE, issuer=ASKED, active=False),
        prepare=known(),
    ),
    Fact(
        "an issuer's word about a JWT",
        with_token("/vouched"),
        "token_revoked",
        lambda scene: scene.facts.vouch(TOKEN, active=False),
        prepare=vouched(),
    ),
    Fact("a status list", LISTED, "token_revoked", published(status=1), prepare=published()),
    Fact("an API key", keyed(), "token_revoked", stored(replace(KEY_ROW, revoked=True)), prepare=stored(KEY_ROW)),
    Fact("authorities", MESH, "signature_invalid", lambda scene: scene.facts.trust(Authority("new"))),
    Fact("an entry's standing", THING, "identity_quarantined", registered(", standing: quarantined")),
    Fact("an entry's networks", THING, "unexpected_network", registered(networks="198.51.100.0/24")),
    Fact("an entry's kind", THING, "identity_unmapped", registered(", kind: user")),
    Fact("a bound role", with_token("/bound"), "role_missing", registered(until=-1)),
    Fact(
        "the answer of another decision point",
        with_token("/asked"),
        "external_denied",
        lambda scene: scene.facts.agree(decision=False),
        prepare=lambda scene: scene.facts.agree(),
    ),
]
"""Facts that others change: an epoch is noted before each is looked at."""

TIMED = [
    Fact("a token's end", with_token(token=MAKER.mint(lifetime=60)), "token_expired", seconds=65),
    Fact("a token's age", with_token(token=MAKER.mint(now=NOW - 2950, lifetime=3500)), "token_too_old", seconds=56),
    Fact(
        "a transaction token's end",
        sent(txn_token=SERVICE.mint(lifetime=60, **TRADE)),
        "token_expired",
        seconds=65,
    ),
    Fact(
        "the end of an issuer's word about a JWT",
        with_token("/vouched"),
        "evidence_unavailable",
        seconds=30,
        prepare=vouched(lasts=30),
    ),
    Fact(
        "the end of another decision point's answer",
        with_token("/asked"),
        "evidence_unavailable",
        seconds=30,
        prepare=lambda scene: scene.facts.agree(lasts=30),
    ),
    Fact(
        "the end of an issuer's word about an opaque token",
        with_token("/opaque", OPAQUE),
        "evidence_unavailable",
        seconds=30,
        prepare=known(lasts=30),
    ),
    Fact(
        "the age of an issuer's word, where a resource asks for it",
        with_token("/vouched"),
        "evidence_unavailable",
        seconds=60.5,
        prepare=vouched(),
    ),
    Fact("a status list's end", LISTED, "evidence_unavailable", seconds=30, prepare=published(lasts=30)),
    Fact(
        "an API key's end",
        keyed(BRIEF_KEY),
        "token_expired",
        seconds=60,
        prepare=stored(BRIEF_ROW),
    ),
    Fact(
        "an API key's age",
        keyed(OLD_KEY),
        "token_too_old",
        seconds=60,
        prepare=stored(OLD_ROW),
    ),
    Fact("a certificate's end", {"path": "/mesh", "certificate": BRIEF.encoded}, "token_expired", seconds=65),
    Fact(
        "an authority's end",
        FADING,
        "signature_invalid",
        seconds=61,
        prepare=lambda scene: scene.facts.trust(FADING_AUTHORITY),
    ),
    Fact(
        "an entry's end",
        THING,
        "identity_expired",
        seconds=60,
        prepare=registered(f", expires: {moment(60)}"),
    ),
    Fact("a bound role's end", with_token("/bound"), "role_missing", seconds=60, prepare=registered(until=60)),
    Fact(
        "the age of a sign-in",
        with_token("/recent", MAKER.mint(lifetime=2000, auth_time=NOW)),
        "step_up_required",
        seconds=61,
    ),
]
"""Facts that end by themselves: a kept decision ends with the first of them."""

NAMED = [
    Fact("the policy", THING, "no_permit", load),
    Fact("the proxy's hosts", THING, "proxy_out_of_bounds", instead=Proxy("edge", hosts=("www.example.com",))),
    Fact("the proxy's tenants", THING, "proxy_out_of_bounds", instead=Proxy("edge", tenants=frozenset({"globex"}))),
    Fact("the method", THING, "forbidden", instead={"method": "PUT"}),
    Fact("the path", THING, "no_resource", instead={"path": "/nothing"}),
    Fact("the host", THING, "forbidden", instead={"host": "www.example.com"}),
    Fact("a query parameter", THING, "malformed_request", instead={"path": "/things/7?colour=blue"}),
    Fact("a header that is an attribute", sent(), "malformed_request", instead=sent(x_mode="y")),
    Fact("a header that tells resources apart", fork("2"), "no_resource", instead=fork("4")),
    Fact("context", THING, "malformed_request", instead={"context": {"zone": "b"}}),
    Fact("the tenant of the route", THING, "tenant_mismatch", instead={"context": {"extauthz.tenant": "globex"}}),
    Fact("the resource of the route", THING, "proxy_out_of_bounds", instead={"context": {"extauthz.resource": "a.b"}}),
    Fact("a body", ORDER, "unreadable_body", instead={"raw_body": b'{"size":2}'}),
    Fact("a form", ENTRY, "unreadable_body", instead={"raw_body": b"size=2"}),
    Fact("whether a body is whole", ORDER, "unreadable_body", instead={"partial": True}),
    Fact("the type of a body", ORDER, "unreadable_body", instead=ordered(content_type=FORM)),
    Fact("the coding of a body", ORDER, "unreadable_body", instead=ordered(content_encoding="gzip")),
    Fact("an upgrade", THING, "upgrade_not_allowed", instead=sent(connection="upgrade", upgrade="websocket")),
    Fact("the token", THING, "signature_invalid", instead=with_token(token=MAKER.forge())),
    Fact(
        "the transaction token",
        sent(txn_token=TRANSACTION),
        "signature_invalid",
        instead=sent(txn_token=SERVICE.forge(**TRADE)),
    ),
    Fact("the API key", keyed(), "signature_invalid", instead=keyed(BRIEF_KEY), prepare=stored(KEY_ROW)),
    Fact(
        "a second credential",
        keyed(),
        "credentials_ambiguous",
        instead=keyed(authorization="Basic YTpi"),
        prepare=stored(KEY_ROW),
    ),
    Fact("the certificate", MESH, "signature_invalid", instead={"certificate": STRANGER.encoded}),
    Fact("the forwarded certificate", told(element(PEER)), "signature_invalid", instead=told(element(STRANGER))),
    Fact("two accounts of one certificate", MESH, "credentials_ambiguous", instead=MESH | told(element(STRANGER))),
    Fact("a token's certificate", SECURED, "binding_mismatch", instead={"certificate": STRANGER.encoded}),
    Fact("the address, for the registry", THING, "unexpected_network", instead={"source": "198.51.100.1"}),
    Fact(
        "the address, for an API key",
        keyed(),
        "unexpected_network",
        instead={"source": "198.51.100.1"},
        prepare=stored(KEY_ROW),
    ),
    Fact(
        "the peer's name",
        with_token("/peer", principal="spiffe://a"),
        "forbidden",
        instead={"principal": "spiffe://example/bad"},
    ),
    Fact("the server's name", with_token("/server", sni="a"), "forbidden", instead={"sni": "bad.example.com"}),
]
"""Facts that a question brings along: its name tells them apart."""


def keep(scene: Scene, fact: Fact) -> None:
    """Have the decision kept, found by its name and recognised by its sketch."""
    if fact.prepare is not None:
        fact.prepare(scene)
    assert [scene.ask(fact.question) for _ in range(3)] == ["allowed"] * 3
    counts = scene.recall.counts()
    assert (counts.kept, counts.hits) == (1, 2)
    assert counts.recognised or "raw_body" in fact.question, "questions with bodies have no sketch"


def ask_after(scene: Scene, fact: Fact) -> str:
    """Let the fact change and ask."""
    if fact.change is not None:
        fact.change(scene)
    scene.clock.advance(fact.seconds)
    if isinstance(fact.instead, Proxy):
        return scene.ask(fact.question, fact.instead)
    return scene.ask(fact.question | (fact.instead or {}))


EVERY = [*COUNTED, *TIMED, *NAMED]


@pytest.mark.parametrize("fact", EVERY, ids=lambda fact: fact.name)
def test_when_a_fact_has_changed_the_next_answer_is_the_fresh_one(fact: Fact) -> None:
    """And the same as where nothing was kept."""
    scene = Scene()
    keep(scene, fact)
    assert ask_after(scene, fact) == fact.after


WITHOUT = [
    *((NoEpochs, fact) for fact in COUNTED),
    *((NoTime, fact) for fact in TIMED),
    *((NoNames, fact) for fact in NAMED),
]


@pytest.mark.parametrize(("recall", "fact"), WITHOUT, ids=[fact.name for _, fact in WITHOUT])
def test_without_its_mechanism_the_kept_answer_would_go_on(recall: type[Recall], fact: Fact) -> None:
    """The negative control."""
    scene = Scene(recall)
    keep(scene, fact)
    assert ask_after(scene, fact) == "allowed"


def test_a_denial_that_says_how_long_to_wait_counts_down() -> None:
    """`Retry-After` is seconds from now, so such an answer is never the one from before."""
    scene = Scene()
    waits = []
    for _ in range(4):
        answer = scene.answer(with_token("/ship"))
        assert outcome_of(answer) == (403, "insufficient_scope")
        headers = {each.header.key: each.header.value for each in answer.denied_response.headers}
        waits.append(int(headers["retry-after"]))
        scene.clock.advance(10)
    assert waits == [waits[0] - 10 * position for position in range(4)]


def attacker_like(victim: dict[str, Any]) -> dict[str, Any]:
    """Return a question of another caller's, as long as the victim's, whose request id ends where it ends."""
    own = {"authorization": f"Bearer {MAKER.mint(sub='mallory', lifetime=2000)}"}
    length = len(check_request(**victim, raw_headers=True))
    for size in range(1000):
        question: dict[str, Any] = {
            "path": "/things/7",
            "headers": {**own, "x-any": "a" * size, "x-request-id": "b" * 300},
        }
        if len(check_request(**question, raw_headers=True)) == length:
            return question
    raise AssertionError


def test_nobody_can_have_the_token_of_another_left_out_of_its_sketch() -> None:
    """By the layout of the attacker's question the victim's token would be a request id, whatever it says."""
    scene = Scene()
    victim: dict[str, Any] = {
        "path": "/things/7",
        "headers": {"user-agent": "a" * 700, "authorization": f"Bearer {TOKEN}"},
    }
    for question in (attacker_like(victim), victim):
        assert [scene.ask(question) for _ in range(3)] == ["allowed"] * 3
    assert scene.recall.counts().recognised == 2
    forged = {"user-agent": "a" * 700, "authorization": f"Bearer {TOKEN[:-300]}{'A' * 300}"}
    assert scene.ask({"path": "/things/7", "headers": forged}) != "allowed"
