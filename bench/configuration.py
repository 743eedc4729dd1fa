"""What extauthz is configured with when it is measured: everything on, records and metrics included."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench.corpus import AUDIENCE, HOST, ISSUER

if TYPE_CHECKING:
    from pathlib import Path

PROXY_TOKEN: Final = "not-a-secret-of-the-bench"  # noqa: S105 — it protects nothing
SERVER_NAME: Final = "extauthz"

POLICY: Final = """\
resources:
  - name: report
    action: read
    match: {host: api.example.com, path: "/v1/reports/{report}", methods: [GET]}
    attributes:
      report: path.report
  - name: payment
    action: approve
    match: {host: api.example.com, path: "/v1/payments/{payment}/approval", methods: [POST]}
    attributes:
      payment: path.payment
  - name: deployment
    action: deploy
    match: {host: api.example.com, path: "/v1/projects/{project}/deployments", methods: [POST]}
    attributes:
      project: path.project
guards:
  - id: payments-need-a-recent-strong-sign-in
    on: payment.approve
    require:
      - step_up: {acr: [phishing-resistant], max_age: 5m}
forbids:
  - id: embargoed-reports
    on: report.read
    when: resource.report == "embargoed"
permits:
  - id: readers-read-reports
    who: anyone
    may: [report.read]
    require:
      - scopes: ["reports:read"]
  - id: people-approve-payments
    who: {kind: [user]}
    may: [payment.approve]
  - id: deployers-deploy
    who: {roles: [deployer]}
    may: [deployment.deploy]
"""


def write_settings(  # noqa: PLR0913 — what differs between runs
    folder: Path, *, engine: str, address: str, metrics: str | None, jwks: Path, tls: bool = False
) -> Path:
    """Write policy and settings into `folder` and return the settings file."""
    (folder / "policy.yaml").write_text(POLICY, "utf-8")
    listener: dict[str, Any] = {"address": address}
    if tls:
        listener["tls"] = {"certificate": "server.pem", "key": "server.key"}
        write_certificate(folder)
    settings = {
        "policy": ["policy.yaml"],
        "listeners": [listener],
        "proxies": [{"name": "edge", "token": PROXY_TOKEN, "hosts": [HOST], "shows_all_headers": True}],
        "issuers": [{"issuer": ISSUER, "keys": {"file": str(jwks)}, "algorithms": ["ES256"], "max_lifetime": "1h"}],
        "profiles": {"default": {"issuers": [ISSUER], "audience": AUDIENCE, "realm": HOST}},
        "server": {"engine": engine, "drain": "1s"},
        "records": {"path": "records.jsonl"},
        "telemetry": {"metrics": metrics},
    }
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(settings), "utf-8")
    return file


def write_certificate(folder: Path) -> None:
    """Write a certificate that vouches for itself, for one day: `server.pem` and `server.key`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVER_NAME)])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME), x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.key").write_bytes(private)
