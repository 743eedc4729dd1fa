"""Zero stale allows: what was revoked and acknowledged is let through by no worker, although all had kept the allow.

Four real workers under load. Before each revocation an allow from the cache is seen on every worker (by their records);
after its acknowledgement every worker is asked at once. The count of allows after that is printed, and is none.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.link.caller import LinkCaller
from tests.integration.supervised import supervised
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import outcome_of
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.supervised import Supervised

WORKERS = 4
PATIENCE = 30.0
POLICY = """\
resources:
  - name: thing
    match: {host: api.example.com, path: "/things/{id}", methods: [GET]}
    action: read
permits:
  - id: callers-read
    who: {kind: [user, ci, service]}
    may: [thing.read]
"""
FORMS = ("token", "session", "subject", "client", "tenant")
KINDS = ("user", "ci")
WHO = {"by": "test", "reason": "a test"}


@dataclass
class Counts:
    """What was seen.

    Attributes:
        revocations: acknowledged by every worker.
        kept: ids of the last allow on each worker before each revocation; the records say whether it was a kept one.
        stale: allows after the acknowledgement, by the form of what was revoked.
        asked: answers under load.
        seconds: each receipt's own account of how long it took.
    """

    revocations: int = 0
    kept: list[str] = field(default_factory=list)
    stale: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    seconds: list[float] = field(default_factory=list)


def claims_of(number: int) -> dict[str, Any]:
    """Return a caller that nothing else is about."""
    names = {"jti": "token", "sid": "session", "sub": "subject", "client_id": "client", "tenant": "tenant"}
    return {claim: f"{name}-{number}" for claim, name in names.items()} | {"kind": KINDS[number // 5 % 2]}


def mark_of(number: int) -> dict[str, str]:
    """Return what of that caller is revoked; each form in turn."""
    form = FORMS[number % len(FORMS)]
    return {"form": form, "issuer": ISSUER, "value": f"{form}-{number}"}


def question(token: str) -> bytes:
    """Return a request with a token."""
    return check_request(path="/things/7", headers={"authorization": f"Bearer {token}"})


def ask_all(server: Supervised, raw: bytes) -> list[Any]:
    """Return what every worker answers, asked at once."""
    under_way = [asker.ask_soon(raw) for asker in server.askers]
    return [answer() for answer in under_way]


@contextmanager
def under_load(server: Supervised, counts: Counts) -> Iterator[None]:
    """Keep all workers busy with other callers; each answer is an allow."""
    stopping, wrong = threading.Event(), Counter[str]()
    tokens = [server.maker.mint(now=time.time(), lifetime=3600, **claims_of(10**6 + each)) for each in range(20)]
    raws = [question(token) for token in tokens]

    def load(first: int) -> None:
        while not stopping.is_set():
            for raw in raws[first::2]:
                answers = ask_all(server, raw)
                counts.asked += len(answers)
                wrong.update(outcome_of(answer)[1] for answer in answers if outcome_of(answer)[0] != 200)
                stopping.wait(0.005)

    threads = [threading.Thread(target=load, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert not wrong


def revoke(operator: LinkCaller, number: int) -> dict[str, Any]:
    """Revoke a caller, and return the receipt."""
    words = {"op": "restrict", "kind": "revoke", "marks": [mark_of(number)], "effect": "revoked", **WHO}
    said = operator.ask(words)
    assert "receipt" in said, said
    return dict(said["receipt"])


def revoke_everywhere(operator: LinkCaller, number: int, workers: int, replicas: int = 0) -> dict[str, Any]:
    """Revoke a caller, and return the receipt that says that so many decide by it, and nobody does not.

    A receipt waits for two seconds, which can be too short on a crowded computer. Then it says so, and is asked for
    again: until one says that it is in force nothing is promised.
    """
    wanted = {"workers": workers, "of_workers": workers, "replicas": replicas, "of_replicas": replicas}
    end = time.monotonic() + PATIENCE
    while not wanted.items() <= (receipt := revoke(operator, number)).items():
        assert time.monotonic() < end, receipt
    return receipt


def revoke_one_after_another(server: Supervised, folder: Path, revocations: int) -> Counts:
    """Return what was seen of so many revocations."""
    counts, operator = Counts(), LinkCaller(folder / "run" / "admin.sock", PATIENCE)
    with under_load(server, counts):
        for number in range(revocations):
            raw = question(server.maker.mint(now=time.time() - 2, **claims_of(number)))
            ask_all(server, raw)
            answers = ask_all(server, raw)
            assert [outcome_of(answer) for answer in answers] == [(200, "allowed")] * len(server.askers)
            counts.kept += [answer.dynamic_metadata.fields["decision_id"].string_value for answer in answers]
            receipt = revoke_everywhere(operator, number, len(server.askers))
            counts.seconds.append(receipt["seconds"])
            allowed = sum(outcome_of(answer)[0] == 200 for answer in ask_all(server, raw))
            counts.stale[FORMS[number % len(FORMS)]] += allowed
            counts.revocations += 1
    operator.close()
    return counts


def measure(folder: Path, revocations: int, *, workers: int = WORKERS, program: str = "") -> Counts:
    """Return what was seen, once it is certain that what came before each revocation was a kept decision."""
    changes = {"workers": workers, "drain": 1, "deadline": 15}
    state = {"path": str(folder / "state.db")}
    with supervised(folder, policy=POLICY, program=program, server=changes, state=state) as server:
        counts = revoke_one_after_another(server, folder, revocations)
        server.child.terminate()
        assert server.child.wait(PATIENCE) == 0
    repeated = {
        record["decision_id"]
        for worker in range(workers)
        for record in map(json.loads, (folder / f"records-{worker}.jsonl").read_text().splitlines())
        if record.get("cached")
    }
    assert len(counts.kept) == revocations * workers
    assert repeated.issuperset(counts.kept)
    took = sorted(counts.seconds)
    print(  # noqa: T201 — figures for people
        f"\n{counts.revocations} revocations x {workers} workers, {counts.asked} other answers meanwhile: "
        f"{counts.stale.total()} stale allows {dict(counts.stale)}; "
        f"receipt after p50 {took[len(took) // 2] * 1000:.1f} ms, p99 {took[len(took) * 99 // 100] * 1000:.1f} ms"
    )
    return counts


def test_no_worker_lets_through_what_was_revoked(tmp_path: Path) -> None:
    """Some of each form, of people and of machines."""
    assert measure(tmp_path, 60).stale.total() == 0


def test_without_comparing_epochs_workers_would(tmp_path: Path) -> None:
    """The negative control: each of the same revocations would be missed."""
    counts = measure(tmp_path, 10, workers=2, program="tests.simulators.stale_worker")
    assert counts.stale.total() == 10 * 2


@pytest.mark.long
def test_no_worker_lets_through_what_was_revoked_a_thousand_times(tmp_path: Path) -> None:
    """As above, as often as it takes to meet rare interleavings."""
    assert measure(tmp_path, 1000).stale.total() == 0
