"""What no API, and no caller's mistake, makes a session do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.client import OutsideResourceError, Response, Session, Token, TokenRequest
from extauthz.client.session import MAX_WAITS
from tests.simulators.api import API, CLOSED, OK, Api, Issuer, Watch, bearer, dpop_issuer, refuse, session

MOST_REQUESTS = 2 * 2 + 3 + 3 * MAX_WAITS
"""More than any combination of repairs and waits can take."""


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


@pytest.mark.parametrize("name", ["Authorization", "dpop", "HOST"])
def test_the_credential_is_the_sessions(name: str) -> None:
    """A caller's own would be sent beside it or in its place, or to another virtual host."""
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


@pytest.mark.parametrize("value", ["", "a b", "a,b", "a\r\nx: y", "é", "a\n", "Bearer a"])
def test_what_is_no_token_is_refused(value: str) -> None:
    """Before it could become two headers, or two credentials."""
    with pytest.raises(ValueError, match="not a token"):
        Token(value)


def test_tokens_are_not_shown() -> None:
    """Where values are printed or logged."""
    assert "secret" not in repr(Token("secret"))
    assert "secret" not in repr(TokenRequest(resource=API, rejected=Token("secret")))
