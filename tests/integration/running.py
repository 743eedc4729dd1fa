"""A whole server in this process, with a policy, an issuer and a record file in a folder of the test."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.config.settings import Settings
from extauthz.server.app import Application, build
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import TOKEN, Client, client
from tests.simulators.keyhost import KeyHost
from tests.simulators.tokens import ISSUER, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse

POLICY = """\
resources:
  - name: ping
    match: {host: api.example.com, path: /ping, methods: [GET]}
    action: read
    credential: none
  - name: thing
    match: {host: api.example.com, path: "/things/{id}", methods: [GET]}
    action: read
guards:
  - id: acme-only
    on: thing.read
    require: [{tenant: [acme]}]
permits:
  - id: anyone-pings
    who: anyone
    may: [ping.read]
  - id: machines-read
    who: {kind: [ci]}
    may: [thing.read]
"""

BROKEN = POLICY.replace("methods: [GET]", "methodz: [GET]", 1)
BROKEN_PLACE = "policy.yaml:3:"


PATIENCE = 60.0
"""Seconds that a busy machine may take for anything that is a matter of milliseconds on an idle one."""


def seconds_of_patience(until: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return as soon as `until` is true.

    Wait for the very thing that is asserted: what another thread or process does, or the same one later, is not
    implied by anything else.

    Raises:
        TimeoutError: it did not become true in time.
    """
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            message = "it did not happen in time"
            raise TimeoutError(message)
        time.sleep(0.01)


@dataclass
class Running:
    """A server that runs, and everything to talk with it and about it."""

    application: Application
    asker: Client
    folder: Path
    maker: TokenMaker
    keys: KeyHost

    def ask(self, token: str | None = None, *, path: str = "/things/7", **arguments: Any) -> CheckResponse:
        """Ask about a GET with a bearer token."""
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        return self.asker.ask(check_request(path=path, headers=headers, **arguments))

    def mint(self, **changes: Any) -> str:
        """Return a token that is good now."""
        return self.maker.mint(now=time.time(), **changes)

    def write_policy(self, text: str) -> None:
        """Replace the policy file in one step."""
        (new := self.folder / "new").write_text(text)
        new.replace(self.folder / "policy.yaml")

    def records(self) -> list[dict[str, Any]]:
        """Return the decision records written so far; a line that is being written is none yet."""
        written = (self.folder / "records.jsonl").read_bytes()
        return [json.loads(line) for line in written[: written.rfind(b"\n") + 1].splitlines()]


def settings(folder: Path, keys_url: str, **changes: Any) -> dict[str, Any]:
    """Return settings as data; `changes` update whole sections key by key.

    No time in them is so short that a busy machine could change an outcome; a test that is about one gives its own.
    """
    base: dict[str, Any] = {
        "policy": [str(folder / "policy.yaml")],
        "listeners": [{"address": "127.0.0.1:0"}],
        "proxies": [{"name": "edge", "token": TOKEN, "hosts": ["*.example.com"]}],
        "issuers": [
            {
                "issuer": ISSUER,
                "keys": {"url": keys_url, "timeout": 5.0, "cool_down": 0.05, **changes.pop("keys", {})},
                "algorithms": ["ES256"],
            }
        ],
        "profiles": {"default": {"issuers": [ISSUER], "audience": "https://api.example.com"}},
        "server": {"threads": 4, "fetch_slots": 2, "deadline": 5.0, "drain": 0.2, **changes.pop("server", {})},
        "records": {"path": str(folder / "records.jsonl"), **changes.pop("records", {})},
        "telemetry": {"metrics": "127.0.0.1:0", **changes.pop("telemetry", {})},
        "policy_reload": 0.02,
    }
    if "state" in changes:
        changes["state"] = {"max_staleness": PATIENCE, **changes["state"]}
    return {**base, **changes}


@contextmanager
def running(folder: Path, *, policy: str = POLICY, **changes: Any) -> Iterator[Running]:
    """Yield a running server.

    Args:
        folder: empty, the test's own.
        policy: content of the policy file; the setting `policy` itself is changed by `policy_paths`.
        changes: to the settings, see `settings`; `host` is the issuer's web server when the test brings its own.
    """
    maker = TokenMaker()
    keys: KeyHost = changes.pop("host", None) or KeyHost(maker.jwks())
    (folder / "policy.yaml").write_text(policy)
    if "policy_paths" in changes:
        changes["policy"] = changes.pop("policy_paths")
    application = build(Settings.model_validate(settings(folder, keys.url, **changes)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("extauthz.server.app.FIRST_KEYS_SECONDS", PATIENCE)  # The first fetch is over, well or not.
        application.start()
    try:
        with client(application.addresses[0]) as asker:
            yield Running(application, asker, folder, maker, keys)
    finally:
        keys.gate.set()
        application.stop()
        keys.stop()
