"""A stage whose Envoy takes client certificates, in four ways, and clients with certificates of all kinds.

One Envoy, four listeners:

- `strict` requires a certificate that one of two authorities signed; it shows certificates and forged headers are gone;
- `loose` is everything that we advise against: any certificate or none, and headers as the client sends them;
- `hashed` does not show certificates, but writes their hash into `x-forwarded-client-cert`;
- `appending` appends what anybody's certificate says to that header, the URI name included, and shows nothing else.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from extauthz.demo.ask import Answer, Ask, Edge
from extauthz.demo.bootstrap import find_connection_manager
from extauthz.demo.certificates import TlsFiles
from extauthz.demo.stage import Script, Stage, find_root
from tests.e2e.asks import read_records
from tests.simulators.client_certificates import HOUR, Authority, Issued, dns, uri

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509 import GeneralName

POLICY: Final = """
resources:
  - {name: any, action: call, match: {host: api.example.com, path: /any, methods: [GET]},
     credential: certificate, verify: mesh}
  - {name: signed, action: call, match: {host: api.example.com, path: /signed, methods: [GET]},
     credential: certificate, verify: signed}
  - {name: told, action: call, match: {host: api.example.com, path: /told, methods: [GET]},
     credential: certificate, verify: told}
  - {name: token, action: call, match: {host: api.example.com, path: /token, methods: [GET]}}
  - {name: bound, action: call, match: {host: api.example.com, path: /bound, methods: [GET]}, verify: bound}
  - {name: hashed, action: call, match: {host: api.example.com, path: /hashed, methods: [GET]}, verify: hashed}
  - {name: careful, action: call, match: {host: api.example.com, path: /careful, methods: [GET]}}
permits:
  - {id: workloads, who: {kind: [workload, ci], issuers: ["spiffe://prod.example", "https://ca.example"]},
     may: [any.call, signed.call, told.call]}
  - {id: services, who: {kind: service}, may: [token.call, bound.call, hashed.call]}
  - {id: careful-services, who: {kind: service}, may: [careful.call], require: [binding: [mtls, dpop]]}
"""
TRUST_DOMAIN: Final = {"trust_domain": "prod.example", "tenant": "acme", "environment": "production"}
BUILDERS: Final = {"dns": "*.ci.example", "issuer": "https://ca.example", "kind": "ci"}


@dataclass(frozen=True)
class Client:
    """A client with a certificate, or without one.

    Attributes:
        issued: its certificate; None for none.
        tls: files for its connections.
    """

    issued: Issued | None
    tls: TlsFiles


class Mesh:
    """The running stage.

    Args:
        folder: for everything it writes.
    """

    def __init__(self, folder: Path) -> None:
        now = time.time()
        self.folder = folder
        self.prod = Authority("prod", now=now)
        self.other = Authority("other", now=now)
        self.nobody = Authority("nobody", now=now)
        (folder / "trusted.pem").write_bytes(self.prod.pem + self.other.pem)
        (folder / "prod.pem").write_bytes(self.prod.pem)
        (folder / "policy.yaml").write_text(POLICY)
        script = Script(
            root=find_root(),
            folder=folder / "stage",
            envoy_file="hardened",
            change_settings=self._settle,
            change_bootstrap=self._listen,
        )
        self.stage = Stage(script)
        self._ports: dict[str, int] = {}

    def start(self) -> None:
        """Start everything, and look where Envoy listens."""
        self.stage.start()
        listeners = json.loads(self.stage.envoy.ask_admin("/listeners?format=json"))
        self._ports = {
            each["name"]: each["local_address"]["socket_address"]["port_value"]
            for each in listeners["listener_statuses"]
        }

    def _settle(self, settings: dict[str, Any]) -> None:
        settings["policy"] = [str(self.folder / "policy.yaml")]
        tokens = settings["profiles"]["default"]
        mesh = {"accept": [TRUST_DOMAIN, BUILDERS]}
        signed = {
            "accept": [{**each, "authorities": str(self.folder / "prod.pem")} for each in (TRUST_DOMAIN, BUILDERS)]
        }
        profiles = {
            "mesh": {"certificates": mesh},
            "signed": {"certificates": signed},
            "told": {"certificates": {**mesh, "x_forwarded_client_cert": "last"}},
            "bound": {**tokens, "binding": "mtls"},
            "hashed": {**tokens, "binding": "required", "certificates": {"x_forwarded_client_cert": "only"}},
        }
        # By way of JSON, since YAML would write what is shared as aliases.
        settings["profiles"] |= {name: json.loads(json.dumps(profile)) for name, profile in profiles.items()}

    def _listen(self, bootstrap: dict[str, Any]) -> None:
        (strict,) = bootstrap["static_resources"]["listeners"]
        loose, hashed, appending = (copy.deepcopy(strict) for _ in range(3))
        listeners = {"strict": strict, "loose": loose, "hashed": hashed, "appending": appending}
        for name, listener in listeners.items():
            listener["name"] = name
            _tls(listener)["require_client_certificate"] = name != "loose"
            trusted = {"trusted_ca": {"filename": str(self.folder / "trusted.pem")}}
            _tls(listener)["common_tls_context"]["validation_context"] = trusted
        for listener in (loose, appending):
            _tls(listener)["common_tls_context"]["validation_context"]["trust_chain_verification"] = "ACCEPT_UNTRUSTED"
        _manager(loose)["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY"
        _manager(hashed)["forward_client_cert_details"] = "SANITIZE_SET"
        _manager(hashed)["set_current_client_cert_details"] = {"uri": True, "dns": True, "subject": True}
        _manager(appending)["forward_client_cert_details"] = "APPEND_FORWARD"
        _manager(appending)["set_current_client_cert_details"] = {"cert": True, "uri": True}
        for listener in (hashed, appending):
            _manager(listener)["http_filters"][0]["typed_config"]["include_peer_certificate"] = False
        bootstrap["static_resources"]["listeners"] = list(listeners.values())

    def client(self, *names: GeneralName, by: Authority | None = None, **changes: Any) -> Client:
        """Return a client with a new certificate for `names`; `changes` as in `Authority.issue`."""
        return self._client((by or self.prod).issue(*names, **changes))

    def bare(self) -> Client:
        """Return a client without certificate."""
        return self._client(None)

    def _client(self, issued: Issued | None) -> Client:
        folder = self.folder / f"client-{len(list(self.folder.glob('client-*')))}"
        folder.mkdir()
        (folder / "clients-ca.pem").write_bytes(self.stage.tls.authority.read_bytes())
        if issued is not None:
            issued.write(folder, "client")
        return Client(issued, TlsFiles(folder))

    def ask(
        self,
        client: Client,
        path: str,
        *,
        listener: str = "strict",
        token: str = "",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send a request of a client's."""
        lines = tuple((headers or {}).items())
        if token:
            lines = (*lines, ("authorization", f"Bearer {token}"))
        edge = Edge(self._ports[listener], client.tls, certificate=client.issued is not None)
        return edge.send(Ask(path=path, headers=lines))

    def mint(self, client: Client | None = None, **confirmation: str) -> str:
        """Return a service's token, bound to a client's certificate where one is given, else as `confirmation` says."""
        if client is not None and client.issued is not None:
            confirmation = {"x5t#S256": client.issued.thumbprint}
        claims: dict[str, Any] = {"cnf": confirmation} if confirmation else {}
        return self.stage.issuer.mint("reporting", **claims)

    def records(self) -> list[dict[str, Any]]:
        """Return the decision records so far."""
        return read_records(self.stage.records)


def workload(mesh: Mesh, path: str = "web", **changes: Any) -> Client:
    """Return a client with an X.509-SVID."""
    return mesh.client(uri(f"spiffe://prod.example/{path}"), **changes)


def builder(mesh: Mesh, **changes: Any) -> Client:
    """Return a client with a plain certificate."""
    return mesh.client(dns("seven.ci.example"), **changes)


CA: Final = x509.BasicConstraints(ca=True, path_length=None)
ENDED: Final = (-3 * HOUR, -HOUR)
COMING: Final = (HOUR, 3 * HOUR)


def _tls(listener: dict[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = listener["filter_chains"][0]["transport_socket"]["typed_config"]
    return context


def _manager(listener: dict[str, Any]) -> dict[str, Any]:
    return find_connection_manager({"static_resources": {"listeners": [listener]}})
