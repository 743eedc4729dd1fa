"""A token is proven by what its issuer says about it, to that issuer only, and an outage proves nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.identity.access_token import prove_access_token
from extauthz.identity.bearer import VerifiedClaims
from extauthz.identity.credentials import UnverifiedToken
from extauthz.identity.mapping import to_identity
from extauthz.identity.opaque import opaque_shape
from extauthz.identity.rules import RFC9068, IssuerRules, Profile, StatusRules
from extauthz.model.reason import Reason
from extauthz.model.state import StateName
from extauthz.ports import NO_EVIDENCE, Evidence, Fetched, Introspection, IntrospectionOf, KeysOf, NeedsEvidence
from tests.simulators.profiles import issuer_rules, profile, sources
from tests.simulators.tokenhost import answer_about
from tests.simulators.tokens import AUDIENCE, ISSUER, NOW, MemoryKeys, TokenMaker, to_base64url

ASKED = "https://asked.example"
TOKEN = "opaque-1"
MAKER = TokenMaker()
KEYS = MAKER.key_source()
UNTIL = Instant(NOW + 30)


@dataclass
class Memory:
    """Answers in memory, by issuer and token."""

    answers: dict[tuple[str, str], Introspection] = field(default_factory=dict)

    def say(self, token: str = TOKEN, issuer: str = ASKED, *, fetched_at: float = NOW, **claims: Any) -> Memory:
        """Remember an answer."""
        active = claims.pop("active", True)
        name = issuer, sha256(token.encode()).hexdigest()
        self.answers[name] = Introspection(
            active=active, claims=claims, fetched_at=Instant(fetched_at), until=Instant(fetched_at + 30)
        )
        return self

    def find_introspection(self, issuer: str, digest: bytes, at: Instant) -> Introspection | None:
        """Return an answer that is not too old."""
        found = self.answers.get((issuer, digest.hex()))
        return found if found is not None and at < found.until else None


def asked(**changes: Any) -> IssuerRules:
    """Return rules of the issuer of opaque tokens."""
    return issuer_rules(ASKED, **{"opaque": True, "introspects": True, "shape": opaque_shape(RFC9068), **changes})


def said(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good answer."""
    claims = answer_about(ASKED, **changes)
    claims.pop("active")
    return claims


def prove(
    token: str,
    memory: Memory,
    *,
    believed: Profile | None = None,
    evidence: Evidence = NO_EVIDENCE,
    at: float = NOW,
    max_check_age: float | None = None,
    keys: MemoryKeys = KEYS,
) -> Any:
    """Return what a token proves where both an opaque and a signing issuer are believed."""
    found = sources(keys, evidence, introspections=memory, max_check_age=max_check_age)
    return prove_access_token(UnverifiedToken(token), believed or profile(issuer_rules(), asked()), found, Instant(at))


def refusal(*arguments: Any, **others: Any) -> Refusal:
    """Return why a token is refused."""
    with pytest.raises(Refusal) as refused:
        prove(*arguments, **others)
    return refused.value


def test_an_active_token_is_its_issuers_word() -> None:
    """And when that was given; it holds no longer than the answer is kept."""
    claims = said(act={"sub": "agent"}, authorization_details=[{"type": "x"}], cnf={"jkt": "k"})
    verified = prove(TOKEN, Memory().say(**claims))
    assert isinstance(verified, VerifiedClaims)
    assert (verified.subject, verified.client, verified.token_id) == ("deployer", "pipeline", "t-1")
    assert (verified.expires_at, verified.accepted_until, verified.checked_at) == (NOW + 300, UNTIL, NOW)
    assert verified.claims == claims
    identity = to_identity(verified, "api", NOW)
    assert (identity.subject.issuer, identity.checked_at, identity.accepted_until) == (ASKED, NOW, UNTIL)
    assert identity.actor is not None


def test_what_an_answer_may_leave_out() -> None:
    """Without `exp` it is good while it is kept; without `sub` the client is the caller; ids and times are optional."""
    claims = said(exp=None, sub=None, jti=None, iat=None, iss=None)
    verified = prove(TOKEN, Memory().say(**claims))
    assert (verified.subject, verified.client, verified.token_id) == ("pipeline", "pipeline", "")
    assert (verified.issued_at, verified.expires_at, verified.accepted_until) == (None, UNTIL, UNTIL)
    assert "exp" not in verified.claims


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": None, "client_id": None}, Reason.CREDENTIALS_MALFORMED),
        ({"sub": 7}, Reason.CREDENTIALS_MALFORMED),
        ({"aud": None}, Reason.CREDENTIALS_MALFORMED),
        ({"aud": f"{AUDIENCE}/evil"}, Reason.AUDIENCE_MISMATCH),
        ({"aud": []}, Reason.AUDIENCE_MISMATCH),
        ({"iss": ISSUER}, Reason.ISSUER_UNKNOWN),
        ({"iss": f"{ASKED}/"}, Reason.ISSUER_UNKNOWN),
        ({"iss": None}, None),
        ({"exp": NOW - 5, "iat": NOW - 300}, Reason.TOKEN_EXPIRED),
        ({"exp": True}, Reason.CREDENTIALS_MALFORMED),
        ({"nbf": NOW + 6}, Reason.TOKEN_NOT_YET_VALID),
        ({"iat": NOW + 6}, Reason.TOKEN_NOT_YET_VALID),
        ({"iat": NOW - 4000}, Reason.TOKEN_TOO_OLD),
        ({"token_use": "refresh_token"}, Reason.TOKEN_TYPE_WRONG),
        ({"token_use": "access_token"}, None),
        ({"typ": "Refresh"}, Reason.TOKEN_TYPE_WRONG),
        ({"typ": "Offline"}, Reason.TOKEN_TYPE_WRONG),
        ({"typ": "ID"}, Reason.TOKEN_TYPE_WRONG),
        ({"typ": "Bearer"}, None),
        ({"token_type": "Bearer"}, None),
        ({"token_type": "mac"}, Reason.TOKEN_TYPE_WRONG),
        ({"token_type": 1}, Reason.TOKEN_TYPE_WRONG),
        ({"token_type": "DPoP"}, Reason.CREDENTIALS_MALFORMED),
        ({"token_type": "DPoP", "cnf": {"jkt": "k"}}, None),
        ({"token_type": "dpop", "cnf": []}, Reason.CREDENTIALS_MALFORMED),
    ],
    ids=str,
)
def test_an_answer_is_held_to_the_same_rules_as_a_token(changes: dict[str, Any], reason: Reason | None) -> None:
    """One change each to an answer that is good."""
    claims = said()
    claims.update(changes)
    memory = Memory().say(**{name: value for name, value in claims.items() if value is not None})
    if reason is None:
        assert isinstance(prove(TOKEN, memory), VerifiedClaims)
    else:
        assert refusal(TOKEN, memory).reason is reason


def test_inactive_is_revoked_and_nothing_known_is_unavailable() -> None:
    """The one is about the token, the other about us."""
    assert refusal(TOKEN, Memory().say(active=False)).reason is Reason.TOKEN_REVOKED
    need = IntrospectionOf(ASKED, TOKEN)
    assert prove(TOKEN, Memory()) == NeedsEvidence(need)
    for outcome in Fetched:
        found = refusal(TOKEN, Memory(), evidence=Evidence({KeysOf(ISSUER): Fetched.DONE, need: outcome}))
        assert found.reason is Reason.EVIDENCE_UNAVAILABLE
        assert TOKEN not in repr(found)


def test_the_answer_is_noted_before_it_is_looked_at() -> None:
    """By issuer and digest, so that a kept decision ends when the issuer changes its mind."""
    found = sources(KEYS, introspections=Memory().say(**said()))
    prove_access_token(UnverifiedToken(TOKEN), profile(asked()), found, NOW)
    digest = sha256(TOKEN.encode()).hexdigest()
    assert found.ledger.names == (StateName("introspection", f"{ASKED} {digest}"),)


@pytest.mark.parametrize(
    "token",
    [
        *("x", "a.b", "a.b.c", "a.b.c.d.e", "~", "eyJhbGciOiJkaXIifQ..iv.text.tag"),
        MAKER.mint(iss=ASKED),
        TokenMaker(issuer=ASKED, kid="other").mint(),
    ],
)
def test_tokens_that_go_to_the_issuer_of_opaque_ones(token: str) -> None:
    """What is no JWT by its shape, and JWTs that name it, whoever signed them."""
    assert prove(token, Memory()) == NeedsEvidence(IntrospectionOf(ASKED, token))


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (MAKER.mint(iss="https://third.example"), Reason.ISSUER_UNKNOWN),
        (MAKER.mint(iss=None), Reason.ISSUER_UNKNOWN),
        (MAKER.mint(headers={"crit": ["x"]}), Reason.CREDENTIALS_MALFORMED),
        (f"eyJ.{to_base64url(b'{}')}.AAAA", Reason.CREDENTIALS_MALFORMED),
        *(
            (f"{to_base64url(header)}.{to_base64url(b'{}')}.AAAA", Reason.CREDENTIALS_MALFORMED)
            for header in (b'{"alg":"ES256","crit":[]}', b'{ "crit":[]}', b'{\r\n  "crit":[]}', b' \t{"zip":"DEF"}')
        ),
        (MAKER.forge(), Reason.SIGNATURE_INVALID),
    ],
)
def test_a_jwt_of_somebody_else_is_not_shown_to_it(token: str, reason: Reason) -> None:
    """A credential must not be handed to a third party to find out whose it is."""
    assert refusal(token, Memory()).reason is reason


def test_a_jwt_of_a_signing_issuer_is_proven_by_its_signature() -> None:
    """Nobody is asked, and a profile without an issuer of opaque tokens knows none."""
    verified = prove(MAKER.mint(), Memory())
    assert (verified.rules.issuer, verified.checked_at) == (ISSUER, None)
    assert refusal("opaque", Memory(), believed=profile()).reason is Reason.CREDENTIALS_MALFORMED


def test_a_token_that_cannot_be_the_issuers_is_refused_without_a_question() -> None:
    """By its beginning, or its length."""
    believed = profile(asked(prefix="ory_at_"))
    assert prove("ory_at_1", Memory(), believed=believed) == NeedsEvidence(IntrospectionOf(ASKED, "ory_at_1"))
    for token in ("ory_rt_1", "x" * 16385):
        assert refusal(token, Memory(), believed=believed).reason is Reason.CREDENTIALS_MALFORMED
    assert refusal("x" * 16385, Memory()).reason is Reason.CREDENTIALS_MALFORMED


def test_a_fresh_look_is_needed_when_the_last_is_too_old() -> None:
    """Its age counts from the start of the fetch; a newer need differs and is still the same question."""
    memory = Memory().say(**said(), fetched_at=NOW - 10)
    assert prove(TOKEN, memory, max_check_age=10.0).checked_at == NOW - 10
    needed = prove(TOKEN, memory, max_check_age=9.0)
    assert needed == NeedsEvidence(IntrospectionOf(ASKED, TOKEN, Instant(NOW - 9)))
    evidence = Evidence({needed.need: Fetched.UNAVAILABLE})
    assert refusal(TOKEN, memory, max_check_age=9.0, at=NOW + 0.1, evidence=evidence).reason is (
        Reason.EVIDENCE_UNAVAILABLE
    )
    memory.say(**said(), fetched_at=NOW)
    evidence = Evidence({needed.need: Fetched.DONE})
    assert prove(TOKEN, memory, max_check_age=9.0, at=NOW + 0.1, evidence=evidence).checked_at == NOW


def test_that_a_token_is_not_active_needs_no_fresh_look() -> None:
    """It does not come back."""
    memory = Memory().say(active=False, fetched_at=NOW - 20)
    assert refusal(TOKEN, memory, max_check_age=1.0).reason is Reason.TOKEN_REVOKED


def jwt_profile(**changes: Any) -> Profile:
    """Return a profile whose issuer signs tokens and can be asked about them."""
    return profile(issuer_rules(**{"introspects": True, **changes}))


def test_a_jwt_is_asked_about_where_a_fresh_look_is_wanted() -> None:
    """After it is proven; what it says itself still counts, until the answer ends."""
    token, memory = MAKER.mint(), Memory()
    need = IntrospectionOf(ISSUER, token, Instant(NOW - 30))
    assert prove(token, memory, believed=jwt_profile(), max_check_age=30.0) == NeedsEvidence(need)
    memory.say(token, ISSUER, scope="admin")
    verified = prove(token, memory, believed=jwt_profile(), max_check_age=30.0)
    said_until = memory.find_introspection(ISSUER, sha256(token.encode()).digest(), NOW)
    assert said_until is not None
    assert (verified.checked_at, verified.claims["scope"]) == (NOW, "")
    assert verified.accepted_until == said_until.until < NOW + 305
    memory.say(token, ISSUER, active=False)
    assert refusal(token, memory, believed=jwt_profile(), max_check_age=30.0).reason is Reason.TOKEN_REVOKED
    assert prove(token, memory, believed=jwt_profile()).checked_at is None
    assert refusal(MAKER.forge(), memory, believed=jwt_profile(), max_check_age=30.0).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("contradiction", [{"sub": "x"}, {"iss": ASKED}, {"jti": "x"}], ids=str)
def test_an_answer_about_another_token_is_none(contradiction: dict[str, Any]) -> None:
    """The issuer speaks of something else: nothing can be said about this one."""
    token = MAKER.mint()
    memory = Memory().say(token, ISSUER, **contradiction)
    found = refusal(token, memory, believed=jwt_profile(), max_check_age=30.0)
    assert found.reason is Reason.EVIDENCE_UNAVAILABLE


def test_an_issuer_that_cannot_be_asked_vouches_for_nobody() -> None:
    """Policy is checked against that at load; here it fails closed all the same."""
    found = refusal(MAKER.mint(), Memory(), believed=profile(), max_check_age=30.0)
    assert found.reason is Reason.EVIDENCE_UNAVAILABLE


def test_keys_are_needed_before_anybody_is_asked() -> None:
    """A token that proves nothing is worth no question."""
    found = prove(MAKER.mint(), Memory(), believed=jwt_profile(), max_check_age=30.0, keys=MemoryKeys())
    assert found == NeedsEvidence(KeysOf(ISSUER))


def test_status_is_looked_at_last_for_opaque_tokens_too() -> None:
    """A token that is not active stays that; one that is may still name a list."""
    rules = asked(status=StatusRules(uris=(f"{ASKED}/status/",), required=True))
    assert refusal(TOKEN, Memory().say(active=False), believed=profile(rules)).reason is Reason.TOKEN_REVOKED
    assert refusal(TOKEN, Memory().say(**said()), believed=profile(rules)).reason is Reason.CREDENTIALS_MALFORMED
