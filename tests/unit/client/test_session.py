"""What a session does about refusals, honest and hostile."""

from __future__ import annotations

import pytest

from extauthz.client import Approval, Response, Session, Token, TokenRequest
from tests.simulators.api import API, CLOSED, OK, Api, Issuer, Sent, Watch, bearer, refuse, session


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
    for granted, count in ((True, 2), (False, 1)):
        api = Api((pending,))

        def seek(approval: Approval, answer: bool = granted) -> bool:
            seen.append(approval)
            return answer

        session(api, approve=seek).request("POST", "/")
        assert len(api.sent) == count
    assert seen == [Approval("ap-1"), Approval("ap-1")]
    api = Api((pending,))
    session(api).request("POST", "/")
    assert len(api.sent) == 1


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
