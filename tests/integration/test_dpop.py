"""A whole server and DPoP: a proof is good for one request, on every server that shares the state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.server.nonces import TimedNonces
from tests.integration.running import Running, running, seconds_of_patience
from tests.simulators.dpop import ORIGIN, ProofMaker
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.tokens import ISSUER
from tests.unit.response.auth_params import parse_challenge, parse_challenges

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse

POLICY = """\
resources:
  - name: thing
    match: {host: api.example.com, path: "/things/{id}", methods: [GET]}
    action: read
    credential: dpop
  - name: free
    match: {host: api.example.com, path: "/free/{id}", methods: [GET]}
    action: read
permits:
  - id: machines-read
    who: {kind: [ci]}
    may: [thing.read, free.read]
"""
CLIENT = ProofMaker()
ALLOWED = (200, "allowed")
REPLAYED = (401, "proof_replayed")
SECRET = b"s" * 40
LIFETIME = 3600.0


def settings(**changes: Any) -> dict[str, Any]:
    """Return changes to the settings: a profile that accepts proofs, and a state."""
    proofs = {"origin": ORIGIN, "max_age": "10m", **changes.pop("proofs", {})}
    profile = {"issuers": [ISSUER], "audience": ORIGIN, "dpop": proofs}
    return {"policy": POLICY, "profiles": {"default": profile}, "state": {"memory": True}, **changes}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run one server for the tests that leave it as it is."""
    with running(tmp_path_factory.mktemp("dpop"), **settings()) as found:
        yield found


def bind(server: Running, **changes: Any) -> str:
    """Return a token that is bound to the client's key and good now."""
    return CLIENT.bind(server.maker, now=time.time(), **changes)


def ask(server: Running, token: str, *proofs: str, path: str = "/things/7", **arguments: Any) -> CheckResponse:
    """Ask about a GET with a token and proofs, as another stream of Envoy's each time."""
    headers = [("authorization", f"DPoP {token}"), *(("dpop", proof) for proof in proofs)]
    stream = {"stream_id": str(time.monotonic_ns()), **arguments}
    return server.asker.ask(check_request(path=path, headers=headers, **stream))


def prove(token: str, **changes: Any) -> str:
    """Return a proof that is good now."""
    return CLIENT.prove(token, address=f"{ORIGIN}/things/7", **{"now": time.time(), **changes})


def challenge_of(response: CheckResponse) -> dict[str, str]:
    """Return the parameters of the one challenge, which is of the scheme DPoP."""
    scheme, parameters = parse_challenge(header_of(response, "www-authenticate"))
    assert scheme == "DPoP"
    return parameters


def header_of(response: CheckResponse, name: str) -> str:
    """Return a header that the client gets from us; empty for none."""
    options = [*response.denied_response.headers, *response.ok_response.response_headers_to_add]
    return next((option.header.value for option in options if option.header.key == name), "")


@pytest.mark.parametrize("raw_headers", [True, False], ids=["lines", "merged"])
def test_a_proof_is_good_once(server: Running, *, raw_headers: bool) -> None:
    """The second request with it is refused, and told so; one with a new proof is not."""
    token = bind(server)
    proof = prove(token, jti=f"once-{raw_headers}")
    assert outcome_of(ask(server, token, proof, raw_headers=raw_headers)) == ALLOWED
    replayed = ask(server, token, proof, raw_headers=raw_headers)
    assert outcome_of(replayed) == REPLAYED
    assert challenge_of(replayed)["error"] == "invalid_dpop_proof"
    assert challenge_of(replayed)["algs"] == "ES256 EdDSA Ed25519"
    again = prove(token, jti=f"again-{raw_headers}")
    assert outcome_of(ask(server, token, again, raw_headers=raw_headers)) == ALLOWED


@pytest.mark.parametrize("raw_headers", [True, False], ids=["lines", "merged"])
def test_two_proofs_are_none(server: Running, *, raw_headers: bool) -> None:
    """Each of them good by itself, in both shapes of headers; neither is used up by that."""
    token = bind(server)
    proofs = [prove(token, jti=f"two-{raw_headers}-{number}") for number in range(2)]
    answer = ask(server, token, *proofs, raw_headers=raw_headers)
    assert outcome_of(answer) == (401, "proof_invalid")
    assert challenge_of(answer)["error"] == "invalid_dpop_proof"
    assert [outcome_of(ask(server, token, proof)) for proof in proofs] == [ALLOWED, ALLOWED]


def test_a_question_that_is_asked_again_spends_once(server: Running) -> None:
    """Envoy's own retry of the very same question is no replay."""
    token = bind(server)
    proof = prove(token, jti="retried")
    answers = [outcome_of(ask(server, token, proof, stream_id="77")) for _ in range(2)]
    assert answers == [ALLOWED, ALLOWED]
    assert outcome_of(ask(server, token, proof, stream_id="78")) == REPLAYED


def test_nothing_about_proofs_is_kept(server: Running) -> None:
    """The same question is decided anew each time, allow or denial; one without a proof is given again."""
    token, free = bind(server), server.mint()
    proof = prove(token, jti="kept")
    for _ in range(3):
        assert outcome_of(ask(server, token, proof, stream_id="5")) == ALLOWED
        assert outcome_of(ask(server, token, "nonsense", stream_id="5")) == (401, "proof_invalid")
        assert outcome_of(ask(server, token, stream_id="5")) == (401, "proof_invalid")
    for _ in range(3):
        assert outcome_of(server.ask(free, path="/free/kept")) == ALLOWED
    seconds_of_patience(lambda: [one.get("path") for one in server.records()].count("/free/kept") == 3)
    cached = [one for one in server.records() if one.get("cached")]
    assert [one["path"] for one in cached] == ["/free/kept"] * 2


def test_a_bound_token_is_no_bearer_token(server: Running) -> None:
    """Neither where a proof is asked for nor where none is."""
    token = bind(server)
    assert outcome_of(server.ask(token)) == (401, "no_credentials")
    assert outcome_of(server.ask(token, path="/free/7")) == (401, "binding_mismatch")


def test_both_schemes_are_an_error_in_both_challenges(server: Running) -> None:
    """RFC 9449 section 7.2: 400, before anything else is looked at."""
    token = bind(server)
    lines = [("authorization", f"Bearer {token}"), ("authorization", f"DPoP {token}"), ("dpop", prove(token))]
    for raw_headers in (True, False):
        answer = server.asker.ask(check_request(path="/things/7", headers=lines, raw_headers=raw_headers))
        assert outcome_of(answer) == (400, "credentials_ambiguous")
        challenges = parse_challenges(header_of(answer, "www-authenticate"))
        assert {scheme: found["error"] for scheme, found in challenges.items()} == {
            "Bearer": "invalid_request",
            "DPoP": "invalid_request",
        }


def test_a_proof_is_used_up_for_every_server_with_the_same_state(tmp_path: Path) -> None:
    """Two servers share a file; a third has its own and knows nothing of what the others have seen."""
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    shared, own = {"path": str(tmp_path / "state.db")}, {"path": str(tmp_path / "own.db")}
    with (
        running(folders[0], **settings(state=shared)) as one,
        running(folders[1], **settings(state=shared)) as two,
        running(folders[2], **settings(state=own)) as three,
    ):
        token = bind(one)
        proof = prove(token)
        assert outcome_of(ask(one, token, proof)) == ALLOWED
        assert outcome_of(ask(two, token, proof)) == REPLAYED
        assert outcome_of(ask(three, token, proof)) == ALLOWED


def test_many_different_proofs_take_bounded_room(tmp_path: Path) -> None:
    """When the state is full nothing more is spent: what was spent is not forgotten to make room."""
    with running(tmp_path, **settings(state={"memory": True, "max_spends": 1000})) as server:
        token = bind(server)
        proofs = [prove(token, jti=f"j-{number}") for number in range(520)]
        outcomes = [outcome_of(ask(server, token, proof)) for proof in proofs]
        assert outcomes[:400] == [ALLOWED] * 400
        assert outcomes[-1] == (503, "evidence_unavailable")
        assert outcome_of(ask(server, token, proofs[0])) != ALLOWED


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run one server that asks for nonces, made from a secret that the tests know."""
    folder = tmp_path_factory.mktemp("nonce")
    (folder / "secret").write_bytes(SECRET)
    nonces = {"nonce_secret_file": str(folder / "secret"), "nonce_lifetime": LIFETIME}
    with running(folder, **settings(proofs={"nonce": "required"}, dpop=nonces)) as found:
        yield found


def stay_within_a_stretch() -> None:
    """Wait for the next stretch where one is about to end; a test is over before that ends."""
    seconds_of_patience(lambda: time.time() % LIFETIME < LIFETIME - 30)


def nonce_of(stretches_ago: int) -> str:
    """Return what a server with the same secret gave out that many lifetimes ago."""
    return TimedNonces(SECRET, LIFETIME).nonce_at(Instant(time.time() - stretches_ago * LIFETIME))


def test_a_nonce_is_learned_and_used(asking: Running) -> None:
    """The first proof is refused with a nonce, the second one with it is allowed, and nothing more is said."""
    stay_within_a_stretch()
    token = bind(asking)
    refused = ask(asking, token, prove(token))
    assert outcome_of(refused) == (401, "proof_nonce_required")
    assert challenge_of(refused)["error"] == "use_dpop_nonce"
    assert header_of(refused, "cache-control") == "no-store"
    nonce = header_of(refused, "dpop-nonce")
    allowed = ask(asking, token, prove(token, nonce=nonce))
    assert outcome_of(allowed) == ALLOWED
    assert header_of(allowed, "dpop-nonce") == ""


def test_nonces_pass(asking: Running) -> None:
    """The one before is accepted, and the new one said with the allow; one before that is refused."""
    stay_within_a_stretch()
    token = bind(asking)
    grace = ask(asking, token, prove(token, nonce=nonce_of(1), jti="grace"))
    assert outcome_of(grace) == ALLOWED
    assert header_of(grace, "dpop-nonce") == nonce_of(0)
    stale = ask(asking, token, prove(token, nonce=nonce_of(2), jti="stale"))
    assert outcome_of(stale) == (401, "proof_nonce_required")
    assert header_of(stale, "dpop-nonce") == nonce_of(0)
