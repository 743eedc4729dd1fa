"""What a session does about refusals, honest and hostile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.client import Approval, OutsideResourceError, Patience, Response, Session, Token, TokenRequest
from extauthz.client.session import MAX_WAITS
from tests.simulators.api import API, OK, Api, Issuer, Sent, Watch, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_REQUESTS = 2 * 2 + 3 + 3 * MAX_WAITS
"""More than any combination of repairs and waits can take."""


def session(api: Api, issuer: Issuer | None = None, watch: Watch | None = None, **patience: Any) -> Session:
    """Return a session with the API."""
    return Session(API, issuer or Issuer(), patience=Patience(**patience), transport=api, machine=watch or Watch())


def bearer(error: str, rest: str = "") -> str:
    """Return a challenge."""
    return f'Bearer realm="api", error="{error}"{rest}'


def test_an_allowed_request_is_sent_once_with_its_token() -> None:
    """And nothing is asked twice: the next request has the same token."""
    api, issuer = Api((OK,)), Issuer()
    talk = session(api, issuer)
    assert talk.request("POST", "/v1/x?y=1", headers={"X-A": "b"}, body=b"{}") == OK
    assert talk.request("GET", f"{API}/v1/z") == OK
    assert [(sent.method, sent.url) for sent in api.sent] == [("POST", f"{API}/v1/x?y=1"), ("GET", f"{API}/v1/z")]
    assert dict(api.sent[0].headers) == {"x-a": "b", "authorization": "Bearer t1"}
    assert api.credentials[1] == "Bearer t1"
    assert issuer.asked == [TokenRequest(resource=API)]
    assert talk.last_refusal is None


def test_missing_scopes_are_asked_for_together_with_those_before() -> None:
    """Over a session they add up, so that one operation does not undo the other."""
    api = Api(
        (
            refuse(403, bearer("insufficient_scope", ', scope="b c"')),
            OK,
            refuse(403, bearer("insufficient_scope", ', scope="a"')),
            OK,
        )
    )
    issuer = Issuer()
    talk = session(api, issuer)
    assert talk.request("GET", "/1") == OK
    assert talk.request("GET", "/2") == OK
    assert [asked.scopes for asked in issuer.asked] == [(), ("b", "c"), ("a", "b", "c")]
    assert api.credentials == ["Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3"]


def test_a_scope_that_was_asked_for_is_not_asked_for_again() -> None:
    """The issuer does not give it, so the refusal is the answer, in the next request at once."""
    denied = refuse(403, bearer("insufficient_scope", ', scope="a"'), body={"reason": "insufficient_scope"})
    api, issuer = Api((denied,)), Issuer()
    talk = session(api, issuer)
    assert talk.request("GET", "/") == denied
    assert talk.request("GET", "/") == denied
    assert (len(api.sent), len(issuer.asked)) == (3, 2)
    assert talk.last_refusal is not None
    assert talk.last_refusal.reason == "insufficient_scope"


def test_a_sign_in_is_asked_for_with_its_scopes() -> None:
    """As the challenge says; its age is not asked for again later, the way to sign in is."""
    challenge = bearer("insufficient_user_authentication", ', acr_values="phr mfa", max_age=300, scope="pay"')
    more = refuse(403, bearer("insufficient_scope", ', scope="read"'))
    api, issuer = Api((refuse(401, challenge), more, OK)), Issuer()
    assert session(api, issuer).request("GET", "/") == OK
    _, sign_in, wider = issuer.asked
    assert (sign_in.acr_values, sign_in.max_age, sign_in.scopes) == (("phr", "mfa"), 300, ("pay",))
    assert (wider.acr_values, wider.max_age, wider.scopes) == (("phr", "mfa"), None, ("pay", "read"))


def test_a_machine_source_that_cannot_sign_in_ends_it() -> None:
    """Its None leaves the refusal as the answer."""
    denied = refuse(401, bearer("insufficient_user_authentication", ', max_age="x"'))
    api, issuer = Api((denied,)), Issuer(stingy=1)
    assert session(api, issuer).request("GET", "/") == denied
    assert (len(api.sent), issuer.asked[1].max_age) == (1, None)


def test_an_invalid_token_is_replaced_once() -> None:
    """The source is told which one it was; a second refusal is the answer."""
    denied = refuse(401, bearer("invalid_token"))
    api, issuer = Api((denied, OK)), Issuer()
    assert session(api, issuer).request("GET", "/") == OK
    assert issuer.asked[1].rejected == Token("t1")
    api, issuer = Api((denied,)), Issuer()
    assert session(api, issuer).request("GET", "/") == denied
    assert len(api.sent) == 2


def test_a_source_that_gives_the_same_token_again_ends_it() -> None:
    """Sending it again would be refused again."""
    api = Api((refuse(401, bearer("invalid_token")),))
    Session(API, lambda _request: Token("same"), transport=api, machine=Watch()).request("GET", "/")
    assert len(api.sent) == 1


def test_without_a_token_the_first_refusal_says_what_is_needed() -> None:
    """A source may wait until it knows more; the request goes out bare."""
    api = Api((refuse(401, 'Bearer realm="api", scope="read"'), OK))
    asked: list[TokenRequest] = []

    def lazy(request: TokenRequest) -> Token | None:
        asked.append(request)
        return Token("good") if request.scopes else None

    assert Session(API, lazy, transport=api, machine=Watch()).request("GET", "/") == OK
    assert api.credentials == ["", "Bearer good"]


def dpop_issuer(signed: list[Mapping[str, Any]]) -> Issuer:
    """Return a source with a DPoP key; its proofs are numbered."""

    def sign(claims: Mapping[str, Any]) -> str:
        signed.append(claims)
        return f"proof-{len(signed)}"

    return Issuer(sign)


def test_proofs_and_nonces() -> None:
    """A proof for each request; a nonce is learned from a refusal once, and from any answer."""
    signed: list[Mapping[str, Any]] = []
    challenge = 'DPoP error="use_dpop_nonce", algs="ES256"'
    renewed = Response(status=200, headers={"dpop-nonce": "n2"})
    api = Api((refuse(401, challenge, dpop_nonce="n1"), renewed, OK))
    talk = session(api, dpop_issuer(signed))
    assert talk.request("PUT", "/v1/x?q#f") == renewed
    assert talk.request("GET", "/") == OK
    assert [claims.get("nonce") for claims in signed] == [None, "n1", "n2"]
    assert [sent.headers["dpop"] for sent in api.sent] == ["proof-1", "proof-2", "proof-3"]
    assert api.credentials == ["DPoP t1"] * 3
    assert {key: signed[0][key] for key in ("htm", "htu", "iat")} == {
        "htm": "PUT",
        "htu": f"{API}/v1/x",
        "iat": 1_800_000_000,
    }


def test_the_digest_of_the_token_is_that_of_the_standard() -> None:
    """`ath` of RFC 9449 section 4.2, recomputed elsewhere."""
    signed: list[Mapping[str, Any]] = []
    token = Token("nhi-demo-token-1", lambda claims: signed.append(claims) or "proof")  # type: ignore[func-returns-value] # appends, then answers
    token.present("GET", API, "", Watch())
    assert signed[0]["ath"] == "GBofplUsRTzt9Xi08hjUwqVSQ2i0ZYzYgUu61Yz5zyk"


def test_a_nonce_is_no_use_without_a_key_or_without_the_nonce() -> None:
    """And a server that asks for one again and again gets two requests."""
    challenge = 'DPoP error="use_dpop_nonce"'
    for issuer, headers, count in ((Issuer(), {"dpop_nonce": "n"}, 1), (dpop_issuer([]), {}, 1)):
        api = Api((refuse(401, challenge, **headers),))
        session(api, issuer).request("GET", "/")
        assert len(api.sent) == count
    api = Api((refuse(401, challenge, dpop_nonce="n"),))
    session(api, dpop_issuer([])).request("GET", "/")
    assert len(api.sent) == 2


def test_a_resource_that_wants_proofs_says_so_to_the_source() -> None:
    """Its algorithms are passed on, and not forgotten when a later challenge leaves them out."""
    api = Api((refuse(401, 'DPoP algs="ES256 EdDSA"'), refuse(403, bearer("insufficient_scope", ', scope="a"')), OK))
    issuer = Issuer()
    assert session(api, issuer).request("GET", "/") == OK
    assert [asked.proof_algorithms for asked in issuer.asked] == [(), ("ES256", "EdDSA"), ("ES256", "EdDSA")]


def test_each_scheme_listens_to_its_own_challenge() -> None:
    """Of two the one for the token that was sent counts."""
    both = f'{bearer("invalid_token")}, DPoP error="insufficient_scope", scope="a"'
    api, issuer = Api((refuse(403, both), OK)), dpop_issuer([])
    assert session(api, issuer).request("GET", "/") == OK
    assert issuer.asked[1].scopes == ("a",)


CLOSED = {"reason": "outside_change_window", "remedies": [{"kind": "window", "opens_at": "2027-01-15T08:10:00Z"}]}


def test_a_window_is_waited_for_as_long_as_allowed() -> None:
    """The whole time or not at all."""
    closed = refuse(403, body=CLOSED, retry_after="600")
    for allowed, waited, answer in ((600.0, [600.0], OK), (599.0, [], closed), (0.0, [], closed)):
        watch = Watch()
        got = session(Api((closed, OK)), watch=watch, wait_up_to=allowed).request("POST", "/", body=b"x")
        assert (got, watch.waited) == (answer, waited)


def test_a_date_to_wait_for_is_understood() -> None:
    """RFC 9110 section 10.2.3 has both forms; a date that is past is no wait."""
    for date, waited in (("Fri, 15 Jan 2027 08:00:30 GMT", 30.0), ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0)):
        watch = Watch()
        session(Api((refuse(429, body=CLOSED, retry_after=date), OK)), watch=watch, wait_up_to=60).request("GET", "/")
        assert watch.waited == [waited]


@pytest.mark.parametrize("header", ["soon", "-1", "1e3", "9" * 30, "²", "", "Fri, 99 Jan 2027 08:00:30 GMT"])
def test_an_unreadable_wait_is_none(header: str) -> None:
    """Nobody guesses."""
    watch = Watch()
    session(Api((refuse(503, body=CLOSED, retry_after=header),)), watch=watch, wait_up_to=1e9).request("GET", "/")
    assert watch.waited == []


def test_a_failure_of_the_upstream_is_repeated_only_where_that_is_harmless() -> None:
    """Without a code of extauthz's the request may have been acted on."""
    busy = refuse(503, retry_after="1")
    for method, count in (("GET", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)):
        api = Api((busy, OK))
        session(api, wait_up_to=5).request(method, "/")
        assert len(api.sent) == count


def test_after_a_wait_token_and_nonce_may_be_mended_again() -> None:
    """A long wait outlives both."""
    invalid, closed = refuse(401, bearer("invalid_token")), refuse(403, body=CLOSED, retry_after="60")
    api = Api((invalid, closed, invalid, OK))
    assert session(api, wait_up_to=60).request("GET", "/") == OK
    assert api.credentials == ["Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3"]


def test_an_approval_is_sought_once_if_somebody_said_how() -> None:
    """The hook says whether to send the request again."""
    pending = refuse(403, body={"reason": "approval_required", "remedies": [{"kind": "approval", "id": "ap-1"}]})
    seen: list[Approval] = []
    for verdict, count in ((True, 2), (False, 1)):
        api = Api((pending,))
        session(api, approve=lambda approval, verdict=verdict: seen.append(approval) or verdict).request("POST", "/")
        assert len(api.sent) == count
    assert seen == [Approval("ap-1"), Approval("ap-1")]
    api = Api((pending,))
    session(api).request("POST", "/")
    assert len(api.sent) == 1


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "https://api.example.com.evil.example/",
        "https://api.example.com@evil.example/",
        "https://user@api.example.com/",
        "//evil.example/",
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com:bad/",
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/%252e%252e/admin",
        "/v1/..;a/admin",
        "/v1/..\\admin",
        "/v1/a b",
        "/v1/a\r\nx: y",
        "/v1/é",
        "relative",
        "",
        "ftp://api.example.com/",
    ],
)
def test_nothing_is_sent_to_another_place(target: str) -> None:
    """Neither to other origins nor to addresses that somebody could read as others."""
    api = Api((OK,))
    talk = session(api)
    with pytest.raises(OutsideResourceError):
        talk.request("GET", target if target != "//evil.example/" else "https://evil.example/")
    assert api.sent == []


def test_a_target_with_two_slashes_stays_at_home() -> None:
    """It is a path here, not a host."""
    api = Api((OK,))
    session(api).request("GET", "//evil.example/")
    assert api.sent[0].url == f"{API}//evil.example/"


def test_a_resource_with_a_path_has_what_is_below_it() -> None:
    """And not what begins alike."""
    api = Api((OK,))
    talk = Session(f"{API}/mcp", Issuer(), transport=api, machine=Watch())
    for target in ("/mcp", "/mcp/x", "/mcp?a=b", f"{API}:443/mcp"):
        talk.request("GET", target)
    for target in ("/", "/mcpx", "/mcp/../other", "/other"):
        with pytest.raises(OutsideResourceError):
            talk.request("GET", target)
    assert len(api.sent) == 4


@pytest.mark.parametrize("name", ["Authorization", "dpop"])
def test_the_credential_is_the_sessions(name: str) -> None:
    """A caller's own would be sent beside it, or in its place."""
    with pytest.raises(ValueError, match="set by the session"):
        session(Api((OK,))).request("GET", "/", headers={name: "x"})


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_answers(status: int) -> None:
    """Nobody follows them with a token."""
    moved = Response(status=status, headers={"location": "https://evil.example/"})
    api = Api((moved,))
    assert session(api).request("GET", "/") == moved
    assert len(api.sent) == 1


HEADERS = st.sampled_from(
    [
        bearer("insufficient_scope", ', scope="a"'),
        bearer("insufficient_scope", ', scope="b c"'),
        bearer("insufficient_scope"),
        bearer("insufficient_user_authentication", ', max_age=0, acr_values="x"'),
        bearer("insufficient_user_authentication", ', max_age="-1"'),
        bearer("invalid_token"),
        bearer("invalid_request"),
        'DPoP error="use_dpop_nonce"',
        'Bearer resource_metadata="https://evil.example/.well-known/oauth-protected-resource"',
        "Bearer",
        'Basic realm="x"',
        'Bearer error="',
        "",
    ]
)
BODIES = st.sampled_from(
    [
        None,
        CLOSED,
        {"reason": 7, "remedies": "all"},
        {"reason": "approval_required", "remedies": [{"kind": "approval", "id": "a", "where": "w"}, 3]},
        {"remedies": [{"kind": "approval", "id": 3}]},
    ]
)
ANSWERS = st.builds(
    lambda status, challenge, body, retry: refuse(status, challenge, body=body, dpop_nonce="n", retry_after=retry),
    st.sampled_from([200, 400, 401, 403, 404, 429, 500, 503]),
    HEADERS,
    BODIES,
    st.sampled_from(["", "0", "1", "30"]),
)


@given(st.lists(ANSWERS, min_size=1, max_size=30), st.booleans())
def test_no_api_keeps_a_session_going(answers: list[Response], proves: bool) -> None:
    """Whatever it answers: few requests, only to it, waits within bounds, and an answer in the end."""
    api, watch, issuer = Api(tuple(answers)), Watch(), dpop_issuer([]) if proves else Issuer()
    talk = session(api, issuer, watch, wait_up_to=45.0, approve=lambda _approval: True)
    answer = talk.request("GET", "/")
    assert answer in answers
    assert len(api.sent) <= MOST_REQUESTS
    assert sum(watch.waited) <= 45.0
    assert {sent.url for sent in api.sent} == {f"{API}/"}


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"[" * 60_000, b"{}" + b" " * 70_000])
def test_a_body_that_is_no_problem_tells_nothing(body: bytes) -> None:
    """And does no harm."""
    api = Api((Response(status=403, headers={"content-type": "application/problem+json"}, body=body),))
    talk = session(api)
    talk.request("GET", "/")
    assert talk.last_refusal is not None
    assert (talk.last_refusal.reason, talk.last_refusal.remedies) == ("", ())


def test_a_page_that_looks_like_a_problem_is_none() -> None:
    """The media type says what it is."""
    page = Response(status=403, headers={"content-type": "text/html"}, body=json.dumps(CLOSED).encode())
    talk = session(Api((page,)))
    talk.request("GET", "/")
    assert talk.last_refusal is not None
    assert talk.last_refusal.reason == ""


def test_tokens_are_not_shown() -> None:
    """Where values are printed or logged."""
    assert "secret" not in repr(Token("secret"))
    assert "secret" not in repr(TokenRequest(resource=API, rejected=Token("secret")))


def needs_everything(sent: Sent) -> Response:
    """Answer like an API whose operation needs a scope, a sign-in and an open window, one after the other."""
    token = sent.headers["authorization"].removeprefix("Bearer ")
    steps = {
        "t1": refuse(401, bearer("insufficient_user_authentication", ', acr_values="phr", scope="a"')),
        "t2": refuse(403, bearer("insufficient_scope", ', scope="a b"')),
    }
    return steps.get(token, OK)


def test_several_repairs_lead_to_an_allow() -> None:
    """One after the other."""
    issuer = Issuer()
    assert session(Api(needs_everything), issuer).request("GET", "/") == OK
    assert (issuer.asked[-1].scopes, issuer.asked[-1].acr_values) == (("a", "b"), ("phr",))
