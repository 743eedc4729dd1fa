"""A whole server of several processes, with a policy, an issuer and records in a folder of the test."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.running import POLICY, seconds_of_patience, settings
from tests.simulators.grpc_client import Client, client
from tests.simulators.keyhost import KeyHost
from tests.simulators.tokens import TokenMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0


@dataclass
class Supervised:
    """A running server, and what to ask it with.

    Attributes:
        child: the supervisor.
        folder: of the test; `records-N.jsonl`, `run/` and the log are in it.
        maker: of the issuer's tokens.
        askers: a channel to each worker, in their order.
    """

    child: subprocess.Popen[bytes]
    folder: Path
    maker: TokenMaker
    askers: list[Client] = field(default_factory=list)

    @property
    def printed(self) -> str:
        """Return what all of its processes have printed."""
        return (self.folder / "log").read_text("utf-8", "replace")

    @property
    def addresses(self) -> list[str]:
        """Return where the workers listen, by the banner."""
        return re.findall(r"listening +(\S+) \(", self.printed)

    @property
    def metrics_address(self) -> str:
        """Return where the supervisor shows metrics."""
        found = re.search(r"http://(\S+)/metrics", self.printed)
        assert found, self.printed
        return found[1]

    def pid_of(self, name: str) -> int:
        """Return the process id of the last process of this name that was started."""
        return int(re.findall(rf"process started .*child={name} pid=(\d+)", self.printed)[-1])

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a page of the supervisor."""
        try:
            with urllib.request.urlopen(f"http://{self.metrics_address}{path}", timeout=SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def metric(self, sample: str) -> float:
        """Return the value of a sample; 0 when it is not there."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(f"{sample} ")]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0

    def is_up(self) -> bool:
        """Return whether all have started, or the server has given up."""
        return "  metrics " in self.printed or self.child.poll() is not None


@contextmanager
def supervised(folder: Path, *, policy: str = POLICY, program: str = "", **changes: Any) -> Iterator[Supervised]:
    """Yield a server of several processes that is up.

    Args:
        folder: empty, the test's own.
        policy: content of the policy file.
        program: module that children run instead of the product's.
        changes: to the settings, see `running.settings`.
    """
    maker = TokenMaker()
    (folder / "policy.yaml").write_text(policy)
    server = {"run_dir": str(folder / "run"), "workers": 2, **changes.pop("server", {})}
    with ExitStack() as undo:
        host = KeyHost(maker.jwks())
        undo.callback(host.stop)
        document = settings(folder, host.url, server=server, **changes)
        (folder / "settings.yaml").write_text(json.dumps(document))
        command = [sys.executable, "-m", "tests.simulators.quick_supervisor", str(folder / "settings.yaml")]
        with (folder / "log").open("wb") as log, (folder / "output").open("wb") as output:
            child = subprocess.Popen([*command, *([program] if program else [])], stdout=output, stderr=log)
        undo.callback(_end, child)
        server_under_test = Supervised(child, folder, maker)
        seconds_of_patience(server_under_test.is_up, SECONDS)
        for address in server_under_test.addresses:
            server_under_test.askers.append(undo.enter_context(client(address)))
        yield server_under_test


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    child.wait(SECONDS)


def is_running(pid: int) -> bool:
    """Return whether a process runs, a zombie counting as none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
