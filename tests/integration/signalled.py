"""A whole server in one process that hears a transmitter, by push or by poll."""

from __future__ import annotations

import json
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from extauthz.cli.main import app
from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.link.caller import LinkCaller
from extauthz.processes.single import Single
from tests.integration.running import PATIENCE, seconds_of_patience, settings
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import Client, client, outcome_of
from tests.simulators.keyhost import KeyHost
from tests.simulators.tokens import ISSUER, TokenMaker
from tests.simulators.transmitter import (
    ACCESS_TOKEN,
    AUDIENCE,
    AUTHORIZATION,
    CAEP,
    STREAM_ID,
    Stream,
    Transmitter,
    jti_of,
    push,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALLOWED: Final = (200, "allowed")
REVOKED: Final = (401, "session_revoked")
DISABLED: Final = (403, "identity_disabled")
ACCEPTED: Final = "accepted"
EVENTS: Final = ["session-revoked", "account-disabled", "account-enabled"]

POLICY: Final = """\
resources:
  - name: thing
    match: {host: api.example.com, path: "/things/{id}", methods: [GET]}
    action: read
permits:
  - id: people-and-machines-read
    who: {kind: [user, ci]}
    may: [thing.read]
"""


@dataclass
class Scene:
    """A server that hears, and everything to talk with it.

    Attributes:
        server: all of its parts.
        asker: asks like Envoy.
        maker: of the callers' tokens.
        transmitter: whom it hears.
        folder: of the test.
        pushes: whether events are pushed.
    """

    server: Single
    asker: Client
    maker: TokenMaker
    transmitter: Transmitter
    folder: Path
    pushes: bool
    sent: int = field(default=0)

    def outcome(self, token: str) -> tuple[int, str]:
        """Return what becomes of a request with a token."""
        message = check_request(path="/things/7", headers={"authorization": f"Bearer {token}"})
        return outcome_of(self.asker.ask(message))

    def mint(self, subject: str, *, age: float = 60.0, **claims: Any) -> str:
        """Return a person's token that was issued `age` seconds ago and is good for long."""
        now = time.time() - age
        return self.maker.mint(now=now, lifetime=3600 + age, **{"sub": subject, "kind": "user", **claims})

    def event(self, kind: str, subject: Any, *, age: float = 0.0, happened: float = 0.0, **changes: Any) -> str:
        """Return an event that was issued `age` seconds ago, about something that happened `happened` seconds ago."""
        self.sent += 1
        now = time.time()
        changes = {"jti": f"{self.folder.name}-{self.sent}", **changes}
        named = {"format": "iss_sub", "iss": ISSUER, "sub": subject} if isinstance(subject, str) else subject
        payload = {"event_timestamp": int(now - happened)} if happened else {}
        return self.transmitter.event(kind, named, now=now - age, payload=changes.pop("payload", payload), **changes)

    def revoke(self, subject: Any, **changes: Any) -> str:
        """Return a `session-revoked` event."""
        return self.event(CAEP + "session-revoked", subject, **changes)

    def send(self, event: str) -> str:
        """Have an event arrive; return `accepted`, or the code of the error that was reported."""
        if self.pushes:
            answer = push(self.receiver, event)
            return ACCEPTED if (answer.status, answer.body) == (202, b"") else answer.err
        self.sent += 1
        name = f"sent-{self.sent}"
        found = self.transmitter
        found.offer(event, name=name)
        with found.changed:
            assert found.changed.wait_for(lambda: name in found.acked or name in found.errors, PATIENCE)
        return ACCEPTED if name in found.acked else found.errors[name]["err"]

    @property
    def receiver(self) -> str:
        """Return where events are pushed to."""
        assert self.server.receiver is not None
        return self.server.receiver.address

    def ask_keeper(self, **question: Any) -> dict[str, Any]:
        """Return what the keeper says to an operator."""
        with closing(LinkCaller(self.folder / "run" / "admin.sock", PATIENCE)) as caller:
            return caller.ask(question)

    def command(self, *words: str) -> str:
        """Return what a command of an operator prints."""
        done = CliRunner().invoke(app, [*words, "--config", str(self.folder / "settings.yaml")])
        assert done.exit_code == 0, done.output
        return done.stdout

    def stream(self) -> dict[str, Any]:
        """Return how the stream fares."""
        found: list[dict[str, Any]] = self.ask_keeper(op="status")["streams"]
        return next(each for each in found if each["name"] == "idp")

    def applied(self, event: str) -> list[dict[str, Any]]:
        """Return what is in force because of an event."""
        rows: list[dict[str, Any]] = self.ask_keeper(op="restrictions", limit=1000)["restrictions"]
        return [row for row in rows if row["signal"] == jti_of(event)]


def signal_settings(folder: Path, transmitter: Transmitter, *, pushes: bool, **changes: Any) -> dict[str, Any]:
    """Return `signals` and `state` of the settings; `changes` replace members of the stream."""
    (token := folder / "token").write_text(ACCESS_TOKEN)
    (authorization := folder / "authorization").write_text(AUTHORIZATION)
    poll = {"url": f"{transmitter.url}/poll", "token_file": str(token), "interval": 0.05}
    pushed = {"authorization_file": str(authorization), "token_file": str(token)}
    stream = {
        "name": "idp",
        "issuer": transmitter.url,
        "keys": {"discovery": True, "timeout": 10.0, "cool_down": 0.01},
        "audience": AUDIENCE,
        "stream_id": STREAM_ID,
        "authority": {"issuers": [ISSUER], "events": EVENTS},
        "verify_every": "60s",
        **({"push": pushed} if pushes else {"poll": poll}),
        **changes,
    }
    return {
        "signals": {"receiver": {"address": "127.0.0.1:0"}, "streams": [stream]},
        "state": {"path": str(folder / "state.db")},
        "server": {"run_dir": str(folder / "run")},
    }


@contextmanager
def signalled(folder: Path, *, pushes: bool, alg: str = "ES256", **changes: Any) -> Iterator[Scene]:
    """Yield a running scene; `changes` replace members of the stream."""
    maker = TokenMaker()
    (folder / "policy.yaml").write_text(POLICY)
    host = KeyHost(maker.jwks())
    with Transmitter(alg=alg, hold=0.2) as transmitter, pytest.MonkeyPatch.context() as patch:
        patch.setattr("extauthz.keeper.signaldesk.KEY_SECONDS", 10.0)  # Product's bounds, for a crowded machine.
        patch.setattr("extauthz.keeper.receipts.CONFIRM_SECONDS", PATIENCE)
        transmitter.streams[STREAM_ID] = Stream({"stream_id": STREAM_ID, "iss": transmitter.url})
        found = signal_settings(folder, transmitter, pushes=pushes, **changes)
        document = settings(folder, host.url, **found)
        (folder / "settings.yaml").write_text(json.dumps(document))
        server = Single(Settings.model_validate(document), SystemClock())
        server.start()
        try:
            with client(server.application.addresses[0]) as asker:
                yield Scene(server, asker, maker, transmitter, folder, pushes)
        finally:
            transmitter.hold = 0.0
            server.stop()
            host.stop()


__all__ = ["seconds_of_patience"]
