"""A scene with a state file: the policy, the callers and the targets of tests of what changes after login."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from extauthz.identity.restrictions import EVERYBODY
from extauthz.identity.rules import FromClaim, MappingRules
from extauthz.model.restriction import Form, Mark
from extauthz.model.standing_facts import RiskLevel
from extauthz.server.freshness import Expected
from tests.integration.facts import MAKER, PEER, Scene
from tests.simulators.clock import ManualClock
from tests.simulators.profiles import issuer_rules, profile
from tests.simulators.statefile import StateFile
from tests.simulators.tokens import ISSUER, NOW

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.identity.rules import Profile
    from extauthz.model.state import StateName
    from extauthz.ports import RestrictionSource

CLAUSES = {
    "approval": "{by: lead, covers: request, lasts: 5m}",
    "ticket": "{from: id}",
    "posture": "{max_age: 5m}",
    "task": "{}",
    "session": "{idle: 60s}",
    "risk": "{at_most: medium}",
    "familiar": "{unknown: deny}",
    "workflow": "{name: release, step: publish}",
}
RESOURCE = """\
  - name: {kind}
    action: read
    match: {{host: api.example.com, path: "/{kind}/{{id}}", methods: [GET]}}
    attributes: {{id: path.id}}
"""
POLICY = (
    "resources:\n"
    + "".join(RESOURCE.format(kind=kind) for kind in (*CLAUSES, "plain"))
    + "  - {name: open, action: read, credential: none, match: {host: api.example.com, path: /open, methods: [GET]}}\n"
    "  - {name: old, action: read, stale: proceed, match: {host: api.example.com, path: /old, methods: [GET]}}\n"
    "  - {name: deaf, action: read, signals: optional, match: {host: api.example.com, path: /deaf, methods: [GET]}}\n"
    "  - {name: guess, action: read, signals: optional, match: {host: api.example.com, path: /guess, methods: [GET]}}\n"
    "  - {name: asked, action: read, verify: opaque, match: {host: api.example.com, path: /asked, methods: [GET]}}\n"
    "permits:\n  - {id: all, who: anyone, may: '*'}\nguards:\n"
    + "".join(
        f"  - {{id: needs-{kind}, on: {kind}.read, require: [{{{kind}: {CLAUSES[kind]}}}]}}\n" for kind in CLAUSES
    )
    + "  - {id: guesses, on: guess.read, require: [{risk: {at_most: low}}]}\n"
)
MINE: dict[str, Any] = {
    "sid": "s-1",
    "jti": "t-1",
    "tenant": "acme",
    "client_id": "app",
    "device": "d-1",
    "cnf": {"x5t#S256": PEER.thumbprint},
}
PERSON = MAKER.mint(kind="user", sub="alice", auth_time=NOW - 10, lifetime=2000, **MINE)
MACHINE = MAKER.mint(lifetime=2000, **MINE)
WORKLOAD = f"{ISSUER}|app"
STREAM = Expected("idp", frozenset({ISSUER}), max_silence=60.0, assumed_risk=RiskLevel.LOW)
TARGETS = {
    Form.TOKEN: Mark(Form.TOKEN, ISSUER, "t-1"),
    Form.SESSION: Mark(Form.SESSION, ISSUER, "s-1"),
    Form.SUBJECT: Mark(Form.SUBJECT, ISSUER, "alice"),
    Form.CLIENT: Mark(Form.CLIENT, ISSUER, "app"),
    Form.WORKLOAD: Mark(Form.WORKLOAD, "", WORKLOAD),
    Form.DEVICE: Mark(Form.DEVICE, ISSUER, "d-1"),
    Form.CERTIFICATE: Mark(Form.CERTIFICATE, "", PEER.digest.hex()),
    Form.TENANT: Mark(Form.TENANT, ISSUER, "acme"),
    Form.ISSUER: Mark(Form.ISSUER, ISSUER),
    Form.EVERYBODY: EVERYBODY,
}
RUNNER = Mark(Form.SUBJECT, ISSUER, "deployer")


def profiles() -> dict[str, Profile]:
    """Return the profile of the callers, whose tokens name a device."""
    mapping = MappingRules(device=FromClaim("device"))
    return {"default": replace(profile(issuer_rules(mapping=mapping)), name="default")}


class Stage(Scene):
    """A scene with a state file.

    Attributes:
        file: the state file, and whoever writes it.
        view: as decisions see it.
        approval: the name of what was approved.
    """

    approval: StateName

    def __init__(
        self, folder: Path, recall: Any, *streams: Expected, restrictions: RestrictionSource | None = None
    ) -> None:
        clock = ManualClock()
        self.file = StateFile(folder / "state.db", clock)
        self.view = self.file.view(*streams)
        super().__init__(
            recall,
            policy=POLICY,
            profiles=profiles(),
            view=self.view,
            restrictions=restrictions,
            clock=clock,
        )

    def close(self) -> None:
        """Let go of the file."""
        self.view.close()
        self.file.close()


def asked(path: str = "/plain/7", token: str = PERSON) -> dict[str, Any]:
    """Return a question of a person at an app, on a device, with a bound token."""
    return {"path": path, "headers": {"authorization": f"Bearer {token}"}, "certificate": PEER.encoded}
