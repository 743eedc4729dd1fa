"""Tokens that are asked about, tokens with a status list, and what an issuer's outage costs, behind a real Envoy."""

from __future__ import annotations

import json
import re
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.demo.ask import Answer, Ask
from extauthz.demo.issuer import Mood as KeyMood
from extauthz.demo.stage import Script, Stage
from tests.e2e.asks import await_record, decision_of, eventually, with_token
from tests.e2e.conftest import ROOT, fail_open
from tests.simulators.tokenhost import CLIENT_SECRET, Mood, TokenHost, answer_about, mint_list, pack
from tests.simulators.tokens import TokenMaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.envoy

POLICY = """\
resources:
  - name: report
    match: {host: api.example.com, path: "/v1/reports/{report}", methods: [GET]}
    action: read
  - name: payment
    match: {host: api.example.com, path: /v1/payment, methods: [GET]}
    action: approve
guards:
  - id: payments-ask-anew
    on: payment.approve
    require: [{revalidate: {max_age: 1s}}]
permits:
  - id: machines
    who: {kind: [ci, service]}
    may: [report.read, payment.approve]
"""
SIGNING = "https://signing.example"
PAYMENT = Ask(path="/v1/payment")
REPORT = Ask(path="/v1/reports/q3")
UNAVAILABLE = (503, "evidence_unavailable")
PAUSE_SECONDS = 0.25
"""Between two requests of one slow caller: forty of them shall need issuers, not all of this machine."""


@dataclass
class Scene:
    """A stage with two more issuers: one that is asked, one whose tokens have a status list."""

    stage: Stage
    asked: TokenHost
    signing: TokenMaker

    def send(self, token: str, ask: Ask = REPORT) -> Answer:
        """Send a request with a bearer token."""
        return self.stage.edge.send(with_token(ask, token))

    def outcome(self, token: str, ask: Ask = REPORT) -> tuple[int, str]:
        """Return status and reason."""
        answer = self.send(token, ask)
        return answer.status, answer.reason

    def know(self, token: str, **changes: Any) -> str:
        """Let the issuer know a token."""
        self.asked.tokens[token] = answer_about(self.asked.url, now=time.time(), **changes)
        return token

    def sign(self, index: int, **changes: Any) -> str:
        """Return a JWT that names a place in the status list."""
        status = {"status_list": {"idx": index, "uri": f"{self.asked.url}/lists/1"}}
        return self.signing.mint(now=time.time(), **{"jti": f"t-{index}", "status": status, **changes})

    def publish(self, *statuses: int) -> None:
        """Publish the status list."""
        uri = f"{self.asked.url}/lists/1"
        self.asked.lists["1"] = mint_list(self.signing, uri, pack(statuses), now=time.time(), ttl=1)


def introspection(folder: Path, asked: TokenHost) -> dict[str, Any]:
    """Return how an issuer is asked."""
    client = {"id": "extauthz", "secret_file": str(folder / "secret")}
    return {"endpoint": f"{asked.url}/introspect", "client": client, "cache": "5m"}


def script(folder: Path, asked: TokenHost, signing: TokenMaker, **others: Any) -> Script:
    """Return how to set the stage."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "secret").write_text(CLIENT_SECRET)
    (folder / "keys.json").write_text(json.dumps(signing.jwks()))

    def change(settings: dict[str, Any]) -> None:
        settings["policy"] = [str(folder / "policy.yaml")]
        demo = settings["issuers"][0]
        demo["introspection"] = introspection(folder, asked)
        demo["keys"] |= {"cool_down": 0, "refresh": "1h"}
        settings["issuers"] += [
            {"issuer": asked.url, "tokens": "opaque", "introspection": introspection(folder, asked)},
            {
                "issuer": SIGNING,
                "keys": {"file": str(folder / "keys.json")},
                "introspection": introspection(folder, asked),
                "status_list": {"uris": [f"{asked.url}/lists/"], "required": True},
            },
        ]
        settings["profiles"]["default"]["issuers"] += [asked.url, SIGNING]

    return Script(root=ROOT, folder=folder, change_settings=change, change_bootstrap=fail_open, **others)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Run everything behind an Envoy that fails open, so that an answer of ours is what refuses."""
    signing = TokenMaker(issuer=SIGNING)
    with TokenHost() as asked, Stage(script(tmp_path_factory.mktemp("asked"), asked, signing)) as stage:
        yield Scene(stage, asked, signing)


def test_opaque_tokens_are_accepted_once_and_refused_in_their_own_ways(scene: Scene) -> None:
    """One change each; the control is first."""
    good = scene.know("good")
    answer = scene.send(good)
    assert answer.status == 200
    sent = dict(answer.read_echo()["headers"])
    assert (sent["x-extauthz-subject"], sent["authorization"]) == ("deployer", f"Bearer {good}")
    expected = {
        "made-up": (401, "token_revoked"),
        scene.know("other-audience", aud="https://other.example"): (401, "audience_mismatch"),
        scene.know("expired", iat=time.time() - 100, exp=time.time() - 50): (401, "token_expired"),
        scene.know("refresh", token_use="refresh_token"): (401, "token_type_wrong"),
        scene.know("other-issuer", iss="https://other.example"): (401, "issuer_unknown"),
        scene.know("bound", cnf={"jkt": "k"}): (401, "binding_mismatch"),
        scene.know("bound-to-certificate", cnf={"x5t#S256": "x"}): (401, "binding_missing"),
        scene.know("nobody", kind="nobody"): (403, "identity_unmapped"),
        scene.know("person", kind="user"): (403, "no_permit"),
        TokenMaker(issuer="https://third.example").mint(now=time.time()): (401, "issuer_unknown"),
        "two,tokens": (400, "credentials_ambiguous"),
    }
    assert {token: scene.outcome(token) for token in expected} == expected
    assert not any(token.count(".") == 2 for token in scene.asked.asked)
    assert scene.asked.asked.count(good) == 1


def is_revoked(scene: Scene, token: str, ask: Ask) -> bool:
    """Return whether a token is refused as revoked now."""
    return scene.outcome(token, ask) == (401, "token_revoked")


def test_a_sensitive_resource_asks_anew(scene: Scene) -> None:
    """Revoked after it was remembered: the other resource believes what is remembered, until somebody asks again."""
    opaque, signed = scene.know("sensitive"), scene.stage.issuer.mint("reporting")
    scene.asked.tokens[signed] = {"active": True}
    for token in (opaque, signed):
        assert scene.outcome(token, PAYMENT) == (200, "")
        assert scene.outcome(token) == (200, "")
        scene.asked.tokens[token] = {"active": False}
        assert eventually(partial(is_revoked, scene, token, PAYMENT))
    assert scene.outcome(opaque) == (401, "token_revoked")
    assert scene.outcome(signed) == (200, "")


def test_a_status_list_is_accepted_once_and_refuses_in_its_own_ways(scene: Scene) -> None:
    """Valid, revoked, suspended, beyond the list, elsewhere, and no reference where one is required."""
    scene.publish(0, 1, 0, 0, 0, 0, 0, 0)
    expected = {
        scene.sign(0): (200, ""),
        scene.sign(1): (401, "token_revoked"),
        scene.sign(8): (401, "credentials_malformed"),
        scene.sign(-1): (401, "credentials_malformed"),
        scene.sign(0, jti="none", status=None): (401, "credentials_malformed"),
        scene.sign(0, jti="far", status={"status_list": {"idx": 0, "uri": "http://169.254.169.254/"}}): UNAVAILABLE,
    }
    assert {token: scene.outcome(token) for token in expected} == expected
    scene.publish(1, 1)
    token = next(iter(expected))
    assert eventually(lambda: scene.outcome(token) == (401, "token_revoked"))


def percentiles(seconds: list[float]) -> str:
    """Return median and 99th percentile in milliseconds."""
    cut = statistics.quantiles(seconds, n=100)
    return f"p50 {1000 * cut[49]:.1f} ms, p99 {1000 * cut[98]:.1f} ms"


def ask_many(scene: Scene, tokens: list[str], numbers: Iterator[int], times: int) -> list[float]:
    """Ask about paths that were never asked about, with tokens whose evidence is at hand; return the latencies."""
    latencies = []
    for turn in range(times):
        answer = scene.send(tokens[turn % len(tokens)], Ask(path=f"/v1/reports/{next(numbers)}"))
        assert (answer.status, answer.reason) == (200, "")
        latencies.append(answer.seconds)
    return latencies


def slow_caller(scene: Scene, name: str, over: threading.Event, answers: list[Answer]) -> None:
    """Ask with ever new tokens whose evidence is not at hand, until it is over."""
    for turn in count():
        if over.wait(PAUSE_SECONDS):
            return
        token = scene.stage.issuer.mint("reporting") if name.endswith("signed") else f"{name}-{turn}"
        answers.append(scene.send(token))


@pytest.mark.parametrize(
    ("engine", "mood", "key_mood"),
    [
        ("native", Mood.SLOW, KeyMood.SLOW),
        ("grpcio", Mood.SLOW, KeyMood.SLOW),
        ("native", Mood.DEAD, KeyMood.DEAD),
        ("grpcio", Mood.TEXT, KeyMood.LYING),
    ],
)
def test_an_outage_costs_only_those_who_need_the_issuer(
    tmp_path: Path, engine: str, mood: Mood, key_mood: KeyMood
) -> None:
    """Forty callers who need issuers that are slow, dead or lying, beside callers whose evidence is at hand.

    The former get an answer of ours and not Envoy's, which fails open here; the latter are all allowed. Afterwards
    everything works again without a restart. Latencies are printed, not asserted.
    """
    signing = TokenMaker(issuer=SIGNING)
    numbers = count()
    with TokenHost() as asked, Stage(script(tmp_path / "outage", asked, signing, engine=engine)) as stage:
        scene = Scene(stage, asked, signing)
        known = [scene.know("known"), stage.issuer.mint("reporting")]
        before = ask_many(scene, known, numbers, 100)
        asked.feel(mood)
        stage.issuer.feel(key_mood)
        stage.issuer.rotate()
        over, answers = threading.Event(), list[Answer]()
        with ThreadPoolExecutor(40) as crowd:
            names = [f"slow-{number}-{'signed' if number % 2 else 'opaque'}" for number in range(40)]
            callers = [crowd.submit(slow_caller, scene, name, over, answers) for name in names]
            assert eventually(lambda: bool(answers))
            try:
                during = ask_many(scene, known, numbers, 200)
            finally:
                over.set()
            for caller in callers:
                caller.result()
        alone, beside, refused = map(percentiles, (before, during, [answer.seconds for answer in answers]))
        print(f"\n{engine}, issuers {mood}: alone {alone}; beside 40 callers {beside}")  # noqa: T201 — figures for people
        print(f"those {len(answers)} times refused: {refused}")  # noqa: T201 — likewise
        assert {(answer.status, answer.reason) for answer in answers} == {UNAVAILABLE}
        asked.feel(Mood.HONEST)
        stage.issuer.feel(KeyMood.HONEST)
        fresh = scene.know("fresh")
        assert eventually(lambda: scene.outcome(fresh) == (200, ""))
        assert eventually(lambda: scene.outcome(stage.issuer.mint("reporting")) == (200, ""))
        await_record(stage, decision_of(scene.send(fresh)))
        assert re.search(r"slow-\d+-opaque", stage.records.read_text()) is None
