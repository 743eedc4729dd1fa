"""A small world in which questions and changes interleave at random, with and without kept decisions beside each other.

Both checkers see the same clock, keys and policy. After every question their answers are compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.pipeline import Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.live import LivePolicy
from extauthz.ports import Fetched, Occurrence
from extauthz.registry.live import LiveRegistry
from extauthz.request.bounds import Proxy
from extauthz.server.bulkhead import Bulkhead
from extauthz.server.check import Checker, Rim
from extauthz.server.epochs import Epochs
from extauthz.server.recall import Recall
from extauthz.telemetry.metrics import Metrics
from tests.simulators.clock import ManualClock
from tests.simulators.envoy_messages import check_request
from tests.simulators.profiles import issuer_rules, profile
from tests.simulators.registry import registry
from tests.simulators.tokens import NOW, MemoryKeys, TokenMaker

if TYPE_CHECKING:
    from random import Random

    from extauthz.model.decision import Decision
    from extauthz.ports import Need

OTHER_ISSUER = "https://other.example"
MAKERS = (TokenMaker(), TokenMaker(kid="k2"), TokenMaker(issuer=OTHER_ISSUER, kid="o1"))
PROXIES = (Proxy("edge"), Proxy("narrow", hosts=("api.example.com",)), Proxy("acme", tenants=frozenset({"acme"})))

RESOURCES = """
resources:
  - {name: thing, action: read, match: {host: [api.example.com, www.example.com], path: "/things/{id}", methods: [GET]},
     attributes: {id: path.id, colour: {from: query.colour, optional: true},
                  mode: {from: header.x-mode, optional: true}}}
  - {name: open, action: read, match: {host: api.example.com, path: /open, methods: [GET]}, credential: none}
"""
RULES = {
    "guards": [
        "{id: g1, on: thing.read, require: [{step_up: {max_age: 100s}}]}",
        '{id: g2, on: thing.read, when: \'resource.id == "7"\', require: [{scopes: ["things:{resource.id}"]}]}',
        "{id: g3, on: thing.read, require: [{tenant: [acme]}]}",
        "{id: g4, on: thing.read, when: 'request.host == \"www.example.com\"', require: [{roles: [clerk]}]}",
    ],
    "forbids": [
        "{id: f1, on: thing.read, when: '\"agent\" in involved.kinds'}",
        "{id: f2, on: thing.read, when: 'source.address == \"192.0.2.9\"'}",
        "{id: f3, on: thing.read, when: 'resource.id == \"8\"', unless: [{step_up: {acr: [strong], max_age: 50s}}]}",
    ],
    "permits": [
        "{id: p1, who: anyone, may: [thing.read], require: [{scopes: [read]}]}",
        "{id: p2, who: {kind: [ci]}, may: [thing.read]}",
        "{id: p3, who: anyone, may: [thing.read], when: 'resource.mode == \"x\"'}",
        "{id: p4, who: anyone, may: [open.read]}",
        "{id: p5, who: anyone, may: [thing.read], when: 'resource.colour == \"red\"'}",
    ],
}
POLICIES = 24
REGISTRIES = 6
TOKENS = 12
SHAPES = 20
NEW_QUESTIONS = 0.08
"""How often a question of another shape takes the place of an earlier one."""
OTHER_PROXY = 0.1


def random_policy(random: Random) -> str:
    """Return a policy with some of the rules."""
    text = RESOURCES
    for kind, rules in RULES.items():
        chosen = [rule for rule in rules if random.random() < (0.9 if kind == "permits" else 0.4)]
        text += f"{kind}:" + "".join(f"\n  - {rule}" for rule in chosen) + ("\n" if chosen else " []\n")
    return text


def _random_registry(random: Random) -> str:
    """Return a registry that is mostly harmless; ends lie within the minutes that a world lasts."""
    ends = [f", {{}}: {datetime.fromtimestamp(NOW + end, UTC).isoformat()}" for end in (40, 400, 4000)]
    subject = random.choice([*[""] * 10, ", standing: quarantined", *(end.format("expires") for end in ends[1:])])
    actor = random.choice(["", ", standing: disabled", ", owner: somebody"])
    until = random.choice(["", *(end.format("until") for end in ends)])
    where = random.choice(["", ', where: {id: "7"}', ", where: {tenant: acme}"])
    return f"""
identities:
  - {{name: deployer, match: {{issuer: ISSUER, subject: deployer}}{subject}}}
  - {{name: bot, match: {{issuer: ISSUER, subject: bot}}{actor}}}
bindings:
  - {{who: {random.choice(["deployer", "bot"])}, role: clerk{where}{until}}}
"""


@dataclass
class Sink:
    """A `RecordSink` that remembers how often each reason was recorded, and has room or not."""

    room: bool = True
    taken: list[str] = field(default_factory=list)

    def offer(self, decision: Decision, latency: float) -> bool:
        """Take the decision when there is room."""
        del latency
        return self._take(decision.reason.value)

    def prepare(self, decision: Decision) -> bytes:
        """Return what repetitions have in common."""
        return decision.reason.value.encode()

    def offer_again(self, common: bytes, occurrence: Occurrence) -> bool:
        """Take the repetition when there is room."""
        del occurrence
        return self._take(common.decode())

    def _take(self, reason: str) -> bool:
        if self.room:
            self.taken.append(reason)
        return self.room


class NoEvidence:
    """An `EvidenceSource` that has nothing newer."""

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Return that the views are as new as they can be."""
        del need, timeout
        return Fetched.DONE


class World:
    """The two checkers and everything that can change.

    Args:
        random: chooses policies, questions and changes.
        recall: the class that keeps decisions; a broken one is the negative control.
    """

    def __init__(self, random: Random, recall: type[Recall] = Recall) -> None:
        self.random = random
        self.clock = ManualClock(NOW)
        self.keys = MemoryKeys()
        self.registries = [registry(_random_registry(random)) for _ in range(REGISTRIES)]
        self.registry = LiveRegistry(self.registries[0])
        self.epochs = Epochs({"keys": lambda _: self.keys.changes, "registry": self.registry.epoch})
        for maker in MAKERS:
            self.keys.add(maker)
        texts = [random_policy(random) for _ in range(POLICIES)]
        self.policies = [compile_policy({"p.yaml": text.encode()}, PolicyContext()) for text in texts]
        self.live = LivePolicy(self.policies[0])
        self.tokens = [self._token() for _ in range(TOKENS)]
        self.shapes = [self._shape() for _ in range(SHAPES)]
        self.sinks = (Sink(), Sink())
        self.recall = recall(self.epochs, self.sinks[1], 60, self.clock)
        nothing_kept = Recall(self.epochs, self.sinks[0], 0, self.clock)
        self.checkers = (self._checker(self.sinks[0], nothing_kept), self._checker(self.sinks[1], self.recall))
        self.asked = 0

    def _checker(self, sink: Sink, recall: Recall) -> Checker:
        believed = profile(issuer_rules(), issuer_rules(OTHER_ISSUER), max_token_age=260)
        rim = Rim(
            policy=self.live,
            views=Views(keys=self.keys, profiles={"default": believed}, epochs=self.epochs, registry=self.registry),
            evidence=NoEvidence(),
            records=sink,
            metrics=Metrics(),
            clock=self.clock,
            waiting=Bulkhead(4),
            recall=recall,
        )
        return Checker(rim, deadline=1.0, refuse_unrecorded=True)

    def _token(self) -> str:
        choose, now = self.random.choice, self.clock.now()
        claims: dict[str, Any] = {
            "scope": choose(["", "read", "read things:7"]),
            "kind": choose(["ci", "user", "agent"]),
            "tenant": choose(["acme", "acme", "globex", None]),
            "roles": choose([[], ["clerk"]]),
            "acr": choose([None, "strong"]),
            "auth_time": choose([None, now - 20, now - 60, now + 3]),
            "act": choose([None] * 5 + [{"sub": "bot", "kind": "agent"}, {"sub": "bot"}]),
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return choose(MAKERS).mint(now=now + choose([-200, 0, 3]), **claims)

    def question(self) -> tuple[bytes, Proxy]:
        """Return a question, mostly one that was asked before; its correlation id is always new."""
        if self.random.random() < NEW_QUESTIONS:
            self.shapes[self.random.randrange(len(self.shapes))] = self._shape()
        shape = self.random.choice(self.shapes)
        headers = [("authorization", f"Bearer {self.tokens[token]}") for token in shape["tokens"]]
        raw = check_request(
            method=shape["method"],
            path=shape["path"],
            host=shape["host"],
            headers=[*headers, *shape["headers"], ("x-request-id", f"r{self.asked:06}")],
            raw_headers=shape["raw_headers"],
            stream_id=str(10**18 + self.asked),
        )
        # Now and then another proxy brings the very same question.
        return raw, self.random.choice(PROXIES) if self.random.random() < OTHER_PROXY else shape["proxy"]

    def _shape(self) -> dict[str, Any]:
        choose = self.random.choice
        token = self.random.randrange(TOKENS)
        odd = choose([[]] * 8 + [[("x-mode", "x")], [("x-mode", "y")], [("x-other", "\x01")], [("x-other", "é")]])
        forged = choose([[], [], [("x-extauthz-subject", "admin")], [("x_extauthz_kind", "user")], [("cookie", "a=b")]])
        path = choose(
            ["/things/7", "/things/7", "/things/8", "/things/9", "/things/9", "/open", "/things/7/", "/things/%37"]
        )
        query = choose([""] * 6 + ["?colour=red", "?colour=blue", "?colour=red&colour=blue", "?access_token=x"])
        return {
            "tokens": choose([[token]] * 18 + [[], [token, token]]),
            "method": choose(["GET"] * 8 + ["HEAD", "POST"]),
            "path": path + query,
            "host": choose(["api.example.com", "api.example.com", "API.example.com:443", "www.example.com"]),
            "headers": [*odd, *forged],
            "raw_headers": choose([True, True, False]),
            "proxy": choose(PROXIES),
        }

    def change(self) -> None:
        """Change one fact, whatever it is that is drawn."""
        kind = self.random.choice(["time", "clock", "keys", "policy", "registry", "record", *["token"] * 4])
        if kind == "time":
            self.clock.advance(self.random.choice([0.5, 3, 17, 17, 60]))
        elif kind == "clock":
            self.clock.instant -= self.random.choice([0.5, 3, 9])  # Somebody sets the wall clock back.
        elif kind == "keys":
            gone = [maker for maker in MAKERS if (maker.issuer, maker.kid, maker.alg) not in self.keys.keys]
            if gone:
                self.keys.add(gone[0])
            else:
                self.keys.remove(self.random.choice(MAKERS))
        elif kind == "policy":
            self.live.replace(self.random.choice(self.policies))
        elif kind == "registry":
            self.registry.replace(self.random.choice(self.registries))
        elif kind == "record":
            room = self.random.random() < 0.8
            for sink in self.sinks:
                sink.room = room
        else:
            self.tokens[self.random.randrange(TOKENS)] = self._token()

    def ask(self) -> tuple[CheckResponse, CheckResponse]:
        """Ask both checkers the same and return their answers with the decision ids taken out."""
        raw, proxy = self.question()
        self.asked += 1
        fresh, kept = (_without_id(checker.check(raw, proxy)) for checker in self.checkers)
        return fresh, kept


def _without_id(answer: bytes) -> CheckResponse:
    response = CheckResponse.FromString(answer)
    decision_id = response.dynamic_metadata.fields["decision_id"].string_value
    return CheckResponse.FromString(answer.replace(decision_id.encode(), b"d-" + b"0" * 20))
