"""A whole server on the native engine, beside the same one on grpcio."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.server.app import build
from extauthz.server.native_engine import NativeEngine
from extauthz.server.probe import find_health
from tests.integration.running import PATIENCE, POLICY, running, settings
from tests.simulators.envoy_messages import check_request
from tests.simulators.grpc_client import TOKEN, client, outcome_of
from tests.simulators.keyhost import KeyHost
from tests.simulators.tokens import TokenMaker

if TYPE_CHECKING:
    from pathlib import Path

PING = check_request(path="/ping")
ALLOWED = (200, "allowed")
ENGINES = ("grpcio", "native")
QUESTIONS = {
    "ping": (PING, TOKEN),
    "empty": (b"", TOKEN),
    "zero": (b"\x00", TOKEN),
    "malformed": (b"\xff\xff\xff", TOKEN),
    "text": (b"{}", TOKEN),
    "5 MiB": (b"x" * (5 << 20), TOKEN),
    "5 MiB of a question": (PING + b"\x00" * (5 << 20), TOKEN),
    "no token": (PING, None),
    "wrong token": (PING, "wrong-wrong-wrong-wrong"),
    "nobody, 5 MiB": (b"x" * (5 << 20), None),
    "no credentials": (check_request(path="/things/7"), TOKEN),
    "nonsense credentials": (check_request(path="/things/7", headers={"authorization": "Bearer x"}), TOKEN),
    "no resource": (check_request(path="/elsewhere"), TOKEN),
    "other host": (check_request(path="/ping", host="api.example.org"), TOKEN),
}


def test_both_engines_give_the_same_answers(tmp_path: Path) -> None:
    """To the good, the malformed, the huge and the nameless; each is a decision, and few of them are alike."""
    found = {}
    for engine in ENGINES:
        (folder := tmp_path / engine).mkdir()
        with running(folder, server={"engine": engine}) as server:
            assert server.application._parts.engine.name == engine
            found[engine] = {
                name: outcome_of(server.asker.ask(raw, token=token)) for name, (raw, token) in QUESTIONS.items()
            }
    assert found["grpcio"] == found["native"]
    assert found["native"]["ping"] == ALLOWED
    assert found["native"]["5 MiB"][0] == 413
    assert found["native"]["no token"] == (503, "proxy_unauthenticated")
    assert [outcome for outcome in found["native"].values() if outcome == ALLOWED] == [ALLOWED]


@pytest.mark.parametrize("engine", ENGINES)
def test_it_says_which_engine_runs(tmp_path: Path, engine: str) -> None:
    """In what the banner is made of, and in the metrics."""
    with running(tmp_path, server={"engine": engine}) as server:
        assert server.application.serving.engine == engine
        with urllib.request.urlopen(f"http://{server.application.metrics_address}/metrics") as page:
            assert f'extauthz_engine_info{{engine="{engine}"}} 1.0' in page.read().decode()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_socket_left_over_is_replaced_and_gets_its_permissions(tmp_path: Path, engine: str) -> None:
    """After a crash the server starts again; when it stops, the socket goes with it."""
    path = tmp_path / "check.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listeners = [{"address": f"unix:{path}", "socket_mode": 0o620}]
    with running(tmp_path, listeners=listeners, server={"engine": engine}) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o620
        assert outcome_of(server.asker.ask(PING)) == ALLOWED
    assert not path.exists()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("kind", "message"), [("live", "another process listens on it"), ("file", "something that is not a socket")]
)
def test_a_path_in_use_is_left_alone(tmp_path: Path, engine: str, kind: str, message: str) -> None:
    """A live server's socket, and a file: neither is replaced, although the native transport would."""
    path = tmp_path / "check.sock"
    (tmp_path / "policy.yaml").write_text(POLICY)
    wanted = settings(
        tmp_path, "http://127.0.0.1:1/", listeners=[{"address": f"unix:{path}"}], server={"engine": engine}
    )
    with socket.socket(socket.AF_UNIX) as live:
        if kind == "live":
            live.bind(str(path))
            live.listen()
        else:
            path.write_text("precious")
        with pytest.raises(ConfigError, match=message):
            build(Settings.model_validate(wanted)).start()
        assert path.exists()


def test_the_socket_of_health_is_private_and_goes_with_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else can open its folder; nothing is left behind."""
    (private := tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    with running(tmp_path, server={"engine": "native"}) as server:
        (folder,) = private.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert find_health(server.application.addresses[0], PATIENCE) == "SERVING"
    assert list(private.iterdir()) == []


def test_two_listeners_are_served_side_by_side(tmp_path: Path) -> None:
    """Each with its own loop; only the socket proves the sidecar."""
    listeners = [{"address": f"unix:{tmp_path}/check.sock"}, {"address": "127.0.0.1:0"}]
    proxies = [{"name": "sidecar", "unix_socket": True}, {"name": "edge", "token": TOKEN}]
    with (
        running(tmp_path, listeners=listeners, proxies=proxies, server={"engine": "native"}) as server,
        client(server.application.addresses[1]) as other,
    ):
        assert outcome_of(server.asker.ask(PING, token=None)) == ALLOWED
        assert outcome_of(other.ask(PING)) == ALLOWED
        assert outcome_of(other.ask(PING, token=None)) == (503, "proxy_unauthenticated")


def test_without_a_place_for_the_private_socket_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder went away after the engine was chosen: a problem with a fix, and no listener is left."""
    (private := tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(private))
    (tmp_path / "policy.yaml").write_text(POLICY)
    listeners = [{"address": f"unix:{tmp_path}/check.sock"}]
    wanted = settings(tmp_path, "http://127.0.0.1:1/", listeners=listeners, server={"engine": "native"})
    application = build(Settings.model_validate(wanted))
    private.rmdir()
    with pytest.raises(ConfigError, match="no place for a private socket") as caught:
        application.start()
    assert "TMPDIR" in str(caught.value.problems[0].fix)
    assert not (tmp_path / "check.sock").exists()


def test_the_death_of_a_loop_is_told_after_the_records_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the process does then is given from outside."""
    monkeypatch.setattr("extauthz.server.app.LAST_RECORDS_SECONDS", PATIENCE)
    (tmp_path / "policy.yaml").write_text(POLICY)
    host, deaths = KeyHost(TokenMaker().jwks()), []

    def note() -> None:
        deaths.append((tmp_path / "records.jsonl").read_text().count("allowed"))

    wanted = settings(tmp_path, host.url, server={"engine": "native"})
    application = build(Settings.model_validate(wanted), on_death=note)
    application.start()
    with client(application.addresses[0]) as asker:
        assert outcome_of(asker.ask(PING)) == ALLOWED
    engine = application._parts.engine
    assert isinstance(engine, NativeEngine)
    engine._fronts[0].close()
    engine._loops[0]._thread.join(PATIENCE)
    application.stop()
    host.stop()
    assert len(deaths) == 1
    assert deaths[0] >= 1


DIE = """\
import json, sys
from extauthz.config.settings import Settings
from extauthz.server import app
from tests.integration.test_native import PING
from tests.simulators.grpc_client import client, outcome_of

app.LAST_RECORDS_SECONDS = 60
application = app.build(Settings.model_validate(json.load(open(sys.argv[1]))))
application.start()
with client(application.addresses[0]) as asker:
    assert outcome_of(asker.ask(PING)) == (200, "allowed")
    application._parts.engine._fronts[0].close()
    application._parts.engine._loops[0]._thread.join()
"""


def test_the_loops_death_is_the_process_death(tmp_path: Path) -> None:
    """The process ends by itself, not with success, and what it had decided is on record."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    host = KeyHost(TokenMaker().jwks())
    wanted = settings(tmp_path, host.url, server={"engine": "native"})
    (tmp_path / "settings.json").write_text(json.dumps(wanted))
    done = subprocess.run(
        [sys.executable, "-c", DIE, str(tmp_path / "settings.json")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    host.stop()
    assert done.returncode == 70, done.stderr
    assert "questions can no longer be answered" in done.stdout + done.stderr
    (record,) = (tmp_path / "records.jsonl").read_text().splitlines()
    assert json.loads(record)["reason"] == "allowed"
