"""A whole server: what has been changed is in force for the next answer, also where a decision was kept."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.server.recall import Recall
from tests.integration.running import POLICY, Running, running, seconds_of_patience
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import TOKEN, outcome_of
from tests.simulators.keyhost import KeyHost
from tests.simulators.tokens import ISSUER, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse

Outcome = tuple[int, str]
ALLOWED = (200, "allowed")
OTHERS = {"narrow": "proxy-token-of-narrow", "globex": "proxy-token-of-globex"}
PROXIES: list[dict[str, Any]] = [
    {"name": "edge", "token": TOKEN, "hosts": ["*.example.com"]},
    {"name": "narrow", "token": OTHERS["narrow"], "hosts": ["www.example.com"]},
    {"name": "globex", "token": OTHERS["globex"], "tenants": ["globex"]},
]
REGISTRY = f"""\
identities:
  - name: deployer
    match: {{issuer: {ISSUER}, subject: deployer}}
    owner: team-release
"""
QUARANTINED = REGISTRY + "    standing: quarantined\n"
WITHOUT_PERMIT = POLICY.replace("may: [thing.read]", "may: [ping.read]")
LEEWAY = 5.0


@dataclass
class Kept:
    """A server that has a decision about one question by heart."""

    server: Running
    maker: TokenMaker
    token: str

    def ask(self, proxy_token: str = TOKEN) -> CheckResponse:
        """Ask the question."""
        headers = {"authorization": f"Bearer {self.token}"}
        return self.server.asker.ask(check_request(path="/things/7", headers=headers), token=proxy_token)

    def outcome(self, proxy_token: str = TOKEN) -> Outcome:
        """Ask and return what came out."""
        return outcome_of(self.ask(proxy_token))

    def withdraw_keys(self) -> Outcome:
        """Let the issuer change its key; a token under the new one makes it known."""
        fresh = TokenMaker(kid=f"k{time.monotonic_ns()}")
        keys = self.server.application._parts.keys
        before = keys.epoch(ISSUER)
        self.server.keys.publish(fresh.jwks())
        seconds_of_patience(lambda: outcome_of(self.server.ask(fresh.mint(now=time.time()))) == ALLOWED)
        seconds_of_patience(lambda: keys.epoch(ISSUER) != before)  # A moment after the keys themselves.
        self.maker, token = fresh, self.token
        outcome = self.outcome()
        self.token = fresh.mint(now=time.time())
        assert token != self.token
        return outcome

    def replace_policy(self) -> Outcome:
        """Load a policy without the permit, look, and load the first one again."""
        self._load(WITHOUT_PERMIT)
        outcome = self.outcome()
        self._load(POLICY)
        return outcome

    def quarantine(self) -> Outcome:
        """Let somebody quarantine the caller, look, and lift that again."""
        self._declare(QUARANTINED)
        outcome = self.outcome()
        self._declare(REGISTRY)
        return outcome

    def _declare(self, text: str) -> None:
        registry = self.server.application._parts.registry
        before = registry.epoch("")
        (new := self.server.folder / "new").write_text(text)
        new.replace(self.server.folder / "registry.yaml")
        seconds_of_patience(lambda: registry.epoch("") != before)  # A moment after the registry itself.

    def _load(self, text: str) -> None:
        live = self.server.application._parts.live
        before = live.current
        self.server.write_policy(text)
        seconds_of_patience(lambda: live.current is not before)

    def let_token_end(self) -> Outcome:
        """Keep a decision for a token that is about to end, and wait for that; later where keeping takes too long."""
        lasts = iter((1.2, 6.0, 30.0))
        ends = 0.0
        while time.time() >= ends:
            ends = time.time() + next(lasts)
            self.token = self.maker.mint(now=ends - LEEWAY - 60, exp=ends - LEEWAY, jti=f"{ends}")
            self._keep(until=ends)
        seconds_of_patience(lambda: time.time() >= ends)
        outcome = self.outcome()
        self.token = self.maker.mint(now=time.time())
        return outcome

    def come_through_narrow(self) -> Outcome:
        """Ask the same through a proxy for other hosts."""
        return self.outcome(OTHERS["narrow"])

    def come_through_globex(self) -> Outcome:
        """Ask the same through a proxy for other tenants."""
        return self.outcome(OTHERS["globex"])

    def keep(self) -> None:
        """Ask until the answer is an allow that was kept, by the record's account."""
        self._keep(until=math.inf)

    def _keep(self, until: float) -> None:
        """Ask as `keep` does, but no longer than until the instant at which the answer ends."""

        def is_repeated() -> bool:
            answer = self.ask()
            if time.time() >= until:
                return True
            assert outcome_of(answer) == ALLOWED
            own = answer.dynamic_metadata.fields["decision_id"].string_value
            seconds_of_patience(lambda: any(record["decision_id"] == own for record in self.server.records()))
            return any(record.get("cached", False) for record in self.server.records() if record["decision_id"] == own)

        seconds_of_patience(is_repeated)


CHANGES = {
    "withdraw_keys": (401, "signature_invalid"),
    "replace_policy": (403, "no_permit"),
    "let_token_end": (401, "token_expired"),
    "quarantine": (403, "identity_quarantined"),
    "come_through_narrow": (403, "proxy_out_of_bounds"),
    "come_through_globex": (403, "proxy_out_of_bounds"),
}
"""Every kind of fact that a kept decision rests on, and the fresh answer after it has changed."""


@contextmanager
def kept(folder: Path, **changes: Any) -> Iterator[Kept]:
    """Yield a server that is about to keep a decision."""
    (folder / "registry.yaml").write_text(REGISTRY)
    registry = {"paths": [str(folder / "registry.yaml")]}
    with running(folder, proxies=PROXIES, registry=registry, **changes) as server:
        yield Kept(server, server.maker, server.mint())


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_changes_the_next_answer_is_the_fresh_one(seed: int, tmp_path: Path) -> None:
    """All kinds of change in any order, each after a kept allow was seen."""
    order = [*CHANGES, *CHANGES]
    Random(seed).shuffle(order)
    with kept(tmp_path) as scene:
        for change in order:
            scene.keep()
            assert getattr(scene, change)() == CHANGES[change], (change, order)


def test_keys_that_have_grown_too_old_end_what_rests_on_them(tmp_path: Path) -> None:
    """An issuer that cannot be asked any more may have withdrawn them long ago."""
    host = KeyHost(TokenMaker().jwks())
    with kept(tmp_path, host=host, keys={"max_age": 5.0, "refresh": 1.0}) as scene:
        scene.keep()
        host.stop()
        seconds_of_patience(lambda: bool(scene.server.application.readiness.unavailable_issuers))
        assert scene.outcome() == (503, "evidence_unavailable")


def test_without_comparing_epochs_a_withdrawn_key_would_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(Recall, "_is_current", lambda *_: True)
    with kept(tmp_path) as scene:
        scene.keep()
        assert scene.withdraw_keys() == ALLOWED


def test_without_comparing_epochs_a_quarantined_caller_would_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    monkeypatch.setattr(Recall, "_is_current", lambda *_: True)
    with kept(tmp_path) as scene:
        scene.keep()
        assert scene.quarantine() == ALLOWED
