"""Who is started and stopped in which order, and what becomes of signals; children are simulated, signals are real."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.processes import ward
from extauthz.processes.supervisor import Supervisor
from extauthz.processes.ward import Pace
from tests.integration.running import seconds_of_patience
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACE = Pace(ping_every=0.05, patience=60, first_pause=0.05)
STREAM = {
    "name": "idp",
    "issuer": "https://idp.example",
    "keys": {"discovery": True},
    "audience": "us",
    "push": {"authorization_file": "secret"},
    "authority": {"issuers": [ISSUER], "events": ["session-revoked"]},
}


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """Leave the process as it was found."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def supervisor(behaviour: str = "good", **changes: Any) -> Supervisor:
    """Return a supervisor of a keeper, two workers and a receiver that all behave so."""
    document: dict[str, Any] = {
        "policy": [behaviour],
        "server": {"workers": 2},
        "state": {"path": "state.db"},
        "signals": {"streams": [STREAM]},
        "issuers": [{"issuer": ISSUER, "keys": {"file": "keys"}, "algorithms": ["ES256"]}],
        "telemetry": {"metrics": "127.0.0.1:0"},
        **changes,
    }
    made = Settings.model_validate(document)
    return Supervisor(made, SystemClock(), os.environ, pace=PACE, program="tests.simulators.child_program")


def told(supervised: Supervisor, meanwhile: Callable[[], object]) -> int:
    """Return the exit code of a run; `meanwhile` runs beside it, and then it is told to stop."""
    failed: list[BaseException] = []

    def tell() -> None:
        try:
            meanwhile()
        except BaseException as error:  # noqa: BLE001 — it is raised below, on the thread of the test
            failed.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    teller = threading.Thread(target=tell)
    teller.start()
    code = supervised.run()
    teller.join()
    for error in failed:
        raise error
    return code


def lines(text: str, word: str) -> list[str]:
    """Return the names after a word, in the order of their lines."""
    return [line.split()[1] for line in text.splitlines() if line.startswith(f"{word} ")]


def test_parts_end_in_order_and_files_are_looked_at_by_all(capfd: pytest.CaptureFixture[str]) -> None:
    """Workers use the receiver and the keeper, the receiver uses the keeper."""
    supervised = supervisor()
    printed: list[str] = []

    def reload() -> None:
        seconds_of_patience(lambda: supervised.readiness.ready and supervised._receivers[0].ready)
        os.kill(os.getpid(), signal.SIGHUP)

        def have_all_heard() -> bool:
            printed.append(capfd.readouterr().err)
            return len(lines("".join(printed), "reload")) == 4

        seconds_of_patience(have_all_heard)

    assert told(supervised, reload) == 0
    printed.append(capfd.readouterr().err)
    stopped = lines("".join(printed), "stop")
    assert sorted(stopped[:2]) == ["worker-0", "worker-1"]
    assert stopped[2:] == ["receiver", "keeper"]
    assert "worker-1)" in "".join(printed)


@pytest.mark.parametrize(("behaviour", "code"), [("broken", 2), ("failing", 1)])
def test_a_part_that_cannot_start_ends_the_start(behaviour: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its code where its settings are at fault; nobody is left."""
    monkeypatch.setattr(ward, "LAST_WORDS_SECONDS", 60.0)  # A crowded machine takes its time to end a process.
    supervised = supervisor(behaviour)
    assert supervised.run() == code
    assert all(ward.is_gone for ward in supervised._wards)


def test_a_start_can_be_broken_off() -> None:
    """By the same signals that stop a running server; SIGHUP is not one."""
    supervised = supervisor("late")

    def hang_up() -> None:
        seconds_of_patience(lambda: not supervised._keepers[0].is_gone)
        os.kill(os.getpid(), signal.SIGHUP)

    assert told(supervised, hang_up) == 0


def test_it_tells_who_is_ready_and_why_not(capfd: pytest.CaptureFixture[str]) -> None:
    """In one place for all of them; without a state and pushed streams there are only workers."""
    supervised = supervisor("unready", state=None, signals={})
    found: list[tuple[int, dict[str, Any]]] = []
    shown: list[str] = []

    def look() -> None:
        seconds_of_patience(lambda: all(ward.metrics for ward in supervised._wards))
        address = capfd.readouterr().err.rpartition("http://")[2].partition("/")[0]
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{address}/readyz", timeout=10)
        with refused.value as answer:
            found.append((answer.code, json.loads(answer.read())))
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            shown.append(answer.read().decode())

    assert told(supervised, look) == 0
    assert found[0][0] == 503
    assert found[0][1]["why_not"] == "worker-0: no policy; worker-1: no policy"
    assert 'extauthz_process_up{process="worker-0"} 1.0' in shown[0]
    assert 'extauthz_process_ready{process="worker-0"} 0.0' in shown[0]
    assert 'extauthz_process_restarts_total{process="worker-1",why="late"} 0.0' in shown[0]
    assert "pongs " in shown[0]
    assert [ward.name for ward in supervised._wards] == ["worker-0", "worker-1"]


def test_metrics_can_be_off() -> None:
    """Then nothing listens for them."""
    supervised = supervisor(telemetry={"metrics": None}, state=None, signals={}, server={"workers": 1})
    assert told(supervised, lambda: seconds_of_patience(lambda: supervised.readiness.ready)) == 0


def test_settings_by_which_parts_would_meet_are_refused_at_once() -> None:
    """Nothing was started."""
    with pytest.raises(ConfigError, match="two parts"):
        supervisor(telemetry={"metrics": "127.0.0.1:9192"})


def test_the_receiver_learns_no_secret() -> None:
    """It is the part that the network reaches."""
    proxies = [{"name": "edge", "token": "s3cr3t-s3cr3t-s3cr3t"}]
    supervised = supervisor(proxies=proxies)
    (ward,) = supervised._receivers
    known = ward._handover.settings
    assert (known.proxies, known.state, known.issuers) == ((), None, ())
    assert known.signals.streams[0].name == "idp"
    workers = [each._handover for each in supervised._workers]
    assert workers[0].settings.proxies
    assert workers[0].nonce_secret == workers[1].nonce_secret != ward._handover.nonce_secret == b""
    supervised.close()
