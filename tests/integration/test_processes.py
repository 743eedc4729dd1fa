"""A server of several processes: who is lost is replaced, others go on, and all end in order. Real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from extauthz.server.probe import find_health
from tests.integration.running import POLICY, seconds_of_patience, settings
from tests.integration.supervised import SECONDS, Supervised, is_running, supervised
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import client, outcome_of
from tests.simulators.held_keeper import HOLD

if TYPE_CHECKING:
    from collections.abc import Iterator

PING = check_request(path="/ping")
ALLOWED = (200, "allowed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    """Return one server for those tests that leave it as it was."""
    with supervised(tmp_path_factory.mktemp("server")) as running:
        yield running


def ask(server: Supervised, worker: int) -> tuple[int, str]:
    """Return what a worker answers."""
    return outcome_of(server.askers[worker].ask(PING))


def answers_with(server: Supervised, worker: int, expected: tuple[int, str]) -> bool:
    """Return whether a worker answers so."""
    return ask(server, worker) == expected


def ends_its_lines(file: Path) -> bool:
    """Return whether a file has lines, and the last is whole."""
    return file.read_text().endswith("\n")


def test_each_worker_answers_at_an_endpoint_of_its_own(server: Supervised) -> None:
    """And is recorded in a file of its own."""
    assert len(set(server.addresses)) == 2
    assert [ask(server, worker) for worker in (0, 1)] == [ALLOWED, ALLOWED]
    for worker in (0, 1):
        records = server.folder / f"records-{worker}.jsonl"
        seconds_of_patience(partial(ends_its_lines, records))
        assert all(json.loads(line)["outcome"] == "allow" for line in records.read_text().splitlines())
    assert not (server.folder / "records.jsonl").exists()


def test_the_supervisor_tells_how_its_processes_are(server: Supervised) -> None:
    """Alive and ready are two questions."""
    assert server.get("/livez") == (200, "alive\n")
    seconds_of_patience(lambda: server.get("/readyz")[0] == 200)
    for worker in ("worker-0", "worker-1"):
        assert server.metric(f'extauthz_process_up{{process="{worker}"}}') == 1
        # One that is ready makes the server so.
        seconds_of_patience(partial(server.metric, f'extauthz_process_ready{{process="{worker}"}}'))


def test_secrets_are_on_no_command_line_and_in_no_environment(server: Supervised) -> None:
    """Both can be read by others on the machine."""
    token = json.loads((server.folder / "settings.yaml").read_text())["proxies"][0]["token"]
    for name in ("worker-0", "worker-1"):
        for file in ("cmdline", "environ"):
            assert token.encode() not in Path(f"/proc/{server.pid_of(name)}/{file}").read_bytes()


def test_a_killed_worker_is_replaced_at_its_address_while_the_others_serve(server: Supervised) -> None:
    """Its port was chosen by the system, and is kept."""
    before = server.pid_of("worker-0")
    os.kill(before, signal.SIGKILL)
    assert ask(server, 1) == ALLOWED
    seconds_of_patience(lambda: server.pid_of("worker-0") != before)
    assert ask(server, 1) == ALLOWED
    seconds_of_patience(lambda: find_health(server.addresses[0], SECONDS) == "SERVING")
    assert server.metric('extauthz_process_restarts_total{process="worker-0",why="ended"}') >= 1
    assert server.metric('extauthz_process_restarts_total{process="worker-1",why="ended"}') == 0


def test_a_stuck_worker_is_killed_and_replaced(server: Supervised) -> None:
    """Stopped, it looks alive: its socket accepts, and nobody answers."""
    seconds_of_patience(lambda: server.metric('extauthz_process_ready{process="worker-1"}') == 1)
    stuck = server.pid_of("worker-1")
    os.kill(stuck, signal.SIGSTOP)
    seconds_of_patience(lambda: server.pid_of("worker-1") != stuck)
    assert not is_running(stuck)
    seconds_of_patience(lambda: find_health(server.addresses[1], SECONDS) == "SERVING")
    assert server.metric('extauthz_process_restarts_total{process="worker-1",why="unanswered"}') >= 1


@pytest.mark.parametrize("engine", ["native", pytest.param("grpcio", marks=pytest.mark.long)])
def test_a_worker_whose_deciding_threads_hang_is_replaced(tmp_path: Path, engine: str) -> None:
    """Its process answers, and so does its health; nobody decides any more."""
    changes = {"engine": engine, "workers": 1, "threads": 2, "fetch_slots": 1}
    with supervised(tmp_path, program="tests.simulators.stuck_worker", server=changes) as server:
        assert ask(server, 0) == ALLOWED
        stuck = server.pid_of("worker-0")
        waiting = [server.askers[0].ask_soon(check_request(path="/stuck")) for _ in range(2)]
        seconds_of_patience(lambda: server.pid_of("worker-0") != stuck)
        seconds_of_patience(lambda: find_health(server.addresses[0], SECONDS) == "SERVING")
        with client(server.addresses[0]) as asker:  # The other one may not have noticed yet that somebody is there.
            assert outcome_of(asker.ask(PING)) == ALLOWED
        assert server.metric('extauthz_process_restarts_total{process="worker-0",why="unanswered"}') >= 1
        assert len(waiting) == 2  # A call that nobody holds any more would have been taken back.


def test_without_a_keeper_workers_decide_until_what_they_know_is_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then they refuse and say that they do not serve, and go on by themselves when a keeper is back."""
    monkeypatch.setenv(HOLD, str(away := tmp_path / "away"))
    state = {"path": str(tmp_path / "state.db"), "max_staleness": 6}
    with supervised(tmp_path, program="tests.simulators.held_keeper", state=state) as server:
        token = server.maker.mint(now=time.time())
        question = check_request(path="/things/7", headers={"authorization": f"Bearer {token}"})

        def answers() -> set[tuple[int, str]]:
            return {outcome_of(asker.ask(question)) for asker in server.askers}

        workers = [server.pid_of(f"worker-{worker}") for worker in (0, 1)]
        seconds_of_patience(lambda: answers() == {ALLOWED})
        away.touch()  # Until all has been seen no other keeper takes the place of the one that is stopped.
        stuck = server.pid_of("keeper")
        os.kill(stuck, signal.SIGSTOP)
        assert answers() == {ALLOWED}
        seconds_of_patience(lambda: answers() == {(503, "state_stale")})
        seconds_of_patience(lambda: server.get("/readyz")[0] == 503)
        assert server.get("/livez") == (200, "alive\n")
        seconds_of_patience(lambda: find_health(server.addresses[0], SECONDS) == "NOT_SERVING")
        away.unlink()
        seconds_of_patience(lambda: answers() == {ALLOWED})
        seconds_of_patience(lambda: find_health(server.addresses[0], SECONDS) == "SERVING")
        assert server.pid_of("keeper") != stuck
        assert [server.pid_of(f"worker-{worker}") for worker in (0, 1)] == workers
        assert server.metric('extauthz_process_restarts_total{process="keeper",why="unanswered"}') >= 1
        seconds_of_patience(lambda: "extauthz_state_beat_age_seconds " in server.get("/metrics")[1])


def test_files_are_looked_at_by_all_when_the_supervisor_is_told(tmp_path: Path) -> None:
    """SIGHUP is passed on; afterwards a drain ends everybody, and what waited is answered and recorded."""
    with supervised(tmp_path, policy_reload=0) as server:
        (tmp_path / "policy.yaml").write_text(POLICY.replace("/ping", "/pong"))
        server.child.send_signal(signal.SIGHUP)
        for worker in (0, 1):
            seconds_of_patience(partial(answers_with, server, worker, (403, "no_resource")))
        pids = [server.pid_of(f"worker-{worker}") for worker in (0, 1)]
        answer = server.askers[0].ask(PING).dynamic_metadata.fields["decision_id"].string_value
        server.child.send_signal(signal.SIGTERM)
        assert server.child.wait(SECONDS) == 0
        assert not any(is_running(pid) for pid in pids)
        assert answer in (tmp_path / "records-0.jsonl").read_text()
        with pytest.raises(grpc.RpcError):
            server.askers[0].ask(PING, seconds=1)


def test_nothing_outlives_a_killed_supervisor_not_even_what_is_stuck(tmp_path: Path) -> None:
    """Without anybody to look after it, a worker would serve old policy for ever."""
    with supervised(tmp_path) as server:
        pids = [server.pid_of(f"worker-{worker}") for worker in (0, 1)]
        os.kill(pids[1], signal.SIGSTOP)
        server.child.kill()
        seconds_of_patience(lambda: not any(is_running(pid) for pid in pids))


def test_a_second_signal_ends_everything_at_once(tmp_path: Path) -> None:
    """However long the drain would take; a worker that hangs is no exception."""
    with supervised(tmp_path, server={"drain": 60}) as server:
        pids = [server.pid_of(f"worker-{worker}") for worker in (0, 1)]
        os.kill(pids[0], signal.SIGSTOP)
        server.child.send_signal(signal.SIGTERM)
        seconds_of_patience(lambda: "stopping" in server.printed)
        server.child.send_signal(signal.SIGTERM)
        assert server.child.wait(SECONDS) == -signal.SIGTERM
        seconds_of_patience(lambda: not any(is_running(pid) for pid in pids))


@contextmanager
def free_and_taken() -> Iterator[int]:
    """Yield a port that a worker can listen on, and nobody else is given; on the next one somebody listens."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket() as reserved:
            port = taken.getsockname()[1] - 1
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                reserved.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield port
            return


def test_what_one_worker_cannot_serve_ends_the_start(tmp_path: Path) -> None:
    """A taken port is told by its address, with the exit code for settings, and nobody is left."""
    with free_and_taken() as port:
        listeners = [{"address": f"127.0.0.1:{port}"}]
        with supervised(tmp_path, listeners=listeners) as server:
            assert server.child.wait(SECONDS) == 2
            assert f"127.0.0.1:{port + 1}" in server.printed
            assert "cannot listen" in server.printed
            assert not is_running(server.pid_of("worker-0"))


def test_serve_overrides_the_number_of_workers(tmp_path: Path) -> None:
    """`--workers` wins over the settings; endpoints that would meet are told before anything starts."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    listeners = [{"address": "127.0.0.1:7001"}, {"address": "127.0.0.1:7002"}]
    document = settings(tmp_path, "http://127.0.0.1:1/", listeners=listeners)
    (tmp_path / "settings.yaml").write_text(json.dumps(document))
    command = [sys.executable, "-m", "extauthz", "serve", "--config", str(tmp_path / "settings.yaml"), "--workers", "2"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "two parts of the server would listen on it" in ended.stderr


def test_a_supervisor_loads_no_grpc() -> None:
    """It must not be what fails, and never forks with threads of gRPC."""
    code = "import sys, extauthz.processes.supervisor; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=SECONDS, check=False).returncode == 0
