"""A whole server with a plug-in: it decides, each time unless it says for how long, and a wrong pin stops the start."""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING

import pytest

from extauthz.errors import ConfigError
from extauthz.plugin import Met, Unmet
from tests.integration.running import running
from tests.simulators.distributions import CODE, KIND, install, on_path, pin
from tests.simulators.grpc_client import outcome_of

if TYPE_CHECKING:
    from pathlib import Path

POLICY = f"""\
resources:
  - name: thing
    match: {{host: api.example.com, path: "/things/{{color}}", methods: [GET]}}
    action: read
    attributes: {{color: path.color}}
guards:
  - {{id: colors, on: thing.read, require: [{{{KIND}: any}}]}}
permits:
  - {{id: machines-read, who: {{kind: [ci]}}, may: [thing.read]}}
"""
ALLOWED = (200, "allowed")
DENIED = (403, "plugin_denied")


def test_an_answer_is_kept_only_as_long_as_the_plug_in_says(tmp_path: Path) -> None:
    """What it does not promise is asked again for the same question; what it promises is not."""
    install(tmp_path / "site")
    (tmp_path / "run").mkdir()
    with on_path(tmp_path / "site"), running(tmp_path / "run", policy=POLICY, plugins=[pin()]) as server:
        module = importlib.import_module("acme_color")
        token = server.mint(sub="painter")
        module.answers[:] = [Met(), Unmet("Not today."), Unmet("", math.inf)]
        outcomes = [outcome_of(server.ask(token, path="/things/red")) for _ in range(5)]
        assert outcomes == [ALLOWED, DENIED, DENIED, DENIED, DENIED]
        assert len(module.asked) == 3
        assert module.asked[0][0] == {"identity.kind": "ci", "identity.scopes": (), "resource.color": "red"}
        module.answers[:] = [Met(math.inf)]
        outcomes = [outcome_of(server.ask(token, path="/things/blue")) for _ in range(3)]
        assert (outcomes, len(module.asked)) == ([ALLOWED] * 3, 4)


def test_one_that_waits_is_asked_aside(tmp_path: Path) -> None:
    """With the deadline of the decision; what does not answer in time denies, and the others go on."""
    code = CODE.replace("    reads =", "    waits = True\n    reads =")
    code = code.replace("            asked.append", "            gate.wait(30)\n            asked.append")
    install(tmp_path / "site", {"acme_color.py": f"import threading\n\ngate = threading.Event()\n{code}"})
    (tmp_path / "run").mkdir()
    with (
        on_path(tmp_path / "site"),
        running(tmp_path / "run", policy=POLICY, plugins=[pin()], server={"deadline": 3.0}) as server,
    ):
        module = importlib.import_module("acme_color")
        token = server.mint(sub="painter")
        assert outcome_of(server.ask(token, path="/things/red")) == (503, "evidence_unavailable")
        module.gate.set()
        module.answers[:] = [Met(math.inf), Unmet("Not today."), Met()]
        outcomes = [outcome_of(server.ask(token, path=f"/things/{color}")) for color in ("blue", "blue", "green")]
        assert outcomes.count(ALLOWED) >= 1
        assert outcome_of(server.ask(token, path="/things/yellow")) in {ALLOWED, DENIED}


def test_a_wrong_pin_stops_the_start(tmp_path: Path) -> None:
    """Nothing runs, and nothing of it was imported."""
    install(tmp_path / "site")
    (tmp_path / "run").mkdir()
    with (
        on_path(tmp_path / "site"),
        pytest.raises(ConfigError, match="not those that are pinned"),
        running(tmp_path / "run", policy=POLICY, plugins=[pin(sha256="0" * 64)]),
    ):
        pass
