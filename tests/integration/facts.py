"""A checker that keeps decisions, and everything that decisions look at within reach of a test."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import Instant
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.identity.authorities import Authorities
from extauthz.identity.certificate_rules import Accepted, CertificateRules, Forwarded, NameType
from extauthz.identity.opaque import opaque_shape
from extauthz.identity.rules import RFC9068, ApiKeyRules, Profile, StatusRules, TransactionRules
from extauthz.model.enquiry import Answered
from extauthz.model.identity import Kind
from extauthz.nothing import NOTHING
from extauthz.pipeline import Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.live import LivePolicy
from extauthz.ports import Fetched, Introspection, StatusList
from extauthz.registry.live import LiveRegistry
from extauthz.request.bounds import Proxy
from extauthz.server.answers import Answers
from extauthz.server.bulkhead import Bulkhead
from extauthz.server.check import Checker, Rim
from extauthz.server.epochs import Epochs
from extauthz.server.recall import Named, Recall
from extauthz.telemetry.metrics import Metrics
from tests.simulators.apikeys import DAY, make_key
from tests.simulators.client_certificates import HOUR, Authority, uri
from tests.simulators.clock import ManualClock
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.interleavings import Sink
from tests.simulators.profiles import LEEWAY, issuer_rules, profile
from tests.simulators.registry import registry
from tests.simulators.tokens import ISSUER, NOW, MemoryKeys, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.model.enquiry import Enquiry
    from extauthz.pipeline import Reusable
    from extauthz.policy.ruleset import Ruleset
    from extauthz.ports import ApiKey, Need, RestrictionSource
    from extauthz.server.stateview import StateView

POLICY = """
windows:
  releases:
    {rules: ["FREQ=DAILY;BYHOUR=15;BYMINUTE=0;BYSECOND=0"], starts: 2026-09-01T15:00, lasts: 1h, zone: UTC}
resources:
  - name: thing
    action: read
    match: {host: [api.example.com, www.example.com], path: "/things/{id}", methods: [GET, PUT]}
    attributes:
      colour: {from: query.colour, optional: true, one_of: [red]}
      mode: {from: header.x-mode, optional: true, one_of: [x]}
      zone: {from: context.zone, optional: true, one_of: [a]}
  - {name: two, action: read, match: {host: api.example.com, path: /fork, methods: [GET], headers: {x-version: "2"}}}
  - {name: new, action: read, match: {host: api.example.com, path: /fork, methods: [GET], headers: {x-version: "3"}}}
  - name: order
    action: write
    match: {host: api.example.com, path: /orders, methods: [POST]}
    attributes: {size: {from: body.size, type: int, one_of: [1]}}
  - name: entry
    action: write
    match: {host: api.example.com, path: /forms, methods: [POST]}
    body: form
    attributes: {size: {from: body.size, one_of: ["1"]}}
  - {name: opaque, action: read, verify: opaque, match: {host: api.example.com, path: /opaque, methods: [GET]}}
  - {name: vouched, action: read, match: {host: api.example.com, path: /vouched, methods: [GET]}}
  - {name: listed, action: read, verify: listed, match: {host: api.example.com, path: /listed, methods: [GET]}}
  - {name: recent, action: read, match: {host: api.example.com, path: /recent, methods: [GET]}}
  - {name: peer, action: read, match: {host: api.example.com, path: /peer, methods: [GET]}}
  - {name: server, action: read, match: {host: api.example.com, path: /server, methods: [GET]}}
  - {name: shipment, action: start, match: {host: api.example.com, path: /ship, methods: [GET]}}
  - {name: asked, action: read, match: {host: api.example.com, path: /asked, methods: [GET]}}
  - {name: bound, action: read, match: {host: api.example.com, path: /bound, methods: [GET]}}
  - name: keyed
    action: read
    verify: keyed
    credential: api_key
    match: {host: api.example.com, path: /keyed, methods: [GET]}
  - name: mesh
    action: read
    verify: mesh
    credential: certificate
    match: {host: api.example.com, path: /mesh, methods: [GET]}
guards:
  - {id: g1, on: vouched.read, require: [{revalidate: {max_age: 60s}}]}
  - {id: g2, on: recent.read, require: [{step_up: {max_age: 60s}}]}
  - {id: g3, on: bound.read, require: [{roles: [clerk]}]}
  - {id: g5, on: asked.read, require: [{external: {ask: elsewhere}}]}
  - {id: g4, on: shipment.start, require: [{scopes: [ship]}, {change_window: releases}]}
forbids:
  - {id: f1, on: peer.read, when: 'source.principal == "spiffe://example/bad"'}
  - {id: f2, on: server.read, when: 'source.sni == "bad.example.com"'}
  - {id: f3, on: thing.read, when: 'request.host == "www.example.com"'}
  - {id: f4, on: thing.read, when: 'request.method == "PUT"'}
permits:
  - id: p1
    who: anyone
    may: [thing.read, two.read, order.write, entry.write, opaque.read, vouched.read, listed.read, recent.read,
          bound.read, asked.read, keyed.read, mesh.read, peer.read, server.read, shipment.start]
"""
WITHOUT_PERMIT = POLICY.replace("thing.read, two.read", "two.read")
SERVICE = TokenMaker(issuer="https://transactions.example", kid="x1")
ASKED: Final = "https://asked.example"
LIST: Final = "https://lists.example/1"
MAKER = TokenMaker()
CLIENTS = Authority()
PEER = CLIENTS.issue(uri("spiffe://prod.example/one"))
BRIEF = CLIENTS.issue(uri("spiffe://prod.example/brief"), life=(-HOUR, 60))
STRANGER = Authority("others").issue(uri("spiffe://prod.example/one"))
KEY, KEY_ROW = make_key(1, networks=("192.0.2.0/28",))
BRIEF_KEY, BRIEF_ROW = make_key(2, expires_at=Instant(NOW + 60))
OLD_KEY, OLD_ROW = make_key(3, created_at=Instant(NOW - 30 * DAY + 60))
FADING_AUTHORITY = Authority("fading", now=NOW - DAY + 60)
UNDER_FADING = FADING_AUTHORITY.issue(uri("spiffe://prod.example/one"), life=(DAY - HOUR, DAY + HOUR))
REGISTRY = """
identities:
  - {name: deployer, match: {issuer: ISSUER, subject: deployer}, networks: [NETWORKS]CHANGE}
bindings:
  - {who: deployer, role: clerk, until: UNTIL}
"""


def moment(seconds: float) -> str:
    """Return an instant so many seconds after the first one as people write it."""
    return datetime.fromtimestamp(NOW + seconds, UTC).isoformat()


def declared(change: str = "", *, until: float = 600, networks: str = "192.0.2.0/28") -> str:
    """Return a registry with a change to the caller's entry, and its role until then."""
    text = REGISTRY.replace("CHANGE", change).replace("NETWORKS", networks)
    return text.replace("UNTIL", moment(until))


def _profiles() -> dict[str, Profile]:
    asked = issuer_rules(ASKED, opaque=True, introspects=True, shape=opaque_shape(RFC9068))
    default = profile(issuer_rules(introspects=True), max_token_age=3000)
    mesh = Accepted(
        type=NameType.TRUST_DOMAIN, name="prod.example", issuer="spiffe://prod", kind=Kind.WORKLOAD, authorities="ca"
    )
    return {
        "default": replace(
            default, transactions=TransactionRules(rules=issuer_rules(SERVICE.issuer), audience="example")
        ),
        "opaque": profile(asked),
        "listed": profile(issuer_rules(status=StatusRules(uris=(LIST,)))),
        "keyed": replace(profile(), api_keys=ApiKeyRules(header="x-api-key", max_lifetime=30 * DAY)),
        "mesh": Profile(
            name="mesh",
            audience="",
            issuers={},
            certificates=CertificateRules(accepted=(mesh,), forwarded=Forwarded.ONLY, leeway=LEEWAY),
        ),
    }


class NoTime(Recall):
    """The negative control: kept decisions hold for ever."""

    def _holds(self, kept: Any, at: Instant, asked: float) -> bool:
        return super()._holds(kept, min(at, Instant(kept.reusable.until - 0.001)), asked)


class NoEpochs(Recall):
    """The negative control: whatever has changed, kept decisions hold."""

    def _is_current(self, reusable: Reusable) -> bool:
        del reusable
        return True


class NoNames(Recall):
    """The negative control: all questions are one."""

    def name(self, raw: bytes, proxy: Proxy | None, ruleset: Ruleset | None) -> Named | None:
        """Return the one name."""
        named = super().name(raw, proxy, ruleset)
        return named._replace(key=("any",)) if named else None


@dataclass
class Facts:
    """Everything that decisions look at, each kind with epochs: the raw material of a server."""

    keys: MemoryKeys = field(default_factory=lambda: MAKER.key_source(SERVICE))
    registry: LiveRegistry = field(default_factory=lambda: LiveRegistry(registry(declared())))
    answers: Answers[Introspection] = field(default_factory=lambda: Answers(100))
    lists: Answers[StatusList] = field(default_factory=lambda: Answers(100))
    api_keys: dict[str, ApiKey] = field(default_factory=dict)
    authorities: Authorities = field(default_factory=lambda: Authorities((CLIENTS.certificate,)))
    said: Answers[Answered] = field(default_factory=lambda: Answers(100))
    changes: Counter[str] = field(default_factory=Counter)
    on_fetch: Callable[[], object] = lambda: None

    def epochs(self, view: StateView | None) -> Epochs:
        """Return what counts their changes, and those of a state file."""
        return Epochs(
            {
                **(view.epochs if view is not None else {}),
                "keys": lambda _: self.keys.changes,
                "registry": self.registry.epoch,
                "introspection": self.answers.epoch,
                "status_list": self.lists.epoch,
                "api_key": lambda of: self.changes[of],
                "answer": lambda of: self.said.epoch(of.split(" ")[1]),
                "authorities": lambda of: self.changes[of],
            },
            view.freshen if view is not None else lambda: None,
        )

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Have nothing newer than what `on_fetch` brings; see `ports.EvidenceSource`."""
        del need, timeout
        self.on_fetch()
        return Fetched.DONE

    def find_introspection(self, issuer: str, digest: bytes, at: Instant) -> Introspection | None:
        """See `ports.IntrospectionSource`."""
        found = self.answers.find(f"{issuer} {digest.hex()}")
        return found if found is not None and found.fetched_at <= at < found.until else None

    def find_status_list(self, issuer: str, uri: str, at: Instant) -> StatusList | None:
        """See `ports.StatusListSource`."""
        found = self.lists.find(f"{issuer} {uri}")
        return found if found is not None and found.fetched_at <= at < found.until else None

    def find_answer(self, enquiry: Enquiry, at: Instant) -> Answered | None:
        """See `ports.AnswerSource`; whatever is asked."""
        found = self.said.find(enquiry.of)
        return found if found is not None and found.until is not None and at < found.until else None

    def agree(self, *, decision: bool = True, lasts: float = 600) -> None:
        """Let the other decision point say something."""
        said = Answered(said={"decision": decision}, asked_at=NOW, until=Instant(NOW + lasts))
        self.said.keep("elsewhere", said)

    def find_api_key(self, key_id: str) -> ApiKey | None:
        """See `ports.ApiKeySource`."""
        return self.api_keys.get(key_id)

    def find_authorities(self, file: str) -> Authorities | None:
        """See `identity.authorities.AuthoritySource`."""
        del file
        return self.authorities

    def vouch(
        self, token: str, *, issuer: str = ISSUER, active: bool = True, lasts: float = 600, **claims: Any
    ) -> None:
        """Let an issuer say something about a token."""
        said = Introspection(active=active, claims=claims, fetched_at=NOW, until=Instant(NOW + lasts))
        self.answers.keep(f"{issuer} {sha256(token.encode()).hexdigest()}", said)

    def publish(self, *, status: int = 0, lasts: float = 600) -> None:
        """Publish the status list."""
        known = StatusList(bits=1, statuses=bytes([status]), fetched_at=NOW, until=Instant(NOW + lasts))
        self.lists.keep(f"{ISSUER} {LIST}", known)

    def store(self, *rows: ApiKey) -> None:
        """Put API keys in place."""
        for row in rows:
            self.api_keys[row.key_id] = row
            self.changes[row.key_id] += 1

    def trust(self, authority: Authority) -> None:
        """Let the file of authorities hold another one."""
        self.authorities = Authorities((authority.certificate,))
        self.changes["ca"] += 1


EDGE = Proxy("edge")


class Scene:
    """A checker that keeps decisions, and what it looks at.

    Args:
        recall: the class that keeps them.
        policy: in force.
        profiles: more verification profiles, or others.
        view: of a state file; None for no state.
        restrictions: instead of those of the file.
        clock: of the checker.
    """

    def __init__(
        self,
        recall: type[Recall] = Recall,
        *,
        policy: str = POLICY,
        profiles: Mapping[str, Profile] | None = None,
        view: StateView | None = None,
        restrictions: RestrictionSource | None = None,
        clock: ManualClock | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.facts = facts = Facts()
        self.live = LivePolicy(compile_policy({"p": policy.encode()}, PolicyContext()))
        epochs = facts.epochs(view)
        freshen = view.freshen if view is not None else None
        self.recall = recall(epochs.held, Sink(), 50, self.clock, freshen)
        self.sink = Sink()
        views = Views(
            keys=facts.keys,
            profiles={**_profiles(), **(profiles or {})},
            epochs=epochs,
            introspections=facts,
            status_lists=facts,
            api_keys=facts,
            authorities=facts,
            registry=facts.registry,
            answers=facts,
            state=view or NOTHING,
            restrictions=restrictions or view or NOTHING,
        )
        rim = Rim(
            policy=self.live,
            views=views,
            evidence=facts,
            records=self.sink,
            metrics=Metrics(),
            clock=self.clock,
            waiting=Bulkhead(4),
            recall=self.recall,
        )
        self.checker = Checker(rim, deadline=1.0, refuse_unrecorded=True)

    def answer(self, question: dict[str, Any], proxy: Proxy = EDGE) -> CheckResponse:
        """Return the answer to a question in the words of `check_request`."""
        asked = {"raw_headers": True, **question}
        return CheckResponse.FromString(self.checker.check(check_request(**asked), proxy))

    def ask(self, question: dict[str, Any], proxy: Proxy = EDGE) -> str:
        """Return the reason of the answer to a question."""
        return outcome_of(self.answer(question, proxy))[1]
