"""Two workers and one keeper: what can be used up is used up once, by whichever worker, however it is asked for."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import Instant, SystemClock
from extauthz.config.settings import Settings
from extauthz.keeper.service import KEEPER_SOCKET, KeeperService
from extauthz.link.caller import LinkCaller
from extauthz.link.listener import LinkListener
from extauthz.model.state import StateName
from extauthz.state.facts import put_fact
from extauthz.state.sessions import SessionSeen, find_session
from tests.integration.running import PATIENCE, Running, running, seconds_of_patience, settings
from tests.simulators.dpop import ORIGIN, ProofMaker
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse

POLICY = """\
resources:
  - {name: rated, action: read, match: {host: api.example.com, path: "/rated/{id}", methods: [GET]}}
  - {name: export, action: read, match: {host: api.example.com, path: "/exports/{id}", methods: [GET]}}
  - {name: once, action: read, match: {host: api.example.com, path: "/once/{id}", methods: [GET]}}
  - {name: thrice, action: read, match: {host: api.example.com, path: "/thrice/{id}", methods: [GET]}}
  - {name: placed, action: read, match: {host: api.example.com, path: "/placed/{id}", methods: [GET]}}
  - {name: proven, action: read, credential: dpop, match: {host: api.example.com, path: "/proven/{id}", methods: [GET]}}
  - {name: plain, action: read, match: {host: api.example.com, path: "/plain/{id}", methods: [GET]}}
guards:
  - {id: not-too-often, on: rated.read, require: [{rate: {at_most: 3, per: 31d}}]}
  - {id: allowance, on: export.read, require: [{budget: {name: exports, at_most: 2, per: month}}]}
  - {id: approved, on: once.read, require: [{approval: {by: [lead], covers: request, lasts: 15m, uses: 1}}]}
  - {id: thrice, on: thrice.read, require: [{approval: {by: [lead], covers: request, lasts: 15m, uses: 3}}]}
  - {id: few-places, on: placed.read, require: [{session: {idle: 15m, ttl: 8h, max_sources: 2}}]}
permits:
  - {id: machines, who: {kind: [ci]}, may: "*"}
"""
ALLOWED = (200, "allowed")
UNKNOWN = (503, "evidence_unavailable")
CLIENT = ProofMaker()
STREAMS = itertools.count(1)


@dataclass
class Stage:
    """A keeper and two workers."""

    service: KeeperService
    workers: tuple[Running, Running]
    run_dir: Path

    def mint(self, **changes: Any) -> str:
        """Return a token that every worker accepts."""
        return self.workers[0].mint(**changes)

    def ask(self, worker: int, token: str, path: str, **arguments: Any) -> CheckResponse:
        """Ask a worker, as another stream each time unless told otherwise."""
        stream = {"stream_id": str(next(STREAMS)), **arguments}
        return self.workers[worker].ask(token, path=path, **stream)

    def outcome(self, worker: int, token: str, path: str, **arguments: Any) -> tuple[int, str]:
        """Return what comes out."""
        return outcome_of(self.ask(worker, token, path, **arguments))


def worker_settings(folder: Path, run_dir: Path, state: Path) -> dict[str, Any]:
    """Return changes to the settings that make a worker of a server."""
    return {
        "policy": POLICY,
        "state": {"path": str(state)},
        "server": {"workers": 1, "run_dir": str(run_dir), "threads": 16},
        "records": {"path": str(folder / "records.jsonl")},
        "profiles": {"default": {"issuers": [ISSUER], "audience": ORIGIN, "dpop": {"origin": ORIGIN}}},
    }


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Yield a keeper and two workers that ask it."""
    with ExitStack() as undo:
        run_dir, state = folder / "run", folder / "state.db"
        workers: list[Running] = []
        (folder / "policy.yaml").write_text(POLICY)
        changes = worker_settings(folder, run_dir, state)
        del changes["policy"]
        given = Settings.model_validate(settings(folder, "http://127.0.0.1:9/", **changes))
        service = KeeperService(
            given,
            SystemClock(),
            confirmers={},
        )
        service.start()
        undo.callback(service.stop)
        host: dict[str, Any] = {}
        for name in ("a", "b"):
            own = folder / name
            own.mkdir()
            found = undo.enter_context(running(own, **worker_settings(own, run_dir, state), **host))
            found.maker = workers[0].maker if workers else found.maker
            host = {"host": found.keys}
            workers.append(found)
        yield Stage(service, (workers[0], workers[1]), run_dir)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run one keeper and two workers; each test has callers of its own."""
    with staged(tmp_path_factory.mktemp("consumables")) as found:
        yield found


def test_a_rate_is_one_for_all_workers(stage: Stage) -> None:
    """Exactly as often as it says."""
    token = stage.mint(sub="rated")
    outcomes = [stage.outcome(n % 2, token, f"/rated/{n}") for n in range(5)]
    assert outcomes == [ALLOWED] * 3 + [(429, "rate_exceeded")] * 2


def test_a_budget_is_one_for_all_workers(stage: Stage) -> None:
    """As a rate is."""
    token = stage.mint(sub="exporter")
    outcomes = [stage.outcome(n % 2, token, "/exports/7") for n in range(3)]
    assert outcomes == [ALLOWED] * 2 + [(403, "budget_exhausted")]


def test_the_same_question_spends_once(stage: Stage) -> None:
    """Envoy repeats one that got lost, also at another worker; its stream id is the same."""
    token = stage.mint(sub="repeated")
    assert {stage.outcome(n % 2, token, "/rated/7", stream_id="same") for n in range(6)} == {ALLOWED}
    assert [stage.outcome(0, token, "/rated/7") for _ in range(3)] == [ALLOWED] * 2 + [(429, "rate_exceeded")]


def test_two_requests_with_one_request_id_spend_twice(stage: Stage) -> None:
    """The client chooses `x-request-id`; it names nothing."""
    token = stage.mint(sub="cunning")

    def ask(number: int) -> tuple[int, str]:
        headers = {"authorization": f"Bearer {token}", "x-request-id": "always-the-same"}
        raw = check_request(path="/exports/7", headers=headers, stream_id=f"cunning-{number}")
        return outcome_of(stage.workers[number % 2].asker.ask(raw))

    assert [ask(number) for number in range(3)] == [ALLOWED] * 2 + [(403, "budget_exhausted")]


def approve(stage: Stage, token: str, path: str) -> None:
    """Have somebody approve what a denial names."""
    denied = stage.ask(0, token, path)
    assert outcome_of(denied) == (403, "approval_required")
    (remedy,) = json.loads(denied.denied_response.body)["remedies"]
    now = time.time()
    value = {
        "approvers": [{"issuer": ISSUER, "subject": "lea", "roles": ["lead"]}],
        "approved_at": now - 1,
        "until": now + 600,
    }
    with stage.service.keeper.writing() as writing:
        put_fact(
            writing.connection,
            StateName("approval", remedy["id"]),
            value,
            Instant(now + 600),
            writing.seal,
            "operator",
        )


@pytest.mark.parametrize(("path", "uses"), [("/once/7", 1), ("/thrice/7", 3)])
def test_of_many_at_once_as_many_get_through_as_it_is_good_for(stage: Stage, path: str, uses: int) -> None:
    """Eight requests, two workers, one grant for one use: one allow; for three, three."""
    token = stage.mint(sub="eager")
    approve(stage, token, path)
    assert stage.outcome(1, token, f"{path}8") == (403, "approval_required")
    together = threading.Barrier(8)
    outcomes: list[tuple[int, str]] = []

    def ask(number: int) -> None:
        together.wait(PATIENCE)
        outcomes.append(stage.outcome(number % 2, token, path))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert Counter(outcomes) == {ALLOWED: uses, (403, "approval_required"): 8 - uses}


def test_a_proof_is_good_once_for_all_workers(stage: Stage) -> None:
    """What one has accepted is replayed at the other."""
    token = CLIENT.bind(stage.workers[0].maker, now=time.time())
    proof = CLIENT.prove(token, address=f"{ORIGIN}/proven/7", now=time.time())
    headers = [("authorization", f"DPoP {token}"), ("dpop", proof)]

    def ask(worker: int) -> tuple[int, str]:
        raw = check_request(path="/proven/7", headers=headers, stream_id=str(next(STREAMS)))
        return outcome_of(stage.workers[worker].asker.ask(raw))

    assert [ask(0), ask(1), ask(0)] == [ALLOWED, (401, "proof_replayed"), (401, "proof_replayed")]


def test_a_session_is_used_from_few_places_at_once(stage: Stage) -> None:
    """Those that have a place go on; a third gets none, at whichever worker."""
    token = stage.mint(sub="traveller", sid="s-places")

    def ask(worker: int, address: str) -> tuple[int, str]:
        return stage.outcome(worker, token, "/placed/7", source=address)

    assert [ask(0, "192.0.2.1"), ask(1, "192.0.2.2"), ask(1, "192.0.2.1")] == [ALLOWED] * 3
    assert [ask(worker, "192.0.2.3") for worker in (0, 1)] == [(403, "unexpected_network")] * 2
    assert [ask(0, "192.0.2.2"), ask(1, "192.0.2.1")] == [ALLOWED] * 2
    other = stage.mint(sub="traveller", sid="s-other")
    assert stage.outcome(0, other, "/placed/7", source="192.0.2.3") == ALLOWED


def test_uses_of_sessions_reach_the_table(stage: Stage) -> None:
    """Kept answers count as uses; what is refused does not."""
    token, refused = stage.mint(sub="seen", sid="s-seen"), stage.mint(sub="refused", sid="s-refused", kind="user")
    for number in range(5):
        assert stage.outcome(number % 2, token, "/plain/7", source="192.0.2.7") == ALLOWED
        assert stage.outcome(number % 2, refused, "/plain/7")[0] == 403

    def decisions() -> int:
        for worker in stage.workers:
            notes = worker.application.state.sessions
            assert notes is not None
            notes.flush()
        with stage.service.keeper.reading() as query:
            (row,) = query("SELECT decisions FROM sessions WHERE session = 's-seen'", ()) or ((0,),)
            return int(row[0])

    seconds_of_patience(lambda: decisions() == 5)
    with stage.service.keeper.reading() as query:
        use = find_session(query, ISSUER, "s-seen")
        assert use is not None
        assert use.sources == {"192.0.2.7"}
        assert find_session(query, ISSUER, "s-refused") is None


def test_a_session_that_was_left_alone_has_ended(stage: Stage) -> None:
    """For the rule that says so; elsewhere it goes on, and that does not bring it back."""
    token = stage.mint(sub="sleepy", sid="s-sleepy")

    def seen(seconds_ago: float) -> None:
        at = Instant(time.time() - seconds_ago)
        stage.service.keeper.note_sessions([SessionSeen(issuer=ISSUER, session="s-sleepy", subject="sleepy", at=at)])

    seen(2000)
    assert stage.outcome(0, token, "/placed/7") == (403, "session_ended")
    assert stage.outcome(0, token, "/plain/7") == ALLOWED
    seen(0)
    assert [stage.outcome(worker, token, "/placed/7") for worker in (0, 1)] == [(403, "session_ended")] * 2


def test_a_lost_reply_denies(tmp_path: Path) -> None:
    """What was spent stays spent, since nobody knows; the same question, asked again, is the same spend."""
    with staged(tmp_path) as stage, closing(LinkCaller(stage.run_dir / "real.sock", PATIENCE)) as real:
        token = stage.mint(sub="unlucky")
        assert stage.outcome(0, token, "/rated/1") == ALLOWED
        socket = stage.run_dir / KEEPER_SOCKET
        socket.rename(stage.run_dir / "real.sock")
        release = threading.Event()
        lost: list[Mapping[str, Any]] = []

        def lose(message: dict[str, Any]) -> Mapping[str, Any]:
            answer = real.ask(message)
            if message["op"] == "spend":
                lost.append(answer)
                release.wait(PATIENCE)
            return answer

        liar = LinkListener(socket, lose)
        liar.start()
        for worker in stage.workers:
            worker.application.state.spender._caller.close()  # type: ignore[union-attr] # the keeper's, in a worker
        asked = {"authorization": f"Bearer {token}"}
        raw = check_request(path="/rated/2", headers=asked, stream_id="lost")
        under_way = stage.workers[0].asker.ask_soon(raw)
        seconds_of_patience(lambda: lost)
        ending = threading.Thread(target=liar.stop)  # It hangs up on who waits, and then waits for what is under way.
        ending.start()
        assert outcome_of(under_way()) == UNKNOWN
        assert [answer["outcome"] for answer in lost] == ["done"]
        release.set()
        ending.join()
        (stage.run_dir / "real.sock").rename(socket)
        assert stage.outcome(1, token, "/rated/2", stream_id="lost") == ALLOWED
        outcomes = [stage.outcome(1, token, f"/rated/{n}") for n in (3, 4)]
        assert outcomes == [ALLOWED, (429, "rate_exceeded")]


def test_without_a_keeper_nothing_is_spent(tmp_path: Path) -> None:
    """What spends is refused; the rest goes on until the state is stale. A keeper that comes back is found again."""
    with staged(tmp_path) as stage:
        token = stage.mint(sub="alone")
        assert stage.outcome(0, token, "/rated/1") == ALLOWED
        stage.service.stop()
        assert stage.outcome(0, token, "/rated/2") == UNKNOWN
        assert stage.outcome(0, token, "/plain/2") == ALLOWED
