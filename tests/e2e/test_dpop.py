"""DPoP through a real Envoy: accepted once, refused in each of its ways, and told how to go on."""

from __future__ import annotations

import http.client
import json
import secrets
import time
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant
from extauthz.demo.ask import Ask
from extauthz.demo.bootstrap import find_ext_authz
from extauthz.demo.child import whole_lines
from extauthz.demo.stage import Script, Stage
from extauthz.server.nonces import TimedNonces
from tests.e2e.asks import OTHER_CREDENTIALS, assert_only_carrier, await_record, decision_of, lines_of
from tests.e2e.conftest import ROOT
from tests.simulators.dpop import ORIGIN, ProofMaker
from tests.unit.response.auth_params import parse_challenge, parse_challenges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from extauthz.demo.ask import Answer

pytestmark = pytest.mark.envoy

POLICY = """\
resources:
  - name: order
    match: {host: api.example.com, path: "/v1/orders/{order}", methods: [GET, POST]}
    action: use
    credential: dpop
  - name: audited
    match: {host: api.example.com, path: "/v1/audited/{name}", methods: [GET]}
    action: read
    credential: dpop
    forward: [dpop]
  - name: payment
    match: {host: api.example.com, path: "/v1/payments/{payment}", methods: [GET]}
    action: read
    credential: dpop
    verify: careful
  - name: report
    match: {host: api.example.com, path: "/v1/reports/{report}", methods: [GET]}
    action: read
guards:
  - id: reading-audited-things
    on: audited.read
    require: [{scopes: ["audit:read"]}]
permits:
  - {id: pipelines, who: {kind: [ci]}, may: [order.use, audited.read, payment.read, report.read]}
"""
CLIENT = ProofMaker()
THIEF = ProofMaker(name="thief")
SECRET = secrets.token_hex(32).encode()  # Text: space at either end of a file is none of the secret.
LIFETIME = 3600
ALGORITHMS = "ES256 EdDSA Ed25519"


def prepare(
    folder: Path,
    state: Path,
    issuer: str | None = None,
    change_bootstrap: Callable[[dict[str, Any]], object] = lambda _bootstrap: None,
) -> Stage:
    """Return a stage with our policy and a state file; its tokens come from `issuer`, or from its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "secret").write_bytes(SECRET)

    def change(settings: dict[str, Any]) -> None:
        settings["policy"] = [str(folder / "policy.yaml")]
        settings["state"] = {"path": str(state)}
        settings["dpop"] = {"nonce_secret_file": str(folder / "secret"), "nonce_lifetime": LIFETIME}
        if issuer is not None:
            settings["issuers"][0]["issuer"] = issuer
            settings["profiles"]["default"]["issuers"] = [issuer]
        profile = settings["profiles"]["default"]
        settings["profiles"]["careful"] = {**deepcopy(profile), "dpop": {"origin": ORIGIN, "nonce": "required"}}
        profile["dpop"] = {"origin": ORIGIN}

    return Stage(Script(root=ROOT, folder=folder, change_settings=change, change_bootstrap=change_bootstrap))


@pytest.fixture(scope="module")
def state_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where servers keep what was used up."""
    return tmp_path_factory.mktemp("state") / "state.db"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, state_file: Path) -> Iterator[Stage]:
    """Run issuer, upstream, server and Envoy."""
    with prepare(tmp_path_factory.mktemp("dpop"), state_file) as running:
        yield running


def bind(api: Stage, client: ProofMaker = CLIENT, **changes: Any) -> str:
    """Return a token of the pipeline's that is bound to the client's key."""
    return api.issuer.mint("pipeline", **{"cnf": {"jkt": client.thumbprint}, **changes})


def prove(token: str, client: ProofMaker = CLIENT, **changes: Any) -> str:
    """Return a fresh proof for `GET /v1/orders/7`; `changes` as in `ProofMaker.prove`."""
    standard = {"address": f"{ORIGIN}/v1/orders/7", "now": time.time(), "jti": secrets.token_hex(12)}
    return client.prove(token, **{**standard, **changes})


def send(api: Stage, token: str, *proofs: str, path: str = "/v1/orders/7", scheme: str = "DPoP") -> Answer:
    """Send a GET with a token and proofs."""
    headers = (("authorization", f"{scheme} {token}"), *(("DPoP", proof) for proof in proofs))
    return api.edge.send(Ask(path=path, headers=headers))


def test_a_proof_is_accepted_once(api: Stage) -> None:
    """The upstream sees the token and not the proof; the same proof again is refused, another one is not."""
    token = bind(api)
    proof = prove(token)
    allowed = send(api, token, proof)
    assert (allowed.status, allowed.reason) == (200, "")
    assert lines_of(allowed, "authorization") == [f"DPoP {token}"]
    assert lines_of(allowed, "dpop") == []
    assert lines_of(allowed, "x-extauthz-subject") == ["pipeline"]
    replayed = send(api, token, proof)
    assert (replayed.status, replayed.reason) == (401, "proof_replayed")
    scheme, parameters = parse_challenge(replayed.challenge)
    assert (scheme, parameters["error"], parameters["algs"]) == ("DPoP", "invalid_dpop_proof", ALGORITHMS)
    assert send(api, token, prove(token)).status == 200


def test_only_the_declared_carrier_reaches_the_upstream(api: Stage) -> None:
    """Whatever else the client adds that could be taken for a credential or an identity; a second token is refused."""
    for headers in ([one] for one in OTHER_CREDENTIALS if one[0] != "dpop"):
        token = bind(api)
        lines = (("authorization", f"DPoP {token}"), ("dpop", prove(token)), *headers)
        answer = api.edge.send(Ask(path="/v1/orders/7?private_token=s3cret", headers=lines))
        assert_only_carrier(answer, "authorization", f"DPoP {token}")
    token = bind(api)
    lines = (("authorization", f"DPoP {token}"), ("dpop", prove(token)))
    answer = api.edge.send(Ask(path="/v1/orders/7?access_token=s3cret", headers=lines))
    assert (answer.status, answer.reason) == (400, "credentials_ambiguous")


def merge_headers(bootstrap: dict[str, Any]) -> None:
    """Let Envoy join the lines of one name, as it does unless told otherwise."""
    del find_ext_authz(bootstrap)["encode_raw_headers"]


def test_another_process_knows_what_was_used(api: Stage, state_file: Path, tmp_path: Path) -> None:
    """Replay at a second Envoy, which merges headers, and whose server shares nothing with the first but the state."""
    token = bind(api)
    proof, other, third = (prove(token) for _ in range(3))
    with prepare(tmp_path / "second", state_file, api.issuer.url, merge_headers) as second:
        assert send(api, token, proof).status == 200
        assert send(second, token, proof).reason == "proof_replayed"
        assert send(second, token, other).status == 200
        assert send(api, token, other).reason == "proof_replayed"
        assert send(second, token, third, prove(token)).reason == "proof_invalid"
        assert send(second, token, third).status == 200


Change = dict[str, Any]
WRONG: dict[str, Change] = {
    "method": {"method": "POST"},
    "method in lower case": {"method": "get"},
    "path": {"address": f"{ORIGIN}/v1/orders/8"},
    "host": {"address": "https://www.example.com/v1/orders/7"},
    "scheme": {"address": "http://api.example.com/v1/orders/7"},
    "no digest of the token": {"ath": None},
    "another token's digest": {"ath": "A" * 43},
    "type": {"headers": {"typ": "JWT"}},
    "algorithm none": {"headers": {"alg": "none"}},
    "algorithm HS256": {"headers": {"alg": "HS256"}},
    "private key": {"headers": {"jwk": {**CLIENT.jwk, "d": "AA"}}},
    "old": {"iat": time.time() - 3600},
    "from the future": {"iat": time.time() + 10**8},  # Also for those who come to it hours later.
    "no jti": {"jti": None},
    "long jti": {"jti": "j" * 20_000},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_proof_is_refused(api: Stage, what: str) -> None:
    """401 with the scheme, the error and the algorithms, in words that name what to mend."""
    token = bind(api)
    answer = send(api, token, prove(token, **WRONG[what]))
    assert (answer.status, answer.reason) == (401, "proof_invalid")
    scheme, parameters = parse_challenge(answer.challenge)
    assert (scheme, parameters["error"], parameters["algs"]) == ("DPoP", "invalid_dpop_proof", ALGORITHMS)
    assert json.loads(answer.body)["detail"]


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_proof(api: Stage, count: int) -> None:
    """None and two are refused, each of the two being good by itself."""
    token = bind(api)
    answer = send(api, token, *(prove(token) for _ in range(count)))
    assert (answer.status, parse_challenge(answer.challenge)[1]["error"]) == (401, "invalid_dpop_proof")


@pytest.mark.parametrize(
    ("spelling", "path"),
    [
        ("https://API.Example.com:443/v1/orders/7", "/v1/orders/7"),
        (f"{ORIGIN}/v1/orders/7?a=b#c", "/v1/orders/7?page=2"),
        (f"{ORIGIN}/v1/x/../orders/7", "/v1/orders/7"),
        (f"{ORIGIN}/v1/orders/~7", "/v1/orders/%7E7"),
        (f"{ORIGIN}/v1/orders/%7e7", "/v1/orders/~7"),
    ],
)
def test_equivalent_addresses_are_accepted(api: Stage, spelling: str, path: str) -> None:
    """Whichever side normalises (RFC 3986 sections 6.2.2 and 6.2.3)."""
    token = bind(api)
    assert send(api, token, prove(token, address=spelling), path=path).status == 200


@pytest.mark.parametrize(
    ("confirmation", "client", "reason"),
    [
        (None, CLIENT, "binding_missing"),
        ({"jkt": CLIENT.thumbprint}, THIEF, "binding_mismatch"),
        ({"x5t#S256": "A" * 43}, CLIENT, "binding_missing"),
    ],
)
def test_a_token_of_somebody_else_is_refused(api: Stage, confirmation: object, client: ProofMaker, reason: str) -> None:
    """A thief with a key of his own, and tokens that are not bound to a key."""
    token = bind(api, cnf=confirmation)
    answer = send(api, token, prove(token, client))
    assert (answer.status, answer.reason) == (401, reason)
    assert parse_challenge(answer.challenge)[1]["error"] == "invalid_token"


def test_a_thief_without_the_key_is_refused(api: Stage) -> None:
    """The victim's public key in a proof that the thief has signed."""
    token = bind(api)
    assert send(api, token, prove(token, THIEF, headers={"jwk": CLIENT.jwk})).reason == "proof_invalid"


def test_schemes(api: Stage) -> None:
    """No credential is told how to come; a bound token as Bearer is a downgrade; both schemes are a bad request."""
    scheme, parameters = parse_challenge(api.edge.send(Ask(path="/v1/orders/7")).challenge)
    assert (scheme, parameters["algs"], "error" in parameters) == ("DPoP", ALGORITHMS, False)
    token = bind(api)
    assert send(api, token, scheme="Bearer").reason == "no_credentials"
    downgrade = send(api, token, path="/v1/reports/7", scheme="Bearer")
    assert (downgrade.status, downgrade.reason) == (401, "binding_mismatch")
    assert parse_challenge(downgrade.challenge)[1]["error"] == "invalid_token"
    lines = (("authorization", f"Bearer {token}"), ("authorization", f"DPoP {token}"), ("dpop", prove(token)))
    both = api.edge.send(Ask(path="/v1/orders/7", headers=lines))
    assert both.status == 400
    challenges = parse_challenges(both.challenge)
    assert {scheme: found["error"] for scheme, found in challenges.items()} == dict.fromkeys(
        ("Bearer", "DPoP"), "invalid_request"
    )


def test_a_missing_scope_is_asked_for_in_the_same_scheme(api: Stage) -> None:
    """And where the resource forwards it, the proof reaches the upstream."""
    address = f"{ORIGIN}/v1/audited/a"
    token = bind(api)
    answer = send(api, token, prove(token, address=address), path="/v1/audited/a")
    assert (answer.status, answer.reason) == (403, "insufficient_scope")
    scheme, parameters = parse_challenge(answer.challenge)
    assert (scheme, parameters["scope"], parameters["algs"]) == ("DPoP", "audit:read", ALGORITHMS)
    better = bind(api, scope="audit:read")
    proof = prove(better, address=address)
    assert lines_of(send(api, better, proof, path="/v1/audited/a"), "dpop") == [proof]


def test_nonces(api: Stage) -> None:
    """Learned from the refusal, replaced with an allow when it grows old, refused when it is too old."""
    stretch = time.time() // LIFETIME
    try:
        converse_about_nonces(api)
    except AssertionError:
        if time.time() // LIFETIME == stretch:
            raise
        converse_about_nonces(api)  # They were replaced meanwhile, as they are every hour.


def converse_about_nonces(api: Stage) -> None:
    """Send proofs with the nonces of now, and without; fail where the answers are others than they should be."""
    address = f"{ORIGIN}/v1/payments/7"
    nonces = TimedNonces(SECRET, LIFETIME)
    newest, before, stale = (nonces.nonce_at(Instant(time.time() - age * LIFETIME)) for age in range(3))
    token = bind(api)

    def ask(**changes: Any) -> Answer:
        return send(api, token, prove(token, address=address, **changes), path="/v1/payments/7")

    for refused in (ask(), ask(nonce=stale), ask(nonce="guess")):
        assert (refused.status, refused.reason) == (401, "proof_nonce_required")
        assert parse_challenge(refused.challenge)[1]["error"] == "use_dpop_nonce"
        assert (refused.headers["dpop-nonce"], refused.headers["cache-control"]) == (newest, "no-store")
    current = ask(nonce=newest)
    assert (current.status, "dpop-nonce" in current.headers) == (200, False)
    grace = ask(nonce=before)
    assert (grace.status, grace.headers["dpop-nonce"], grace.headers["cache-control"]) == (200, newest, "no-store")


def test_a_huge_proof_harms_nobody(api: Stage) -> None:
    """Envoy stops ten megabytes; the next request is answered as ever."""
    token = bind(api)
    with suppress(OSError, http.client.HTTPException):  # Envoy may close while the header is still being sent.
        assert send(api, token, "a" * 10_000_000).status in {400, 431}
    assert send(api, token, prove(token)).status == 200


def test_records_tell_how_the_caller_proved_itself(api: Stage) -> None:
    """And hold neither token nor proof."""
    token = bind(api)
    proof = prove(token)
    answer = send(api, token, proof)
    record = await_record(api, decision_of(answer))
    text = "".join(whole_lines(api.records))
    assert (record["credential"], record["binding"]) == ("dpop", "dpop")
    assert proof.split(".")[2] not in text
    assert token.split(".")[2] not in text
