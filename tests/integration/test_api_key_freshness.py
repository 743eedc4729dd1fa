"""API keys in a whole server: what the command line does in another process is in force for the next answer."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from extauthz.server.stateview import StateView
from tests.integration.running import running, seconds_of_patience, settings
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from tests.integration.running import Running

POLICY = """\
resources:
  - name: thing
    match: {host: api.example.com, path: "/things/{id}", methods: [GET]}
    action: read
    verify: machines
    credential: api_key
permits:
  - id: readers-read
    who: {kind: [service]}
    may: [thing.read]
    require: [{scopes: ["things:read"]}]
"""
ALLOWED = (200, "allowed")
Outcome = tuple[int, str]


@dataclass
class Keys:
    """A server that accepts API keys, and the command line that makes them."""

    server: Running
    config: Path

    def command(self, *arguments: str) -> str:
        """Run `extauthz keys` in a process of its own and return what it prints."""
        command = [sys.executable, "-m", "extauthz", "keys", *arguments, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    def create(self, *options: str) -> str:
        """Return a fresh key."""
        given = ["--subject", "nightly", "--lifetime", "1h", "--scope", "things:read", *options]
        return self.command("create", *given)

    def ask(self, key: str) -> Outcome:
        """Ask with a key."""
        return outcome_of(self.server.asker.ask(check_request(path="/things/7", headers={"x-api-key": key})))

    def keep(self, key: str) -> None:
        """Ask until the answer is an allow that was kept, by the record's account."""

        def is_repeated() -> bool:
            answer = self.server.asker.ask(check_request(path="/things/7", headers={"x-api-key": key}))
            assert outcome_of(answer) == ALLOWED
            own = answer.dynamic_metadata.fields["decision_id"].string_value
            seconds_of_patience(lambda: any(record["decision_id"] == own for record in self.server.records()))
            return any(each.get("cached", False) for each in self.server.records() if each["decision_id"] == own)

        seconds_of_patience(is_repeated)


@contextmanager
def accepting_keys(folder: Path, **changes: Any) -> Iterator[Keys]:
    """Yield a server with a state file."""
    state = {"path": str(folder / "state.db")}
    profiles = {"machines": {"api_keys": {}, "audience": "https://api.example.com"}}
    parts = {"state": state, "profiles": profiles, **changes}
    config = folder / "settings.yaml"
    config.write_text(yaml.safe_dump(settings(folder, "https://issuer.example/keys", **parts)))
    with running(folder, policy=POLICY, **parts) as server:
        yield Keys(server, config)


def test_a_revoked_key_is_refused_from_the_next_kept_decision_on(tmp_path: Path) -> None:
    """Another one, kept at the same time, goes on."""
    with accepting_keys(tmp_path) as keys:
        one, other = keys.create(), keys.create()
        for key in (one, other):
            keys.keep(key)
        keys.command("revoke", one.split("_")[1])
        assert [keys.ask(one), keys.ask(other)] == [(401, "token_revoked"), ALLOWED]


def test_without_looking_at_the_file_a_revoked_key_would_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    with accepting_keys(tmp_path) as keys:
        key = keys.create()
        keys.keep(key)
        monkeypatch.setattr(StateView, "_look", lambda _: None)
        keys.command("revoke", key.split("_")[1])
        assert keys.ask(key) == ALLOWED


def test_a_rotated_key_goes_on_for_the_overlap_and_the_new_one_counts_at_once(tmp_path: Path) -> None:
    """Also where the old one is kept; with no overlap it ends at once, with a short one soon."""
    with accepting_keys(tmp_path) as keys:
        old = keys.create()
        keys.keep(old)
        new = keys.command("rotate", old.split("_")[1], "--overlap", "1h")
        assert [keys.ask(old), keys.ask(new)] == [ALLOWED, ALLOWED]
        newer = keys.command("rotate", new.split("_")[1], "--overlap", "0s")
        assert [keys.ask(new), keys.ask(newer)] == [(401, "token_expired"), ALLOWED]
        keys.command("rotate", newer.split("_")[1], "--overlap", "1s")
        seconds_of_patience(lambda: keys.ask(newer) == (401, "token_expired"))


def test_a_lost_state_file_ends_kept_decisions_until_it_is_back(tmp_path: Path) -> None:
    """What cannot be looked up is not proven, and it is not the caller's fault."""
    with accepting_keys(tmp_path) as keys:
        key = keys.create()
        keys.keep(key)
        away = (tmp_path / "state.db").rename(tmp_path / "away.db")
        assert keys.ask(key) == (503, "evidence_unavailable")
        away.rename(tmp_path / "state.db")
        seconds_of_patience(lambda: keys.ask(key) == ALLOWED)


def test_another_key_is_another_question(tmp_path: Path) -> None:
    """A kept allow is given to nobody else; neither records nor state hold a secret."""
    with accepting_keys(tmp_path) as keys:
        good, weak = keys.create(), keys.command("create", "--subject", "weak", "--lifetime", "1h")
        keys.keep(good)
        assert keys.ask(weak) == (403, "insufficient_scope")
        assert keys.ask(good[:-1] + ("a" if good[-1] != "a" else "b")) == (401, "credentials_malformed")
        secret = good.split("_")[2]
        keys.server.application.stop()
        texts = [file.read_bytes() for file in tmp_path.iterdir() if file.is_file()]
        assert not any(secret.encode() in text for text in texts)
        assert any(good.split("_")[1].encode() in text for text in texts)


def test_uses_are_listed_after_the_server_has_written_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By kept decisions too: the last of them counts."""
    monkeypatch.setattr("extauthz.server.stateholdings.WRITE_SECONDS", 3600.0)  # So it writes them when it stops.
    with accepting_keys(tmp_path) as keys:
        key = keys.create()
        keys.keep(key)
        (before,) = json.loads(keys.command("list", "--json"))
        assert before["last_used"] is None
        keys.server.application.stop()
        (after,) = json.loads(keys.command("list", "--json"))
        assert after["last_used"] is not None
