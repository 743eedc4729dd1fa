"""Which proxy asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.request.bounds import Proxy
from extauthz.server.engine import Peer
from extauthz.server.proxies import INSECURE, ProxyRegistry

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "a-token-of-sixteen-or-more"
OTHER = "another-token-of-that-length"
SPIFFE = "spiffe://example.org/envoy"


def registry(*proxies: dict[str, Any], insecure: bool = False) -> ProxyRegistry:
    """Return a registry of `proxies`."""
    switches = {"unauthenticated_proxies": insecure}
    return ProxyRegistry(Settings.model_validate({"policy": ["p"], "proxies": proxies, "insecure": switches}))


EDGE = {"name": "edge", "token": TOKEN, "hosts": ["api.example.com"], "tenants": ["acme"]}
MESH = {"name": "mesh", "certificate_names": [SPIFFE]}
SIDECAR = {"name": "sidecar", "unix_socket": True}


@pytest.mark.parametrize(
    ("peer", "name"),
    [
        (Peer(tokens=(TOKEN,)), "edge"),
        (Peer(names=(SPIFFE, "envoy.example.org")), "mesh"),
        (Peer(unix_socket=True), "sidecar"),
        (Peer(), None),
        (Peer(loopback=True), None),
        (Peer(tokens=(OTHER,)), None),
        (Peer(tokens=("",)), None),
        (Peer(tokens=(TOKEN.upper(),)), None),
        (Peer(tokens=(TOKEN + " ",)), None),
        (Peer(tokens=(TOKEN, TOKEN)), None),
        (Peer(tokens=(TOKEN, OTHER)), None),
        (Peer(names=("spiffe://example.org/envoy2",)), None),
        (Peer(tokens=(TOKEN,), unix_socket=True), None),
        (Peer(tokens=(TOKEN,), names=(SPIFFE,)), None),
    ],
)
def test_exactly_one_proof_of_exactly_one_proxy_counts(peer: Peer, name: str | None) -> None:
    """No proof, a wrong one, one twice, or proofs of two proxies is nobody."""
    found = registry(EDGE, MESH, SIDECAR).find_proxy(peer)
    assert (found.name if found else None) == name


def test_the_bounds_of_the_proxy_come_with_it() -> None:
    """Hosts and tenants as configured."""
    expected = Proxy("edge", hosts=("api.example.com",), tenants=frozenset({"acme"}))
    assert registry(EDGE).find_proxy(Peer(tokens=(TOKEN,))) == expected


@pytest.mark.parametrize("said", [True, False])
def test_what_is_said_of_its_headers_comes_with_it(said: bool) -> None:
    """Whether it hides any."""
    found = registry(EDGE | {"shows_all_headers": said}).find_proxy(Peer(tokens=(TOKEN,)))
    assert found is not None
    assert found.shows_all_headers is said


def test_two_proxies_with_the_same_token_are_nobody() -> None:
    """Which of the two bounds should hold?"""
    twin = {"name": "twin", "token": TOKEN}
    assert registry(EDGE, twin).find_proxy(Peer(tokens=(TOKEN,))) is None


def test_a_token_that_is_not_ascii_is_nobody() -> None:
    """Hostile metadata is compared, not interpreted."""
    assert registry(EDGE).find_proxy(Peer(tokens=("ä" * 20,))) is None


@pytest.mark.parametrize("peer", [Peer(loopback=True), Peer(unix_socket=True), Peer(loopback=True, tokens=("x",))])
def test_the_insecure_switch_accepts_local_callers(peer: Peer) -> None:
    """Also one that sends a token nobody knows: it is nobody in particular."""
    assert registry(EDGE, insecure=True).find_proxy(peer) is INSECURE


def test_the_insecure_switch_accepts_nobody_from_elsewhere() -> None:
    """It is for one machine."""
    assert registry(EDGE, insecure=True).find_proxy(Peer()) is None


def test_the_insecure_switch_does_not_widen_a_known_proxy() -> None:
    """Who proves itself keeps its bounds; two proofs stay nobody."""
    known = registry(EDGE, MESH, insecure=True)
    found = known.find_proxy(Peer(tokens=(TOKEN,), loopback=True))
    assert found is not None
    assert found.name == "edge"
    assert known.find_proxy(Peer(tokens=(TOKEN,), names=(SPIFFE,), loopback=True)) is None


def test_certificates_are_only_looked_at_where_they_matter() -> None:
    """Reading them costs time on every call."""
    assert registry(MESH).wants_certificates
    assert not registry(EDGE, SIDECAR).wants_certificates


def test_addresses_are_only_asked_for_where_they_matter() -> None:
    """To a proxy on the Unix socket, and to whoever is accepted for being on this machine."""
    assert registry(EDGE, SIDECAR).wants_addresses
    assert registry(EDGE, insecure=True).wants_addresses
    assert not registry(EDGE, MESH).wants_addresses


def test_a_proxy_is_the_same_one_until_something_about_it_changes(tmp_path: Path) -> None:
    """Kept decisions are recognised by it; reading the same tokens again is no change."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    proxies = registry({"name": "edge", "token_file": file})
    first = proxies.find_proxy(Peer(tokens=(TOKEN,)))
    proxies.reload()
    assert first is not None
    assert proxies.find_proxy(Peer(tokens=(TOKEN,))) is first
    file.write_text(f"{TOKEN}\n{OTHER}")
    proxies.reload()
    assert proxies.find_proxy(Peer(tokens=(TOKEN,))) is not first


def test_a_token_file_may_hold_two_tokens_while_one_replaces_the_other(tmp_path: Path) -> None:
    """One on a line; both are accepted."""
    (path := tmp_path / "token").write_text(f"{TOKEN}\n{OTHER}\n")
    known = registry({"name": "edge", "token_file": str(path)})
    for token in (TOKEN, OTHER):
        assert known.find_proxy(Peer(tokens=(token,))) is not None


def test_a_changed_token_file_counts_after_reload(tmp_path: Path) -> None:
    """The old token is refused from then on."""
    (path := tmp_path / "token").write_text(TOKEN)
    known = registry({"name": "edge", "token_file": str(path)})
    path.write_text(OTHER)
    known.reload()
    assert known.find_proxy(Peer(tokens=(TOKEN,))) is None
    assert known.find_proxy(Peer(tokens=(OTHER,))) is not None


@pytest.mark.parametrize("content", [None, b"", b"short", "ä".encode() * 20])
def test_a_token_file_that_became_useless_revokes(tmp_path: Path, content: bytes | None) -> None:
    """Removed, emptied, too short or not text: the proxy is nobody until it is mended."""
    (path := tmp_path / "token").write_text(TOKEN)
    known = registry({"name": "edge", "token_file": str(path)})
    path.unlink() if content is None else path.write_bytes(content)
    known.reload()
    known.reload()
    for token in (TOKEN, "", "short"):
        assert known.find_proxy(Peer(tokens=(token,))) is None
    path.write_text(TOKEN)
    known.reload()
    assert known.find_proxy(Peer(tokens=(TOKEN,))) is not None


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ({"name": "edge", "token": "short"}, "proxies.edge.token: a token is shorter than 16 characters — make one"),
        ({"name": "edge", "token_file": "/nonexistent/token"}, "/nonexistent/token: the token file cannot be read: No"),
    ],
)
def test_a_useless_token_is_refused_at_start(proxy: dict[str, Any], message: str) -> None:
    """Better than a proxy that never proves itself."""
    with pytest.raises(ConfigError) as caught:
        registry(proxy)
    assert str(caught.value).startswith(message)
    assert "short\n" not in str(caught.value)


def test_a_caller_is_remembered_by_place_and_tokens_until_the_tokens_are_read_again(tmp_path: Path) -> None:
    """What was proven once is not proven for ever; other metadata does not matter; guesses are not remembered."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    proxies = registry({"name": "edge", "token_file": file})
    shown = [("x-extauthz-proxy-token", TOKEN), ("traceparent", "00-1")]
    where = "ipv4:127.0.0.1:4711"
    assert proxies.find_caller(where, shown) is proxies.find_caller(where, shown[:1])
    assert proxies.find_caller(where, [("x-extauthz-proxy-token", OTHER)]) is None
    assert proxies.find_caller(where, shown[:1] * 2) is None
    assert len(proxies._callers) == 1
    file.write_text(OTHER)
    proxies.reload()
    assert proxies.find_caller(where, shown) is None


def test_callers_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection more is judged each time, and is who it is all the same."""
    monkeypatch.setattr("extauthz.server.proxies._MOST_CALLERS", 1)
    proxies = registry(EDGE)
    shown = [("x-extauthz-proxy-token", TOKEN)]
    found = [proxies.find_caller(f"ipv4:127.0.0.1:{port}", shown) for port in (1, 2, 1, 2)]
    assert [proxy.name for proxy in found if proxy] == ["edge"] * 4
    assert len(proxies._callers) == 1
