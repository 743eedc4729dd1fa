"""DPoP proofs and nonces of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from extauthz.client import Response, Token
from tests.simulators.api import API, OK, Api, Issuer, Watch, bearer, dpop_issuer, refuse, session

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    Token("nhi-demo-token-1", dpop_issuer(signed).sign).present("GET", API, "", Watch())
    assert signed[0]["ath"] == "GBofplUsRTzt9Xi08hjUwqVSQ2i0ZYzYgUu61Yz5zyk"


def test_a_nonce_is_no_use_without_a_key_or_without_the_nonce() -> None:
    """And a server that asks for one again and again gets two requests."""
    challenge = 'DPoP error="use_dpop_nonce"'
    for issuer, refused in (
        (Issuer(), refuse(401, challenge, dpop_nonce="n")),
        (dpop_issuer([]), refuse(401, challenge)),
    ):
        api = Api((refused,))
        session(api, issuer).request("GET", "/")
        assert len(api.sent) == 1
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
