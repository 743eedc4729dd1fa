"""Which engine serves, and what is said about it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from extauthz.clock import SystemClock
from extauthz.config.settings import Settings
from extauthz.errors import ConfigError
from extauthz.server import native_engine
from extauthz.server.engines import PINNED, make_engine
from extauthz.server.proxies import ProxyRegistry
from tests.simulators.checker import ScriptedChecker

if TYPE_CHECKING:
    from collections.abc import Callable

LOCAL = [{"address": "127.0.0.1:0"}, {"address": "[::1]:0"}, {"address": "unix:/run/x.sock"}]
TLS = [{"address": "127.0.0.1:0"}, {"address": "127.0.0.1:0", "tls": {"certificate": "c", "key": "k"}}]
BEYOND = [{"address": "0.0.0.0:9191"}]


def chosen(
    engine: str, listeners: list[dict[str, Any]], load: Callable[[], Any] | None = None
) -> tuple[str, str, dict[str, Any]]:
    """Return the name of the engine, the level of the log line about it, and the line."""
    settings = Settings.model_validate(
        {
            "policy": ["p"],
            "listeners": listeners,
            "server": {"engine": engine},
            "insecure": {"plaintext_beyond_loopback": True},
        }
    )
    with capture_logs() as logs:
        made = make_engine(
            ScriptedChecker(), ProxyRegistry(settings), settings, SystemClock(), on_death=pytest.fail, load=load
        )
    made.stop(0)
    (line,) = [dict(line) for line in logs if line["event"] == "engine chosen"]
    return made.name, str(line["log_level"]), line


def absent() -> Any:
    """Fail as an import does without the extra."""
    raise ModuleNotFoundError(name="pygrpc_native")


def broken() -> Any:
    """Fail as the import of a damaged package does."""
    message = "bad ELF header"
    raise ImportError(message)


def incomplete() -> Any:
    """Fail as a package does that lacks something of its own."""
    raise ModuleNotFoundError(name="pygrpc_native._native")


def other_version() -> Any:
    """Return the module with another version of the package."""
    return SimpleNamespace(INSTALLED="0.6.0", NativeEngine=native_engine.NativeEngine)


def test_auto_takes_native_where_everything_is_local() -> None:
    """Loopback and Unix sockets without TLS."""
    name, level, line = chosen("auto", LOCAL)
    assert (name, level, line["because"]) == ("native", "info", "it is installed and every listener is local")


@pytest.mark.parametrize(("listeners", "why"), [(TLS, "has TLS"), (BEYOND, "on an address others reach")])
def test_auto_takes_grpcio_where_native_does_not_fit(listeners: list[dict[str, Any]], why: str) -> None:
    """Quietly: that is the plan. One listener that does not fit is enough."""
    name, level, line = chosen("auto", listeners)
    assert (name, level) == ("grpcio", "info")
    assert why in line["because"]


def test_auto_takes_grpcio_quietly_where_native_is_not_installed() -> None:
    """It is an extra; the line says how to get it."""
    name, level, line = chosen("auto", LOCAL, absent)
    assert (name, level, line["fix"]) == ("grpcio", "info", "pip install 'extauthz[native]'")


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (broken, "cannot be loaded (ImportError)"),
        (incomplete, "cannot be loaded (ModuleNotFoundError)"),
        (other_version, "pygrpc-native 0.6.0 is installed"),
    ],
)
def test_auto_goes_back_to_grpcio_loudly_where_something_is_wrong(load: Callable[[], Any], why: str) -> None:
    """Serving goes on, and an error in the log tells what to mend."""
    name, level, line = chosen("auto", LOCAL, load)
    assert (name, level) == ("grpcio", "error")
    assert why in line["because"]
    assert PINNED in line["fix"]


@pytest.mark.parametrize(
    ("listeners", "load", "message"),
    [
        (TLS, None, "listener 127.0.0.1:0 has TLS"),
        (BEYOND, None, r"listener 0\.0\.0\.0:9191 is plaintext on an address others reach"),
        (LOCAL, absent, "pygrpc-native is not installed"),
        (LOCAL, broken, "it cannot be loaded"),
        (LOCAL, other_version, "pygrpc-native 0.6.0 is installed"),
    ],
)
def test_native_that_cannot_serve_refuses_to_start(
    listeners: list[dict[str, Any]], load: Callable[[], Any] | None, message: str
) -> None:
    """Who asks for it by name gets it, or a problem with a fix; `insecure` does not open it to other machines."""
    with pytest.raises(ConfigError, match=message) as caught:
        chosen("native", listeners, load)
    assert caught.value.problems[0].fix


def test_the_settings_can_name_either() -> None:
    """`grpcio` is the way out: the native package is not even loaded."""
    assert chosen("native", LOCAL)[0] == "native"
    name, level, _ = chosen("grpcio", LOCAL, pytest.fail)
    assert (name, level) == ("grpcio", "info")


@pytest.mark.parametrize("folder", ["/nowhere-at-all", "long"])
def test_without_a_place_for_its_private_socket_native_does_not_serve(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder that can be written, or one whose path leaves no room."""
    if folder == "long":
        (long := tmp_path / ("x" * 80)).mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(long))
    else:

        def nothing() -> str:
            raise FileNotFoundError

        monkeypatch.setattr("tempfile.gettempdir", nothing)
    name, level, line = chosen("auto", LOCAL)
    assert (name, level) == ("grpcio", "error")
    assert "folder for temporary files" in line["because"]


def test_the_extra_pins_the_version_that_is_accepted() -> None:
    """So that installing the extra gives a package that serves."""
    project = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text("utf-8"))["project"]
    assert project["optional-dependencies"]["native"] == [f"pygrpc-native=={PINNED}"]
    assert native_engine.INSTALLED == PINNED
