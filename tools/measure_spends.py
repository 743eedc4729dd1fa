"""How long a spend takes over the keeper's socket, and what noting the use of a session costs.

The keeper runs in a process of its own, on a file in the folder that is given, as it does beside workers. Figures are
of the machine and of its disk; nothing is asserted. Run it as `python tools/measure_spends.py [FOLDER]`.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from extauthz.clock import Instant, SystemClock
from extauthz.config.settings import Settings
from extauthz.ids import DecisionId, RuleId, new_random_bytes
from extauthz.keeper.service import KEEPER_SOCKET, KeeperService
from extauthz.model.decision import Decision
from extauthz.model.identity import Identity, Principal
from extauthz.model.reason import Reason
from extauthz.model.request import Request, Source
from extauthz.model.spend import Spend
from extauthz.model.verdict import Allow
from extauthz.ports import SpendOutcome
from extauthz.server.keeperspender import KeeperSpender
from extauthz.server.sessionnotes import SessionNotes
from extauthz.server.spender import StateSpender

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from extauthz.ports import Spender

SECONDS = 3.0
ASKERS = (1, 8, 32)
NOTES = 200_000


def settings_in(folder: Path) -> Settings:
    """Return settings whose state, sockets and records are in a folder."""
    given = {
        "policy": [str(folder / "policy.yaml")],
        "state": {"path": str(folder / "state.db")},
        "server": {"run_dir": str(folder / "run"), "workers": 1},
        "records": {"path": str(folder / "records.jsonl")},
    }
    return Settings.model_validate(given)


def keep(folder: Path, ready: Event, over: Event) -> None:
    """Be the keeper until it is over."""
    service = KeeperService(settings_in(folder), SystemClock(), confirmers={})
    service.start()
    ready.set()
    over.wait()
    service.stop()


def spend_for(seconds: float, spender: Spender, askers: int) -> list[float]:
    """Return how long each spend of some askers took, each of something new."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    def ask() -> None:
        while time.perf_counter() < end:
            until = Instant(time.time() + 60)
            key = new_random_bytes(32)
            wanted = Spend(kind="measured", key=key, until=until, refused=Reason.PROOF_REPLAYED)
            began = time.perf_counter()
            spent = spender.spend((wanted,), key, 5.0)
            took.append(time.perf_counter() - began)
            if spent.outcome is not SpendOutcome.DONE:
                message = f"not spent: {spent.outcome}"
                raise SystemExit(message)

    threads = [threading.Thread(target=ask) for _ in range(askers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(took)


def show(name: str, askers: int, took: list[float]) -> None:
    """Print a line."""
    p50, p99 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
    print(f"{name:<22} {askers:>3} at once  p50 {p50:7.3f} ms  p99 {p99:7.3f} ms  {len(took) / SECONDS:8.0f} /s")


def note_cost() -> float:
    """Return the seconds that noting one use takes."""
    notes = SessionNotes(lambda _: None)
    identity = Identity(subject=Principal(issuer="https://idp.example", subject="alice", client="web"), session="s-1")
    request = Request(
        method="GET", host="api.example.com", path="/", segments=("",), source=Source(address="192.0.2.1")
    )
    decision = Decision(
        decision_id=DecisionId("d"),
        at=Instant(0.0),
        verdict=Allow(rule=RuleId("r")),
        identity=identity,
        request=request,
    )
    at = Instant(1.0)
    began = time.perf_counter()
    for _ in range(NOTES):
        notes.note(decision, at)
    return (time.perf_counter() - began) / NOTES


def main() -> None:
    """Measure and print."""
    with TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        context = multiprocessing.get_context("spawn")
        ready, over = context.Event(), context.Event()
        keeper = context.Process(target=keep, args=(folder, ready, over))
        keeper.start()
        ready.wait()
        spender = KeeperSpender(folder / "run" / KEEPER_SOCKET)
        for askers in ASKERS:
            show("over the socket", askers, spend_for(SECONDS, spender, askers))
        own = StateSpender(folder / "state.db", 10_000_000, SystemClock())
        own.start()
        for askers in ASKERS:
            show("in the same process", askers, spend_for(SECONDS, own, askers))
        own.stop()
        spender.close()
        over.set()
        keeper.join()
    print(f"noting the use of a session: {note_cost() * 1e9:.0f} ns")


if __name__ == "__main__":
    main()
