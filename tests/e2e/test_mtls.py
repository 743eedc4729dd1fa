"""Client certificates and tokens bound to them, through a real Envoy with real certificates."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.e2e.asks import OTHER_CREDENTIALS, assert_only_carrier, eventually, lines_of
from tests.e2e.meshed import CA, COMING, ENDED, Mesh, builder, workload
from tests.simulators.client_certificates import XFCC, dns, element, uri, usage

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.envoy


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Run the stage for all tests here; none of them breaks it."""
    mesh = Mesh(tmp_path_factory.mktemp("mtls"))
    mesh.start()
    try:
        yield mesh
    finally:
        mesh.stage.stop()


@pytest.mark.parametrize("path", ["/any", "/signed", "/told"])
def test_an_svid_is_accepted(mesh: Mesh, path: str) -> None:
    """The upstream and the record are told which workload it is; no certificate goes further."""
    client = workload(mesh)
    answer = mesh.ask(client, path)
    assert answer.status == 200, answer
    assert lines_of(answer, "x-extauthz-subject") == ["spiffe://prod.example/web"]
    assert lines_of(answer, "x-extauthz-issuer") == ["spiffe://prod.example"]
    assert lines_of(answer, "x-extauthz-tenant") == ["acme"]
    assert lines_of(answer, XFCC) == []
    assert client.issued is not None
    fingerprint = client.issued.digest.hex()
    assert eventually(lambda: any(record.get("token_id") == fingerprint for record in mesh.records()))
    (record,) = (record for record in mesh.records() if record.get("token_id") == fingerprint)
    assert (record["credential"], record["binding"], record["environment"]) == ("certificate", "spiffe", "production")
    assert record["workload"] == "spiffe://prod.example/web"


@pytest.mark.parametrize("path", ["/any", "/signed"])
def test_a_plain_certificate_is_accepted(mesh: Mesh, path: str) -> None:
    """By the name that the profile names."""
    answer = mesh.ask(builder(mesh), path)
    assert answer.status == 200, answer
    assert lines_of(answer, "x-extauthz-subject") == ["seven.ci.example"]
    assert lines_of(answer, "x-extauthz-kind") == ["ci"]


@pytest.mark.parametrize("extra", [*OTHER_CREDENTIALS, ("authorization", "Bearer s3cret")], ids=lambda one: one[0])
def test_only_who_it_is_reaches_the_upstream(mesh: Mesh, extra: tuple[str, str]) -> None:
    """The connection is the credential: whatever the client adds to it goes no further, certificates included."""
    answer = mesh.ask(workload(mesh), "/any?access_token=s3cret&private_token=s3cret", headers=dict([extra]))
    assert_only_carrier(answer, "authorization")
    assert lines_of(answer, "x-extauthz-subject") == ["spiffe://prod.example/web"]


SPIFFE = "spiffe://prod.example"
SIGNS_CERTIFICATES = usage("digital_signature", "key_cert_sign")
SIGNS_LISTS = usage("digital_signature", "crl_sign")


@pytest.mark.parametrize(
    ("names", "changes", "status", "reason"),
    [
        ([uri("spiffe://other.example/web")], {}, 403, "issuer_unknown"),
        ([uri(f"{SPIFFE}/a"), uri(f"{SPIFFE}/b")], {}, 403, "credentials_malformed"),
        ([uri(f"{SPIFFE}/a"), uri("https://prod.example/")], {}, 403, "credentials_malformed"),
        ([uri("spiffe://Prod.example/a")], {}, 403, "credentials_malformed"),
        ([uri(SPIFFE)], {}, 403, "credentials_malformed"),
        ([uri(f"{SPIFFE}/a/")], {}, 403, "credentials_malformed"),
        ([uri(f"{SPIFFE}/%61")], {}, 403, "credentials_malformed"),
        ([uri(f"{SPIFFE}/a//b")], {}, 403, "credentials_malformed"),
        ([uri(f"{SPIFFE}:80/a")], {}, 403, "credentials_malformed"),
        ([uri(f"{SPIFFE}/a")], {"extensions": [CA]}, 403, "credentials_malformed"),
        ([uri(f"{SPIFFE}/a")], {"extensions": [SIGNS_CERTIFICATES]}, 403, "credentials_malformed"),
        ([uri(f"{SPIFFE}/a")], {"extensions": [SIGNS_LISTS]}, 403, "credentials_malformed"),
        ([dns("seven.ci.example"), dns("eight.ci.example")], {}, 403, "identity_unmapped"),
        ([dns("seven.elsewhere.example")], {}, 403, "identity_unmapped"),
        ([], {}, 403, "identity_unmapped"),
    ],
)
def test_certificates_that_envoy_accepts_and_we_do_not(
    mesh: Mesh, names: list[Any], changes: dict[str, Any], status: int, reason: str
) -> None:
    """Signed by an authority of Envoy's and valid, and still nobody here. There is no challenge, so it is a 403."""
    client = mesh.client(*names, **changes)
    # What Envoy itself refuses in the handshake it may refuse; the listener that accepts anything shows it to us.
    answer = mesh.ask(client, "/any", listener="loose")
    assert (answer.status, answer.reason, answer.challenge) == (status, reason, ""), answer


@pytest.mark.parametrize("life", [ENDED, COMING])
def test_a_certificate_out_of_its_time_is_refused(mesh: Mesh, life: tuple[float, float]) -> None:
    """By Envoy in the handshake; and by us where Envoy accepts anything."""
    client = workload(mesh, life=life)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        mesh.ask(client, "/any")
    answer = mesh.ask(client, "/any", listener="loose")
    assert (answer.status, answer.reason) == (403, "token_expired" if life is ENDED else "token_not_yet_valid")


def test_a_server_s_certificate_is_no_client_s(mesh: Mesh) -> None:
    """Its extended key usage says what it is for."""
    server = workload(mesh, extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])])
    answer = mesh.ask(server, "/any", listener="loose")
    assert (answer.status, answer.reason) == (403, "credentials_malformed")


def test_our_own_authorities_close_what_envoy_leaves_open(mesh: Mesh) -> None:
    """An authority of another's, and one that nobody trusts behind ACCEPT_UNTRUSTED, cannot make workloads of ours."""
    foreign, made_up = workload(mesh, by=mesh.other), workload(mesh, by=mesh.nobody)
    assert mesh.ask(foreign, "/any").status == 200
    assert mesh.ask(made_up, "/any", listener="loose").status == 200
    for client, listener in ((foreign, "strict"), (foreign, "loose"), (made_up, "loose")):
        answer = mesh.ask(client, "/signed", listener=listener)
        assert (answer.status, answer.reason) == (403, "signature_invalid")
    assert mesh.ask(workload(mesh), "/signed", listener="loose").status == 200


def test_a_header_of_the_client_s_proves_nothing(mesh: Mesh) -> None:
    """Neither where Envoy passes it on, nor beside a certificate; and it does not reach the upstream."""
    thief, victim = mesh.bare(), workload(mesh)
    assert victim.issued is not None
    forged = {XFCC: element(victim.issued)}
    answer = mesh.ask(thief, "/any", listener="loose", headers=forged)
    assert (answer.status, answer.reason) == (403, "no_credentials")
    answer = mesh.ask(workload(mesh, "thief"), "/any", listener="loose", headers=forged)
    assert lines_of(answer, "x-extauthz-subject") == ["spiffe://prod.example/thief"]
    assert lines_of(answer, XFCC) == []


def test_sources_that_disagree_are_refused(mesh: Mesh) -> None:
    """Where the header is trusted and names another certificate than the connection's."""
    one, other = workload(mesh, "one"), workload(mesh, "other")
    assert one.issued is not None
    assert other.issued is not None
    answer = mesh.ask(one, "/told", listener="loose", headers={XFCC: element(other.issued)})
    assert (answer.status, answer.reason) == (400, "credentials_ambiguous")
    answer = mesh.ask(one, "/told", listener="loose", headers={XFCC: element(one.issued)})
    assert answer.status == 200
    answer = mesh.ask(one, "/told", listener="loose", headers={XFCC: '[{"Hash":"00"}]'})
    assert (answer.status, answer.reason) == (403, "credentials_malformed")


def test_a_certificate_cannot_write_another_one_into_the_header(mesh: Mesh) -> None:
    """Envoy appends a name as it stands, and the thief has signed himself one that reads like a whole element."""
    victim = workload(mesh, "victim")
    assert victim.issued is not None
    thief = mesh.client(uri(f"https://thief.example,{element(victim.issued)}"), by=mesh.nobody)
    answer = mesh.ask(thief, "/told", listener="appending")
    assert (answer.status, answer.reason) == (403, "credentials_malformed")
    answer = mesh.ask(victim, "/told", listener="appending")
    assert lines_of(answer, "x-extauthz-subject") == ["spiffe://prod.example/victim"]


@pytest.mark.parametrize("path", ["/token", "/bound", "/careful"])
def test_a_bound_token_is_accepted_with_its_certificate(mesh: Mesh, path: str) -> None:
    """Whether or not the profile or the policy asks for it; also one that its owner signed, as Envoy allows."""
    client = workload(mesh)
    answer = mesh.ask(client, path, token=mesh.mint(client))
    assert answer.status == 200, answer
    own = workload(mesh, by=mesh.nobody)
    assert mesh.ask(own, path, listener="loose", token=mesh.mint(own)).status == 200


@pytest.mark.parametrize("path", ["/token", "/bound", "/careful"])
def test_a_stolen_bound_token_is_refused(mesh: Mesh, path: str) -> None:
    """With another certificate, with none, and with the right one only in a header of the client's."""
    client, thief, bare = workload(mesh), workload(mesh, "thief"), mesh.bare()
    token = mesh.mint(client)
    assert client.issued is not None
    forged = {XFCC: element(client.issued)}
    asks = [
        (mesh.ask(thief, path, token=token), "binding_mismatch"),
        (mesh.ask(thief, path, listener="loose", token=token, headers=forged), "binding_mismatch"),
        (mesh.ask(bare, path, listener="loose", token=token), "binding_missing"),
        (mesh.ask(bare, path, listener="loose", token=token, headers=forged), "binding_missing"),
    ]
    for answer, reason in asks:
        assert (answer.status, answer.reason) == (401, reason), answer
        assert 'error="invalid_token"' in answer.challenge
    assert mesh.ask(client, path, token=token).status == 200


def test_other_bindings_are_refused(mesh: Mesh) -> None:
    """A token bound to a key is no bearer token; what we do not know we cannot check."""
    client = workload(mesh)
    for token in (mesh.mint(jkt="0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"), mesh.mint(kid="a")):
        answer = mesh.ask(client, "/token", token=token)
        assert (answer.status, answer.reason) == (401, "binding_mismatch")


def test_profile_and_policy_can_ask_for_a_binding(mesh: Mesh) -> None:
    """An unbound token is fine where nobody asks."""
    client = workload(mesh)
    assert mesh.ask(client, "/token", token=mesh.mint()).status == 200
    for path in ("/bound", "/careful"):
        answer = mesh.ask(client, path, token=mesh.mint())
        assert (answer.status, answer.reason) == (401, "binding_missing")


def test_the_hash_that_envoy_writes_is_enough_for_a_bound_token(mesh: Mesh) -> None:
    """It is that of the certificate's DER; whatever the client puts into the header is gone."""
    client, thief = workload(mesh), workload(mesh, "thief")
    token = mesh.mint(client)
    assert client.issued is not None
    assert mesh.ask(client, "/hashed", listener="hashed", token=token).status == 200
    answer = mesh.ask(thief, "/hashed", listener="hashed", token=token, headers={XFCC: element(client.issued)})
    assert (answer.status, answer.reason) == (401, "binding_mismatch")
    answer = mesh.ask(client, "/token", listener="hashed", token=token)
    assert (answer.status, answer.reason) == (401, "binding_missing")


def test_kept_decisions_are_those_of_their_own_certificate(mesh: Mesh) -> None:
    """The same request again and again, now by one client and now by another."""
    client, thief = workload(mesh), workload(mesh, "thief")
    token = mesh.mint(client)
    for _ in range(3):
        assert mesh.ask(client, "/bound", token=token).status == 200
        assert mesh.ask(thief, "/bound", token=token).status == 401
        for asking, name in ((client, "web"), (thief, "thief")):
            answer = mesh.ask(asking, "/any")
            assert lines_of(answer, "x-extauthz-subject") == [f"spiffe://prod.example/{name}"]


def test_authorities_are_read_again(mesh: Mesh) -> None:
    """A kept allow ends when the authority that vouched is withdrawn, and is back when it is."""
    client = workload(mesh)
    assert mesh.ask(client, "/signed").status == 200
    file = mesh.folder / "prod.pem"
    try:
        file.write_bytes(mesh.other.pem)
        assert eventually(lambda: mesh.ask(client, "/signed").reason == "signature_invalid")
    finally:
        file.write_bytes(mesh.prod.pem)
    assert eventually(lambda: mesh.ask(client, "/signed").status == 200)
