"""Dockerfile and docker-compose.yml, read as text: no container engine is needed to see these mistakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from extauthz.config.load import load_settings

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

SERVICE_SCHEMA = {
    "type": "object",
    "required": ["image", "command", "healthcheck", "read_only", "cap_drop", "security_opt"],
    "additionalProperties": False,
    "properties": {
        "build": {"const": "."},
        "image": {"type": "string", "pattern": "^[a-z/]+:[a-z0-9.]+$"},
        "command": {"type": "array", "items": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": "^127\\.0\\.0\\.1:[0-9]+:[0-9]+$"}},
        "network_mode": {"type": "string", "pattern": "^service:"},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["condition"],
                "properties": {"condition": {"const": "service_healthy"}},
            },
        },
        "healthcheck": {
            "type": "object",
            "required": ["test", "interval", "timeout", "retries"],
            "properties": {"test": {"type": "array", "minItems": 2}},
        },
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "volumes": {"type": "array", "items": {"type": "string", "pattern": "^\\./[a-z/]+:/[a-z/]+:ro$"}},
        "tmpfs": {"type": "array"},
        "user": {"type": "string"},
        "restart": {"type": "string"},
        "read_only": {"const": True},
        "cap_drop": {"const": ["ALL"]},
        "security_opt": {"const": ["no-new-privileges:true"]},
        "pids_limit": {"type": "integer"},
        "mem_limit": {"type": "string"},
    },
}


def test_services_are_the_four_of_the_demo() -> None:
    """Envoy, extauthz, issuer and upstream; nothing else."""
    assert set(SERVICES) == {"envoy", "extauthz", "issuer", "upstream"}


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_hardened_and_healthchecked(name: str) -> None:
    """Every service is read-only, without capabilities, with a health check, published on loopback at most."""
    jsonschema.validate(SERVICES[name], SERVICE_SCHEMA)


@pytest.mark.parametrize("weaker", [{"read_only": False}, {"ports": ["10000:10000"]}, {"privileged": True}])
def test_schema_refuses_weaker_services(weaker: dict[str, Any]) -> None:
    """The check above can fail: a writable, openly published or privileged service does not pass."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(SERVICES["issuer"] | weaker, SERVICE_SCHEMA)


@pytest.mark.parametrize("name", SERVICES)
def test_service_refers_to_what_exists(name: str) -> None:
    """Mounted folders, services depended on and namespaces shared are all there."""
    service = SERVICES[name]
    for volume in service.get("volumes", []):
        assert (ROOT / volume.split(":")[0]).is_dir()
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert service.get("network_mode", "service:issuer").removeprefix("service:") in SERVICES


def test_no_secret_stands_in_the_file() -> None:
    """The proxy token comes from the caller's environment, for Envoy and for extauthz alike."""
    for name in ("envoy", "extauthz"):
        assert "${EXTAUTHZ_PROXY_TOKEN:?" in str(SERVICES[name]["environment"])


def test_ports_agree_with_the_example_files() -> None:
    """Issuer and upstream listen where the example settings and Envoy's file expect them."""
    settings = (ROOT / "examples/demo/settings.yaml").read_text()
    envoy = (ROOT / "envoy/minimal.yaml").read_text()
    issuer = SERVICES["issuer"]["command"]
    assert issuer[issuer.index("--url") + 1] in settings
    upstream = SERVICES["upstream"]["command"]
    assert f"port_value: {upstream[upstream.index('--port') + 1]}" in envoy
    assert SERVICES["extauthz"]["healthcheck"]["test"][-1] in settings


def test_images_are_pinned_by_version() -> None:
    """Every FROM names a full version, and Envoy's image is of the newest version that we test."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", base) for base in bases)
    assert SERVICES["envoy"]["image"] == "envoyproxy/envoy:v1.40.0"


def test_image_runs_as_nobody_special_and_says_how_it_is() -> None:
    """The final stage has a numeric non-root user, a health check and an exec-form entry point."""
    final = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER 65532:65532$", final, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*\n\s+CMD \[", final, re.MULTILINE)
    assert re.search(r"^ENTRYPOINT \[", final, re.MULTILINE)


def test_image_installs_by_hash_and_fetches_nothing_else() -> None:
    """Dependencies come from the lock file; nothing is added from a URL or by a pipe into a shell."""
    assert "--require-hashes" in DOCKERFILE
    assert not re.search(r"^ADD |curl|wget|https?://", DOCKERFILE, re.MULTILINE)


def test_what_is_copied_is_not_ignored() -> None:
    """Each path that the Dockerfile copies exists and is let through by .dockerignore."""
    let_through = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = re.findall(r"^COPY (?!--from)(\S+)", DOCKERFILE, re.MULTILINE)
    assert {path.rstrip("/") for path in copied} == let_through
    assert all((ROOT / path).exists() for path in copied)


def test_settings_of_the_container_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example settings with the environment of the compose file are settings, with the caller's token."""
    proxies = SERVICES["extauthz"]["environment"]["EXTAUTHZ__PROXIES"]
    filled = re.sub(r"\$\{EXTAUTHZ_PROXY_TOKEN:\?[^}]*\}", "a secret of mine", proxies)
    monkeypatch.setenv("EXTAUTHZ__PROXIES", filled)
    settings = load_settings(ROOT / "examples" / "demo" / "settings.yaml")
    [proxy] = settings.proxies
    assert proxy.token is not None
    assert proxy.token.get_secret_value() == "a secret of mine"
    assert proxy.hosts == ("api.example.com",)
    assert proxy.shows_all_headers
