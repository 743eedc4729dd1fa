"""The registry through a real Envoy: standing of everybody involved, bound roles, and changes at the next request."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.demo.ask import Ask
from extauthz.demo.stage import Script, Stage
from extauthz.registry.build import build_registry
from tests.e2e.asks import await_record, decision_of, eventually, with_token
from tests.e2e.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.envoy

POLICY = """\
resources:
  - name: report
    match: {host: api.example.com, path: "/v1/reports/{report}", methods: [GET]}
    action: read
  - name: strict
    match: {host: api.example.com, path: "/v1/strict/{report}", methods: [GET]}
    action: read
    verify: strict
  - name: deployment
    match: {host: api.example.com, path: "/v1/{environment}/deployments", methods: [GET]}
    action: deploy
    attributes: {environment: {from: path.environment, one_of: [staging, production]}}
  - name: open
    match: {host: api.example.com, path: /v1/open, methods: [GET]}
    action: read
    credential: none
permits:
  - {id: anyone-reads, who: anyone, may: [report.read, strict.read, open.read]}
  - {id: releasers-deploy, who: {roles: [releaser]}, may: [deployment.deploy]}
"""
CHAIN = {"sub": "bot", "kind": "agent", "act": {"sub": "planner", "kind": "agent"}}
PARTIES = ("alice", "bot", "planner")
REPORT = "/v1/reports/7"


class Scene:
    """The running stage, and the registry that it reads."""

    def __init__(self, stage: Stage, registry: Path) -> None:
        self.stage, self.registry = stage, registry

    def declare(self, *entries: str, bindings: str = "") -> None:
        """Replace the registry and return when it is in force, by the server's metrics."""
        text = "identities:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries) if entries else ""
        text += f"bindings:\n{bindings}" if bindings else ""
        text = text.replace("ISSUER", self.stage.issuer.url)
        revision = build_registry({str(self.registry): text.encode()}).revision
        self._write(text)
        assert eventually(lambda: f'extauthz_registry_info{{revision="{revision}"}}' in self.metrics())

    def spoil(self) -> None:
        """Replace the registry by a broken one and return when that was noticed."""
        before = self.rejected()
        self._write("identities: [{nam: x}]\n")
        assert eventually(lambda: self.rejected() > before)

    def _write(self, text: str) -> None:
        (new := self.registry.with_suffix(".new")).write_text(text)
        new.replace(self.registry)

    def rejected(self) -> float:
        """Return how many registries were kept out."""
        lines = [line for line in self.metrics().splitlines() if 'registry_loads_total{outcome="rejected"}' in line]
        return float(lines[0].split()[-1]) if lines else 0.0

    def metrics(self) -> str:
        """Return the server's metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stage.metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def mint(self, **claims: Any) -> str:
        """Return a token of alice's, or of another caller."""
        return self.stage.issuer.mint("reporting", **{"sub": "alice", "kind": "service", "roles": [], **claims})

    def ask(self, token: str, path: str = REPORT) -> tuple[int, str]:
        """Return status and reason."""
        answer = self.stage.edge.send(with_token(Ask(path=path), token))
        return answer.status, answer.reason

    def record_of(self, token: str) -> dict[str, Any]:
        """Ask, and return the record of that."""
        return await_record(self.stage, decision_of(self.stage.edge.send(with_token(Ask(path=REPORT), token))))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Run issuer, upstream, server and Envoy."""
    folder: Path = tmp_path_factory.mktemp("registry")
    (folder / "policy.yaml").write_text(POLICY)
    (registry := folder / "registry.yaml").write_text("")

    def change(settings: dict[str, Any]) -> None:
        settings["policy"] = [str(folder / "policy.yaml")]
        settings["registry"] = {"paths": [str(registry)]}
        settings["policy_reload"] = 0.1
        settings["profiles"]["strict"] = {**deepcopy(settings["profiles"]["default"]), "unknown_identities": "refuse"}

    with Stage(Script(root=ROOT, folder=folder, change_settings=change)) as running:
        yield Scene(running, registry)


def about(name: str, more: str = "") -> str:
    """Return an entry about a subject."""
    return f"name: {name}, match: {{issuer: ISSUER, subject: {name}}}{more}"


ALLOWED = (200, "")


@pytest.mark.parametrize("party", PARTIES)
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (", standing: quarantined", "identity_quarantined"),
        (", standing: disabled", "identity_disabled"),
        (", expires: 2020-01-01", "identity_expired"),
    ],
)
def test_one_member_in_bad_standing_refuses_all_at_the_next_request(
    scene: Scene, party: str, more: str, reason: str
) -> None:
    """Subject, actor or chain; an allow that is kept does not outlive the change, and lifting it is enough."""
    scene.declare(*(about(name) for name in PARTIES))
    token = scene.mint(act=CHAIN)
    assert [scene.ask(token) for _ in range(3)] == [ALLOWED] * 3
    scene.declare(*(about(name, more if name == party else "") for name in PARTIES))
    assert scene.ask(token) == (403, reason)
    assert scene.ask(scene.mint(sub="somebody-else")) == ALLOWED
    scene.declare(*(about(name) for name in PARTIES))
    assert scene.ask(token) == ALLOWED


def test_a_repeated_answer_was_kept_before_the_quarantine(scene: Scene) -> None:
    """The control of the test above: the allow that the quarantine ended came out of the cache."""
    scene.declare(about("alice", ", owner: team-a"))
    token = scene.mint()
    first, second = (scene.record_of(token) for _ in range(2))
    for record in (first, second):
        assert (record["outcome"], record["registration"], record["owner"]) == ("allow", "alice", "team-a")
    assert (first.get("cached", False), second["cached"]) == (False, True)
    scene.declare(about("alice", ", standing: quarantined"))
    refused = scene.record_of(token)
    assert (refused["reason"], refused["inner"]) == ("identity_quarantined", "`alice` is quarantined")


def test_a_quarantined_client_is_quarantined_whoever_comes_through_it(scene: Scene) -> None:
    """An entry about the subject does not hide it."""
    token = scene.mint()
    scene.declare(about("alice"), "name: app, match: {issuer: ISSUER, client: reporting}, standing: quarantined")
    assert scene.ask(token) == (403, "identity_quarantined")
    scene.declare(about("alice"), "name: app, match: {issuer: ISSUER, client: reporting}")
    assert scene.ask(token) == ALLOWED


def test_who_is_not_declared_is_refused_where_the_profile_says_so(scene: Scene) -> None:
    """Every member must be declared there; elsewhere policy alone decides."""
    scene.declare(*(about(name) for name in PARTIES[:2]))
    strict = "/v1/strict/7"
    assert scene.ask(scene.mint(), strict) == ALLOWED
    assert scene.ask(scene.mint(sub="mallory"), strict) == (403, "identity_unregistered")
    assert scene.ask(scene.mint(act=CHAIN), strict) == (403, "identity_unregistered")
    assert scene.ask(scene.mint(act=CHAIN)) == ALLOWED
    scene.declare(*(about(name) for name in PARTIES))
    assert scene.ask(scene.mint(act=CHAIN), strict) == ALLOWED


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (", kind: agent", "identity_unmapped"),
        (", kind: service", ""),
        (", networks: [192.0.2.0/24]", "unexpected_network"),
        (", networks: [127.0.0.0/8]", ""),
    ],
)
def test_what_is_declared_must_be_what_is_seen(scene: Scene, more: str, reason: str) -> None:
    """Kind and network; the other value of each is the control."""
    scene.declare(about("alice", more))
    assert scene.ask(scene.mint()) == ((403, reason) if reason else ALLOWED)


def test_a_binding_gives_a_role_only_where_it_says(scene: Scene) -> None:
    """At the resource that it names; gone with the binding, also when the allow was kept."""
    staging, production = "/v1/staging/deployments", "/v1/production/deployments"
    token = scene.mint()
    scene.declare(about("alice"))
    assert scene.ask(token, staging) == (403, "role_missing")
    scene.declare(about("alice"), bindings="  - {who: alice, role: releaser, where: {environment: staging}}\n")
    assert [scene.ask(token, staging) for _ in range(3)] == [ALLOWED] * 3
    assert scene.ask(token, production) == (403, "role_missing")
    assert scene.ask(scene.mint(sub="bob"), staging) == (403, "role_missing")
    ended = "  - {who: alice, role: releaser, where: {environment: staging}, until: 2020-01-01}\n"
    scene.declare(about("alice"), bindings=ended)
    assert scene.ask(token, staging) == (403, "role_missing")


def test_a_broken_registry_changes_nothing(scene: Scene) -> None:
    """The quarantine before it stays, and so does everybody else's access."""
    scene.declare(about("alice", ", standing: quarantined"))
    scene.spoil()
    assert scene.ask(scene.mint()) == (403, "identity_quarantined")
    assert scene.ask(scene.mint(sub="bob")) == ALLOWED


def test_without_any_registry_nobody_proven_is_let_in(tmp_path: Path) -> None:
    """A mistake at the start: what asks for no credential goes on, and mending the file is enough."""
    (tmp_path / "policy.yaml").write_text(POLICY.replace("    verify: strict\n", ""))
    (registry := tmp_path / "registry.yaml").write_text("identities: 3\n")

    def change(settings: dict[str, Any]) -> None:
        settings["policy"] = [str(tmp_path / "policy.yaml")]
        settings["registry"] = {"paths": [str(registry)]}
        settings["policy_reload"] = 0.1

    with Stage(Script(root=ROOT, folder=tmp_path / "stage", change_settings=change, ready=False)) as stage:
        scene = Scene(stage, registry)
        assert scene.ask(scene.mint()) == (503, "evidence_unavailable")
        assert stage.edge.send(Ask(path="/v1/open")).status == 200
        scene.declare()
        assert scene.ask(scene.mint()) == ALLOWED


def test_a_live_token_is_explained(scene: Scene) -> None:
    """With the keys of the running issuer, by the command line, as the server decides."""
    scene.declare(about("alice"))
    command = [sys.executable, "-m", "extauthz", "token", "inspect", "--profile", "default", "--json"]
    command += ["--config", str(scene.stage.folder / "settings.yaml")]

    def explain(token: str) -> dict[str, Any]:
        done = subprocess.run(command, cwd=ROOT, input=token, capture_output=True, text=True, check=False, timeout=60)
        found: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if found["accepted"] else 1)
        return found

    assert explain(scene.mint())["registry"][0]["entries"][0]["name"] == "alice"
    forged = explain(scene.stage.issuer.forge("reporting"))
    assert (forged["reason"], forged["steps"][-1]["step"]) == ("signature_invalid", "the signature verifies")
    scene.declare(about("alice", ", standing: quarantined"))
    assert explain(scene.mint())["reason"] == "identity_quarantined"
