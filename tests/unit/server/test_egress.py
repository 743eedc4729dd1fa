"""Where the egress client goes: listed hosts, addresses that were checked, and what it sends and returns besides."""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError, FetchError
from extauthz.server.egress import egress_of, rules_of
from extauthz.server.fetch import Ask, Egress, EgressRules, resolve
from tests.simulators.certificates import Authority
from tests.simulators.webserver import response, serving, serving_bytes

if TYPE_CHECKING:
    import socket
    from pathlib import Path

NAME = "issuer.example"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


class Names:
    """A resolver that answers from a list, each time with the next entry."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        """Return the next answer."""
        del port
        self.asked.append(host)
        return self.answers.pop(0)


def egress(names: Names, *, networks: Any = (), proxy: tuple[str, int] | None = None) -> Egress:
    """Return a client that may call `NAME`."""
    rules = EgressRules(hosts=frozenset({NAME, "127.0.0.1", "169.254.169.254"}), networks=networks, proxy=proxy)
    return Egress(SystemClock(), rules, resolver=names)


def ask(url: str, **changes: Any) -> Ask:
    """Return a question."""
    return Ask(**{"url": url, "timeout": 2.0, "max_bytes": 1000, "plain_http": True, **changes})


def port_of(url: str) -> str:
    """Return the port of a server's URL."""
    return url.rpartition(":")[2]


def test_hosts_of_streams_are_listed_as_far_as_they_are_called() -> None:
    """A pushed stream with keys elsewhere calls only there; one that is verified calls its transmitter."""
    issuer = {"issuer": "https://login.example", "keys": {"file": "keys.json"}}
    authority = {"issuers": ["https://login.example"], "events": ["session-revoked"]}
    push = {"push": {"authorization_file": "file"}}

    def stream(name: str, **members: Any) -> dict[str, Any]:
        base = {"name": name, "issuer": f"https://{name}.example", "audience": "us", "authority": authority}
        return {**base, "keys": {"url": f"https://keys-{name}.example/"}, **members}

    streams = [
        stream("pushed", **push),
        stream("verified", **push, verify_every=60, stream_id="s"),
        stream("found", **push, keys={"discovery": True}),
        stream("polled", poll={"url": "https://events.example/poll"}, keys={"file": "keys.json"}),
    ]
    settings = Settings.model_validate(
        {"policy": ["p"], "issuers": [issuer], "state": {"memory": True}, "signals": {"streams": streams}}
    )
    assert rules_of(settings).hosts == {
        "keys-pushed.example",
        "verified.example",
        "keys-verified.example",
        "found.example",
        "events.example",
    }


def test_only_listed_hosts_are_called() -> None:
    """Nothing else is even resolved; the refusal names the setting."""
    names = Names()
    for url in ("https://evil.example/", "https://issuer.example.evil.example/", "https://xissuer.example/"):
        with pytest.raises(FetchError, match=r"egress\.hosts"):
            egress(names).fetch(ask(url))
    assert names.asked == []


def test_a_listed_host_is_found_however_it_is_written() -> None:
    """Case and a final dot do not matter; every one of its addresses is looked at all the same."""
    names = Names(["10.0.0.1"], ["10.0.0.1"])
    for url in ("https://ISSUER.example/", "https://issuer.example./"):
        with pytest.raises(FetchError, match=r"egress\.private_networks"):
            egress(names).fetch(ask(url))


@pytest.mark.parametrize(
    "bad", ["127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "10.0.0.1", "::1", "0.0.0.1"]
)
def test_one_bad_address_among_good_ones_refuses_the_name(bad: str) -> None:
    """A name that also leads inside is not one to be called."""
    with pytest.raises(FetchError, match="must not be called"):
        egress(Names(["93.184.216.34", bad])).fetch(ask(f"https://{NAME}/"))


def test_a_listed_metadata_address_is_refused() -> None:
    """Also when somebody puts it on the list, and in all networks."""
    everything = (ipaddress.ip_network("0.0.0.0/0"),)
    with pytest.raises(FetchError, match="metadata"):
        egress(Names(["169.254.169.254"]), networks=everything).fetch(ask("http://169.254.169.254/latest/"))


def test_a_name_is_resolved_once_and_the_connection_goes_to_that_address() -> None:
    """DNS rebinding: a second, other answer is never asked for."""
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    with serving_bytes(response(b"pinned")) as server:
        url = f"http://{NAME}:{port_of(server.url)}/a"
        assert egress(names, networks=LOOPBACK).fetch(ask(url)).body == b"pinned"
    assert names.asked == [NAME]
    assert f"host: {NAME}:" in server.requests[0].lower()


def test_the_certificate_is_verified_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    """A pinned address changes nothing about whom we expect there."""
    authority = Authority()
    for names, good in (([x509.DNSName(NAME)], True), ([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))], False)):
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_tls.load_cert_chain(*authority.issue(names=names).write(tmp_path, "server"))
        known = ssl.create_default_context(cadata=authority.certificate.decode())
        rules = EgressRules(hosts=frozenset({NAME}), networks=LOOPBACK)
        client = Egress(SystemClock(), rules, known, Names(["127.0.0.1"]))
        with serving(lambda stream, _: stream.sendall(response(b"secret")), server_tls) as server:
            url = f"https://{NAME}:{port_of(server.url)}/"
            if good:
                assert client.fetch(ask(url)).body == b"secret"
            else:
                with pytest.raises(FetchError, match="SSL"):
                    client.fetch(ask(url))


def test_the_next_address_is_tried_when_one_is_dead() -> None:
    """Each gets its share of the time."""
    with serving_bytes(response(b"second")) as server:
        url = f"http://{NAME}:{port_of(server.url)}/"
        assert egress(Names(["127.0.0.2", "127.0.0.1"]), networks=LOOPBACK).fetch(ask(url)).body == b"second"


def test_a_name_without_addresses_is_a_failure() -> None:
    """As is one that cannot be resolved, or is no name at all."""
    with pytest.raises(FetchError, match="no answer"):
        egress(Names([])).fetch(ask(f"https://{NAME}/"))
    with pytest.raises(OSError, match="not a name"):
        resolve("a" * 70 + ".example", 443)
    assert resolve("127.0.0.1", 1) == ["127.0.0.1"]


def test_a_host_that_is_loopback_by_its_spelling_means_this_machine() -> None:
    """And nothing else: `localhost` that resolves elsewhere is not called there."""
    rules = EgressRules(hosts=frozenset({"localhost"}))
    client = Egress(SystemClock(), rules, resolver=Names(["93.184.216.34"]))
    with pytest.raises(FetchError, match="no answer"):
        client.fetch(ask("http://localhost:9/"))


def test_a_form_is_posted_with_its_headers() -> None:
    """Encoded; the secret stands in no representation of the question."""
    question = ask("http://127.0.0.1/", form={"token": "a b&c"}, headers={"authorization": "Basic c2VjcmV0"})
    assert "c2VjcmV0" not in repr(question)
    assert "a b&c" not in repr(question)
    bodies: list[bytes] = []

    def answer(connection: socket.socket, _: str) -> None:
        bodies.append(connection.recv(1000) if not server.requests[-1].endswith("token=a+b%26c") else b"")
        connection.sendall(response(b"{}"))

    with serving(answer) as server:
        egress(Names(["127.0.0.1"])).fetch(
            ask(f"{server.url}/introspect", form=question.form, headers=question.headers, accept="application/x")
        )
    head = (server.requests[0].encode() + bodies[0]).decode().lower()
    assert head.startswith("post /introspect http/1.1")
    assert "content-type: application/x-www-form-urlencoded" in head
    assert "authorization: basic c2vjcmv0" in head
    assert "accept: application/x\r\n" in head
    assert head.endswith("token=a+b%26c")


def test_headers_are_returned_in_lower_case_and_not_modified_is_an_answer() -> None:
    """304 only to those who have something that may not be modified."""
    raw = response(
        b"", status="304 Not Modified", headers=('ETag: "v2"', "Cache-Control: max-age=60", "Cache-Control: private")
    )
    with serving_bytes(raw) as server:
        client = egress(Names(["127.0.0.1"], ["127.0.0.1"]))
        reply = client.fetch(ask(server.url, etag='"v1"'))
        assert reply.not_modified
        assert reply.headers["etag"] == '"v2"'
        assert reply.headers["cache-control"] == "max-age=60, private"
        assert 'if-none-match: "v1"' in server.requests[0].lower()
        with pytest.raises(FetchError, match="status 304"):
            client.fetch(ask(server.url))


def proxying(seen: list[str]) -> Any:
    """Return what a proxy does that answers for every host itself."""

    def answer(connection: socket.socket, target: str) -> None:
        seen.append(target)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        connection.recv(65536)
        connection.sendall(response(b"through the proxy"))

    return answer


def test_a_configured_proxy_is_asked_to_connect_and_resolves_the_name_itself() -> None:
    """The list of hosts still holds, numeric hosts are still looked at, and loopback needs no proxy."""
    seen: list[str] = []
    with serving(proxying(seen)) as proxy, serving_bytes(response(b"direct")) as here:
        address = ("127.0.0.1", int(port_of(proxy.url)))
        names = Names(["127.0.0.1"], ["127.0.0.1"])
        client = egress(names, proxy=address)
        assert client.fetch(ask(f"http://{NAME}/x")).body == b"through the proxy"
        assert client.fetch(ask(here.url)).body == b"direct"
        assert names.asked == ["127.0.0.1", "127.0.0.1"]
        with pytest.raises(FetchError, match="metadata"):
            client.fetch(ask("http://169.254.169.254/"))
        with pytest.raises(FetchError, match=r"egress\.hosts"):
            client.fetch(ask("http://other.example/"))
    assert seen == [f"{NAME}:80"]


def settings(**egress_settings: Any) -> Settings:
    """Return settings with every kind of URL."""
    client = {"id": "us", "secret_file": "secret"}
    return Settings.model_validate(
        {
            "policy": ["p.yaml"],
            "issuers": [
                {"issuer": "https://a.example", "keys": {"discovery": True}},
                {"issuer": "https://b.example", "keys": {"url": "https://keys.b.example/jwks"}},
                {"issuer": "https://file.example", "keys": {"file": "keys.json"}},
                {
                    "issuer": "https://c.example",
                    "tokens": "opaque",
                    "introspection": {"endpoint": "https://ask.c.example/", "client": client},
                },
                {
                    "issuer": "https://D.example",
                    "keys": {"file": "k"},
                    "introspection": {"discovery": True, "client": client},
                    "status_list": {"uris": ["https://lists.d.example/"]},
                },
                {"issuer": "https://[", "keys": {"discovery": True}},
            ],
            "egress": egress_settings,
        }
    )


def test_the_list_holds_what_the_settings_name_and_nothing_else() -> None:
    """Places that are read from files name no host."""
    found = rules_of(
        settings(hosts=["www.a.example", "2001:db8::1"], private_networks=["10.0.0.0/8"], proxy="http://[::1]:3128")
    )
    assert found.hosts == {
        *("a.example", "keys.b.example", "ask.c.example", "d.example", "lists.d.example", "www.a.example"),
        "2001:db8::1",
    }
    assert found.networks == (ipaddress.ip_network("10.0.0.0/8"),)
    assert found.proxy == ("::1", 3128)
    assert rules_of(settings()).proxy is None


@pytest.mark.parametrize(
    "wrong",
    [
        *({"private_networks": [text]} for text in ("10.0.0.1/8", "ten", "10.0.0.0/33")),
        *(
            {"proxy": text}
            for text in ("https://p:1", "http://p", "http://u:p@p:1", "http://p:1/x", "http://:1", "p:1")
        ),
        *({"hosts": [text]} for text in ("https://a.example", "a.example:443", "A.example", "a.example.", "", "[::1]")),
        {"hots": []},
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    """At load, not at the first fetch."""
    with pytest.raises(ValueError, match="egress"):
        settings(**wrong)


def test_authorities_come_from_a_file_where_one_is_named(tmp_path: Path) -> None:
    """Instead of the system's; a file that has none stops the start."""
    authority = Authority()
    (file := tmp_path / "ca.pem").write_bytes(authority.certificate)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(*authority.issue(names=[x509.DNSName("localhost")]).write(tmp_path, "server"))
    with serving(lambda stream, _: stream.sendall(response(b"secret")), server_tls) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        found = egress_of(settings(hosts=["localhost"], ca_file=str(file)), SystemClock())
        assert found.fetch(ask(url)).body == b"secret"
        with pytest.raises(FetchError, match="SSL"):
            egress_of(settings(hosts=["localhost"]), SystemClock()).fetch(ask(url))
    file.write_bytes(b"nothing")
    for bad in (file, tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match="authorities"):
            egress_of(settings(ca_file=str(bad)), SystemClock())
