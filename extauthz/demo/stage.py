"""Everything the tour needs, started in order and ended in reverse: issuer, upstream, `extauthz serve`, Envoy."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import yaml

from extauthz.clock import SystemClock
from extauthz.demo.ask import Edge
from extauthz.demo.bootstrap import Places, find_ext_authz
from extauthz.demo.certificates import make_certificates
from extauthz.demo.child import Child
from extauthz.demo.envoy import Envoy
from extauthz.demo.issuer import Issuer
from extauthz.demo.transmitter import Transmitter
from extauthz.demo.upstream import Upstream
from extauthz.server.probe import find_health

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_LEFTOVERS: Final = (
    "records.jsonl",
    "records.jsonl.actions",
    "access.log",
    "extauthz.log",
    "envoy.log",
    *(f"state.db{end}" for end in ("", "-wal", "-shm", ".key")),
)
"""Files of an earlier run."""

_LONGEST_RUN_DIR: Final = 80
"""Bytes; a Unix socket's whole path has at most 107 (`unix(7)`)."""

_START_SECONDS: Final = 60.0
_PROBE_SECONDS: Final = 1.0

_DEADLINE: Final = 2.0
"""Seconds for a decision: a whole mesh shares one machine here, and an issuer that gets no processor for a while must
not look like one that is down."""

_ENVOYS_PATIENCE: Final = 10.0
"""Seconds for an answer, by the same reasoning: what is late would be let through by an Envoy that fails open."""

_PORTS: Final = range(11_000, 20_000)
"""Where free ports are looked for: below those that the system gives to clients, and to whoever asks for any port."""

_next_ports = count(os.getpid() * 199)
"""Where to look next. Each port is given once, since it stays free until its user takes it; and another process begins
elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where everything listens on loopback; 0 is any free port."""

    envoy: int = 0
    admin: int = 0
    extauthz: int = 0
    metrics: int = 0
    upstream: int = 0
    issuer: int = 0

    @classmethod
    def friendly(cls) -> Ports:
        """Return the ports of the files in `envoy/` and `examples/demo/`, where they are free."""
        wanted = {"envoy": 10000, "admin": 9901, "extauthz": 9191, "metrics": 9464, "upstream": 9080, "issuer": 9000}
        return cls(**{name: port if _is_free(port) else 0 for name, port in wanted.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """How to set the stage.

    Attributes:
        root: folder with `envoy/` and `examples/demo/`.
        folder: where logs, records and generated files go.
        envoy_file: name of a file in `envoy/`, without `.yaml`.
        ports: where things listen.
        binary: another Envoy than the installed one.
        engine: which gRPC engine serves, as in the settings.
        change_settings: a last word on the settings of `extauthz serve`, in place.
        change_bootstrap: a last word on Envoy's bootstrap, in place.
        signals: whether extauthz hears security events of the issuer's.
        ready: whether to wait until extauthz says that it serves, or only until it answers.
    """

    root: Path
    folder: Path
    envoy_file: str = "minimal"
    ports: Ports = field(default_factory=Ports)
    binary: Path | None = None
    engine: str = "auto"
    change_settings: Callable[[dict[str, Any]], object] = lambda _settings: None
    change_bootstrap: Callable[[dict[str, Any]], object] = lambda _bootstrap: None
    signals: bool = False
    ready: bool = True


def find_root() -> Path:
    """Return the checkout that this package runs from.

    Raises:
        FileNotFoundError: the package runs without its checkout; the message says what to do.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "envoy" / "minimal.yaml").is_file():
        message = "the demo needs the files in envoy/ and examples/: run it from a checkout of the repository"
        raise FileNotFoundError(message)
    return root


class Stage:
    """The running demo.

    Args:
        script: how to set it.

    Attributes:
        issuer: the running issuer.
        upstream: the running upstream.
        extauthz: the `extauthz serve` process.
        envoy: the running Envoy.
        edge: where to send requests; set once Envoy runs.
        check_port: where extauthz listens for Envoy.
        metrics_port: where extauthz shows its metrics.
        run_dir: where the running extauthz is asked for things by its commands.
        transmitter: sends security events to extauthz, where the script has it hear them.
        records: the file of decision records.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.folder = script.folder
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in _LEFTOVERS:
            (self.folder / leftover).unlink(missing_ok=True)
        self.records = self.folder / "records.jsonl"
        self.proxy_token = secrets.token_urlsafe(24)
        self.issuer = Issuer(port=script.ports.issuer)
        self.upstream = Upstream(port=script.ports.upstream)
        self.check_port = script.ports.extauthz or find_free_port()
        self.metrics_port = script.ports.metrics or find_free_port()
        self.run_dir = _to_run_dir(self.folder)
        self.transmitter = Transmitter(self.issuer, self.folder, find_free_port())
        self.extauthz = self._to_server()
        self.tls = make_certificates(self.folder / "tls", SystemClock().now())
        places = Places(
            listener=script.ports.envoy,
            admin=script.ports.admin,
            clusters={"extauthz": self.check_port, "upstream": self.upstream.port},
            access_log=self.folder / "access.log",
            tls=self.tls.folder,
        )
        self.envoy = Envoy(
            script.root / "envoy" / f"{script.envoy_file}.yaml",
            self.folder,
            places,
            proxy_token=self.proxy_token,
            binary=script.binary,
            change=self._change_bootstrap,
        )
        self.edge = Edge(0)
        self._running = ExitStack()

    def start(self) -> None:
        """Start everything.

        Raises:
            ChildFailedError: a process did not start; the others have been ended.
        """
        with ExitStack() as starting:
            self.issuer.start()
            starting.callback(self.issuer.stop)
            self.upstream.start()
            starting.callback(self.upstream.stop)
            self.extauthz.start(self._is_up, _START_SECONDS)
            starting.callback(self.extauthz.stop)
            self.envoy.start()
            starting.callback(self.envoy.stop)
            self.edge = Edge(self.envoy.port, self.tls if self.envoy.tls else None)
            self._running = starting.pop_all()

    def stop(self) -> None:
        """End everything, last started first."""
        self._running.close()
        if self.run_dir.parent != self.folder:
            shutil.rmtree(self.run_dir, ignore_errors=True)

    def _is_up(self) -> bool:
        found = find_health(f"127.0.0.1:{self.check_port}", _PROBE_SECONDS)
        return found == "SERVING" or (found != "UNREACHABLE" and not self.script.ready)

    def _change_bootstrap(self, bootstrap: dict[str, Any]) -> None:
        find_ext_authz(bootstrap)["grpc_service"]["timeout"] = f"{_ENVOYS_PATIENCE}s"
        self.script.change_bootstrap(bootstrap)

    def _to_server(self) -> Child:
        example = self.script.root / "examples" / "demo"
        settings = yaml.safe_load((example / "settings.yaml").read_text("utf-8"))
        settings["policy"] = [str(example / "policy.yaml")]
        settings["listeners"] = [{"address": f"127.0.0.1:{self.check_port}"}]
        settings["proxies"][0]["token"] = self.proxy_token
        settings["issuers"][0]["issuer"] = self.issuer.url
        settings["profiles"]["default"]["issuers"] = [self.issuer.url]
        settings["records"]["path"] = str(self.records)
        settings["telemetry"]["metrics"] = f"127.0.0.1:{self.metrics_port}"
        settings["state"] = {"path": str(self.folder / "state.db")}
        if self.script.signals:
            settings["signals"] = self.transmitter.to_settings()
        settings["server"] = {"engine": self.script.engine, "run_dir": str(self.run_dir), "deadline": _DEADLINE}
        self.script.change_settings(settings)
        path = self.folder / "settings.yaml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")
        command = [sys.executable, "-m", "extauthz", "serve", "--config", str(path)]
        # Settings in the environment are for another server than the demo's.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EXTAUTHZ_")}
        # From the checkout, so that this package is the one that runs, installed or not.
        return Child("extauthz serve", command, self.folder / "extauthz.log", environment, folder=self.script.root)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _to_run_dir(folder: Path) -> Path:
    """Return where sockets go: in `folder`, or in one with a short name where theirs would be too long."""
    inside = folder / "run"
    if len(os.fsencode(inside)) <= _LONGEST_RUN_DIR:
        return inside
    return Path(tempfile.gettempdir()) / f"extauthz-{secrets.token_hex(8)}"


def find_free_port() -> int:
    """Return a loopback port that is free now, and was not given to anybody else in this process.

    Raises:
        OSError: there is none.
    """
    for number in islice(_next_ports, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        if _is_free(port):
            return port
    message = "no port is free"
    raise OSError(message)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
