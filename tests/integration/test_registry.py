"""A whole server and its registry: readiness, hot reload, and what it says about itself."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

from tests.integration.running import running, seconds_of_patience
from tests.simulators.grpc_client import outcome_of
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = f"identities: [{{name: deployer, match: {{issuer: {ISSUER}, subject: deployer}}"


def replace(path: Path, text: str) -> None:
    """Replace a file in one step: nobody reads half of it, or none, and counts that as a mistake."""
    (new := path.with_name("new")).write_text(text)
    new.replace(path)


def test_a_server_without_a_readable_registry_is_not_ready(tmp_path: Path) -> None:
    """It answers, refuses who is proven, says why it is not ready, and is mended by mending the file."""
    (path := tmp_path / "registry.yaml").write_text(ENTRY + ", kinds: ci}]\n")
    with running(tmp_path, registry={"paths": [str(path)]}) as server:
        assert server.application.readiness.why_not == "no registry is in force"
        assert outcome_of(server.ask(server.mint())) == (503, "evidence_unavailable")
        assert outcome_of(server.ask(path="/ping")) == (200, "allowed")
        replace(path, ENTRY + ", kind: ci}]\n")
        seconds_of_patience(lambda: server.application.readiness.ready)
        assert outcome_of(server.ask(server.mint())) == (200, "allowed")


def test_loads_are_counted_and_a_mistake_changes_nothing(tmp_path: Path) -> None:
    """The metrics name the registry in force; the quarantine before a mistake stays."""
    (path := tmp_path / "registry.yaml").write_text(ENTRY + ", standing: quarantined}]\n")
    with running(tmp_path, registry={"paths": [str(path)]}) as server:

        def metrics() -> str:
            with urllib.request.urlopen(f"http://{server.application.metrics_address}/metrics", timeout=20) as answer:
                return str(answer.read().decode())

        current = server.application._parts.registry.current
        assert current is not None
        assert f'extauthz_registry_info{{revision="{current.revision}"}} 1.0' in metrics()
        replace(path, "identities: 3\n")
        seconds_of_patience(lambda: 'extauthz_registry_loads_total{outcome="rejected"} 1.0' in metrics())
        assert outcome_of(server.ask(server.mint())) == (403, "identity_quarantined")
        assert server.application.readiness.ready
