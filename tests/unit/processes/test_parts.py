"""The parts of a server, each run in this process: what it starts, how it answers pings, what stops it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.link.caller import LinkCaller
from extauthz.processes import keeper, receiver, worker
from extauthz.processes.handover import Handover, Kind, nameless_file
from extauthz.processes.single import Single
from extauthz.processes.temporary import with_state_file
from tests.integration.running import POLICY, seconds_of_patience, settings
from tests.integration.signalled import signal_settings
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import client, outcome_of
from tests.simulators.tokens import ISSUER, TokenMaker
from tests.simulators.transmitter import Transmitter, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from extauthz.processes.part import Part, Report

WITHIN = 30.0
"""Seconds for an answer."""

ALLOWED = (200, "allowed")
UPGRADING = POLICY.replace("methods: [GET]}", "methods: [GET]}\n    upgrades: [websocket]", 1)


@dataclass
class Parts:
    """The parts of one server, all in this process."""

    document: dict[str, Any]
    maker: TokenMaker
    transmitter: Transmitter
    turn: int
    running: dict[str, Part] = field(default_factory=dict)

    def start(self, kind: Kind, **told: Any) -> Report:
        """Start a part as its process would."""
        whole = Settings.model_validate(self.document)
        handover = Handover(kind=kind, settings=whole, parent=0, channel=0, turn=self.turn, **told)
        make: dict[str, Callable[[Handover], Part]] = {
            "worker": worker.make_part,
            "keeper": keeper.make_part,
            "receiver": receiver.make_part,
        }
        self.running[handover.name] = part = make[kind](handover)
        return part.start()

    def ask_link(self, name: str, **message: Any) -> dict[str, Any]:
        """Ask on one of the sockets."""
        caller = LinkCaller(whole_run_dir(self.document) / name)
        try:
            return caller.ask(message, WITHIN)
        finally:
            caller.close()

    def stop(self) -> None:
        """Stop what runs, last started first."""
        for part in reversed(self.running.values()):
            part.stop()


def whole_run_dir(document: dict[str, Any]) -> Path:
    """Return where the sockets are."""
    return Settings.model_validate(document).server.run_dir


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Return parts of a server with a state and a pushed stream; none of them runs yet."""
    maker = TokenMaker()
    (tmp_path / "policy.yaml").write_text(UPGRADING)
    with ExitStack() as undo:
        transmitter = undo.enter_context(Transmitter())
        turn = undo.enter_context(nameless_file("turn"))
        document = settings(tmp_path, transmitter.url, **signal_settings(tmp_path, transmitter, pushes=True))
        document["server"]["workers"] = 1
        found = Parts(document, maker, transmitter, turn.fileno())
        undo.callback(found.stop)
        yield found


def test_an_event_goes_from_the_receiver_to_a_worker(parts: Parts) -> None:
    """Through three parts that know one another by their sockets only."""
    assert parts.start("keeper").addresses == ()
    report = parts.start("worker")
    where = parts.start("receiver")
    for name, part in parts.running.items():
        health = part.check(WITHIN)
        assert (health.works, health.ready, health.why_not) == (True, True, ""), name
        part.reload()
    assert "extauthz_state_beat_age_seconds" in parts.running["keeper"].check(WITHIN).metrics
    assert report.engine == "native"
    with client(report.addresses[0]) as asker:
        assert outcome_of(asker.ask(check_request(path="/ping"))) == ALLOWED
    assert parts.ask_link("worker-0.sock", op="confirm") == {"number": 0, "streams": ["ping"]}
    event = parts.transmitter.event(now=time.time(), payload={"event_timestamp": int(time.time())})
    assert push(where.addresses[0], event).status == 202
    assert parts.ask_link("worker-0.sock", op="confirm")["number"] == 1
    assert parts.ask_link("worker-0.sock", op="ping") == {"ready": True, "why_not": ""}
    assert "error" in parts.ask_link("worker-0.sock", op="dance")


def test_a_receiver_without_a_keeper_works_and_is_not_ready(parts: Parts) -> None:
    """A restart would not bring the keeper back; what is pushed meanwhile is sent again."""
    where = parts.start("receiver")
    health = parts.running["receiver"].check(WITHIN)
    assert (health.works, health.ready) == (True, False)
    assert "signals.sock" in health.why_not
    assert push(where.addresses[0], parts.transmitter.event(now=time.time())).status == 503


def test_a_worker_comes_back_at_the_address_it_had(parts: Parts) -> None:
    """Which the system chose the first time."""
    parts.start("keeper")
    first = parts.start("worker").addresses
    parts.running.pop("worker-0").stop()
    assert parts.start("worker", addresses=first).addresses == first


def test_a_worker_whose_socket_is_taken_says_so(parts: Parts) -> None:
    """Two servers on one `run_dir` would confirm for one another."""
    parts.start("keeper")
    parts.start("worker")
    with pytest.raises(ConfigError, match=r"set another server\.run_dir"):
        parts.start("worker")


def test_a_run_dir_that_cannot_be_made_is_told_with_the_fix(parts: Parts, tmp_path: Path) -> None:
    """As it happens to whoever starts a first server without rights to `/run`."""
    (tmp_path / "file").write_text("")
    parts.document["server"]["run_dir"] = str(tmp_path / "file" / "run")
    with pytest.raises(ConfigError, match=r"set server\.run_dir"):
        parts.start("keeper")


def test_signals_cannot_be_heard_where_others_do(parts: Parts) -> None:
    """Then the keeper has not started at all: its other sockets are free."""
    parts.start("keeper")
    run_dir = whole_run_dir(parts.document)
    for name in ("keeper.sock", "admin.sock"):
        (run_dir / name).rename(run_dir / f"{name}.away")
    with pytest.raises(ConfigError, match=r"signals\.sock"):
        parts.start("keeper")
    assert not (run_dir / "admin.sock").exists()


def test_one_process_is_all_of_them(parts: Parts) -> None:
    """Without workers, with a state that ends with it."""
    parts.document["server"]["workers"] = 0
    parts.document["state"] = {"memory": True}
    with with_state_file(Settings.model_validate(parts.document)) as kept:
        assert kept.state is not None
        assert kept.state.path is not None
        server = Single(kept, SystemClock())
        server.start()
        assert server.receiver is not None
        assert server.application.is_answering(WITHIN)
        assert server.application.readiness.ready
        event = parts.transmitter.event(now=time.time(), payload={"event_timestamp": int(time.time())})
        assert push(server.receiver.address, event).status == 202
        mark = {"form": "subject", "issuer": ISSUER, "value": "somebody"}
        said = parts.ask_link(
            "admin.sock", op="restrict", kind="revoke", marks=[mark], effect="revoked", by="", reason=""
        )
        assert said["receipt"]["workers"] == said["receipt"]["of_workers"] == 1
        assert said["receipt"]["streams"] == ["ping"]
        server.stop()
    assert not kept.state.path.exists()


def test_one_process_without_a_state_has_no_keeper(parts: Parts) -> None:
    """And makes no folder for sockets."""
    for section in ("state", "signals"):
        del parts.document[section]
    parts.document["server"]["workers"] = 0
    with with_state_file(Settings.model_validate(parts.document)) as kept:
        server = Single(kept, SystemClock())
        server.start()
        server.stop()
    assert server.receiver is None
    assert not whole_run_dir(parts.document).exists()


def test_a_keeper_that_cannot_write_does_not_work(parts: Parts, tmp_path: Path) -> None:
    """It is replaced, since nothing that it is told would hold."""
    parts.start("keeper")
    (tmp_path / "state.db").unlink()
    seconds_of_patience(lambda: not parts.running["keeper"].check(WITHIN).works)
    health = parts.running["keeper"].check(WITHIN)
    assert (health.works, health.ready, bool(health.why_not)) == (False, False, True)
