"""A whole server on each kind of listener."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography import x509

from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.server.app import build
from tests.integration.running import running, settings
from tests.simulators.certificates import Authority, Pair
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import Client, client, outcome_of

if TYPE_CHECKING:
    from pathlib import Path

ALLOWED = (200, "allowed")
UNKNOWN_PROXY = (503, "proxy_unauthenticated")
PING = check_request(path="/ping")
SPIFFE = "spiffe://example.org/envoy"


@dataclass
class Files:
    """An authority and a server's certificate on disk."""

    authority: Authority
    folder: Path

    def tls(self, **changes: str) -> dict[str, str]:
        """Return listener settings."""
        certificate, key = self.authority.issue().write(self.folder, "server")
        return {"certificate": str(certificate), "key": str(key), **changes}

    def trust(self, ours: Pair | None = None) -> grpc.ChannelCredentials:
        """Return what a client trusts, and what it shows."""
        if ours is None:
            return grpc.ssl_channel_credentials(self.authority.certificate)
        return grpc.ssl_channel_credentials(self.authority.certificate, ours.key, ours.certificate)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return a fresh authority."""
    (folder := tmp_path / "tls").mkdir()
    (folder / "ca.pem").write_bytes((authority := Authority()).certificate)
    return Files(authority, folder)


def ping(asker: Client, token: str | None = None) -> tuple[int, str]:
    """Ask about something that anyone may reach."""
    return outcome_of(asker.ask(PING, token=token))


def test_a_unix_socket_proves_the_proxy_that_is_configured_for_it(tmp_path: Path) -> None:
    """Whoever can open it is that proxy; on TCP the same call is nobody. The socket is gone afterwards."""
    path = tmp_path / "run" / "check.sock"
    path.parent.mkdir()
    listeners = [{"address": f"unix:{path}", "socket_mode": 0o600}, {"address": "127.0.0.1:0"}]
    proxies = [{"name": "sidecar", "unix_socket": True}]
    with running(tmp_path, listeners=listeners, proxies=proxies) as server:
        assert path.stat().st_mode & 0o777 == 0o600
        assert ping(server.asker) == ALLOWED
        with client(server.application.addresses[1]) as other:
            assert ping(other) == UNKNOWN_PROXY
    assert not path.exists()


def test_ipv6_loopback_is_a_listener(tmp_path: Path) -> None:
    """With its port reported in brackets."""
    with running(tmp_path, listeners=[{"address": "[::1]:0"}], telemetry={"metrics": None}) as server:
        assert server.application.metrics_address is None
        assert server.application.addresses[0].startswith("[::1]:")
        assert outcome_of(server.asker.ask(PING)) == ALLOWED


def test_the_insecure_switch_accepts_local_callers(tmp_path: Path) -> None:
    """On loopback; negative control: without the switch the same call is refused."""
    with running(tmp_path, insecure={"unauthenticated_proxies": True}) as server:
        assert ping(server.asker) == ALLOWED
    with running(tmp_path) as server:
        assert ping(server.asker) == UNKNOWN_PROXY


def test_tls_carries_the_token_of_the_proxy(tmp_path: Path, files: Files) -> None:
    """Without a client certificate the token is the proof."""
    with (
        running(tmp_path, listeners=[{"address": "127.0.0.1:0", "tls": files.tls()}]) as server,
        client(server.application.addresses[0], files.trust()) as asker,
    ):
        assert outcome_of(asker.ask(PING)) == ALLOWED
        assert ping(asker) == UNKNOWN_PROXY
        with pytest.raises(grpc.RpcError):
            server.asker.ask(PING, seconds=2)  # Plaintext to a TLS listener.


def mtls(files: Files) -> dict[str, Any]:
    """Return an mTLS listener and the proxy that proves itself by its certificate."""
    tls = files.tls(client_ca=str(files.folder / "ca.pem"))
    return {
        "listeners": [{"address": "127.0.0.1:0", "tls": tls}],
        "proxies": [{"name": "mesh", "certificate_names": [SPIFFE]}],
    }


@pytest.mark.parametrize(
    ("names", "outcome"),
    [
        ([x509.UniformResourceIdentifier(SPIFFE)], ALLOWED),
        ([x509.UniformResourceIdentifier("spiffe://example.org/other")], UNKNOWN_PROXY),
        ([x509.RFC822Name("envoy@example.org")], UNKNOWN_PROXY),
        ([], UNKNOWN_PROXY),
    ],
)
def test_mtls_proves_the_proxy_by_a_name_in_its_certificate(
    tmp_path: Path, files: Files, names: list[x509.GeneralName], outcome: tuple[int, str]
) -> None:
    """URI and DNS names count; the common name, here the same text, and other kinds of names do not."""
    ours = files.authority.issue(SPIFFE, names)
    with (
        running(tmp_path, **mtls(files)) as server,
        client(server.application.addresses[0], files.trust(ours)) as asker,
    ):
        assert ping(asker) == outcome


def test_mtls_refuses_certificates_of_others_and_none_at_all(tmp_path: Path, files: Files) -> None:
    """The handshake fails; there is no call to answer."""
    stranger = Authority("stranger").issue("envoy", [x509.UniformResourceIdentifier(SPIFFE)])
    with running(tmp_path, **mtls(files)) as server:
        for credentials in (files.trust(stranger), files.trust()):
            with client(server.application.addresses[0], credentials) as asker, pytest.raises(grpc.RpcError):
                asker.ask(PING, token=None, seconds=2)


def test_a_replaced_certificate_is_shown_to_the_next_connection(tmp_path: Path, files: Files) -> None:
    """Without restart: the client that trusts only the new authority gets through."""
    tls = files.tls()
    renewed = Authority("renewed")
    with running(tmp_path, listeners=[{"address": "127.0.0.1:0", "tls": tls}]) as server:
        address = server.application.addresses[0]
        trust_renewed = grpc.ssl_channel_credentials(renewed.certificate)
        with client(address, trust_renewed) as asker, pytest.raises(grpc.RpcError):
            asker.ask(PING, seconds=2)
        renewed.issue().write(files.folder, "server")
        with client(address, trust_renewed) as asker:
            assert outcome_of(asker.ask(PING)) == ALLOWED


@pytest.mark.parametrize("engine", ["grpcio", "native"])
def test_a_taken_port_is_a_problem_with_a_name(tmp_path: Path, engine: str) -> None:
    """Not a traceback, and nothing of the second server is left running."""
    with running(tmp_path) as server:
        address = server.application.addresses[0]
        wanted = settings(tmp_path, server.keys.url, listeners=[{"address": address}], server={"engine": engine})
        other = build(Settings.model_validate(wanted))
        with pytest.raises(ConfigError, match=f"listener {address}: cannot listen here"):
            other.start()
        assert outcome_of(server.asker.ask(PING)) == ALLOWED


def test_plaintext_beyond_loopback_is_refused(tmp_path: Path) -> None:
    """Before anything is opened."""
    wanted = settings(tmp_path, "http://127.0.0.1:1", listeners=[{"address": "0.0.0.0:0"}])
    with pytest.raises(ConfigError, match="plaintext on an address others reach"):
        build(Settings.model_validate(wanted))
    assert not (tmp_path / "records.jsonl").exists()


def test_a_record_file_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    """Nothing may be decided that cannot be recorded."""
    wanted = settings(tmp_path, "http://127.0.0.1:1", records={"path": str(tmp_path / "none" / "records")})
    with pytest.raises(ConfigError, match="the record file cannot be opened: No such file"):
        build(Settings.model_validate(wanted))
