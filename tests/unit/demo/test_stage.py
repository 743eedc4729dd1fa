"""Setting the stage, without starting what is on it."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from extauthz.config.load import load_settings
from extauthz.demo.stage import Ports, Script, Stage, find_root
from extauthz.demo.table import to_curl_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Set a stage and start nothing."""
    unused = Stage(Script(root=find_root(), folder=tmp_path))
    yield unused
    unused.issuer.stop()
    unused.upstream.stop()


def test_settings_are_the_example_on_this_run_s_ports(stage: Stage) -> None:
    """What `extauthz serve` gets are the example's settings, readable by us alone, with a fresh proxy token."""
    path = stage.folder / "settings.yaml"
    settings = load_settings(path)
    assert path.stat().st_mode & 0o077 == 0
    assert settings.issuers[0].issuer == stage.issuer.url
    assert settings.listeners[0].address == f"127.0.0.1:{stage.check_port}"
    token = settings.proxies[0].token
    assert token is not None
    assert token.get_secret_value() == stage.proxy_token


def test_proxy_token_is_not_in_the_bootstrap(stage: Stage) -> None:
    """Envoy takes its proof from the environment, so the file that people pass around holds no secret."""
    bootstrap = (stage.folder / "envoy-bootstrap.json").read_text()
    assert stage.proxy_token not in bootstrap
    assert "%ENVIRONMENT(EXTAUTHZ_PROXY_TOKEN)%" in bootstrap


def test_friendly_ports_give_way() -> None:
    """A friendly port that somebody else has is replaced by any free one."""
    before = Ports.friendly()
    with ExitStack() as taken:
        for port in (before.envoy, before.issuer):
            if port:
                with suppress(OSError):  # Somebody else has taken it by now, which comes to the same.
                    taken.enter_context(socket.create_server(("127.0.0.1", port)))
        assert (Ports.friendly().envoy, Ports.friendly().issuer) == (0, 0)


def test_commands_to_try_name_this_run(stage: Stage) -> None:
    """The printed commands reach this run's issuer and edge, and every line is a command or a comment."""
    lines = to_curl_lines(stage)
    assert all(
        line.startswith(("#", "curl ", "TOKEN=$(curl ", "tail ", f"{sys.executable} -m extauthz ")) for line in lines
    )
    assert sum(stage.issuer.url in line for line in lines) == 4
    assert any(line.startswith(f"curl -si {stage.edge.url}/v1/reports/q3") for line in lines)


def test_sockets_have_short_paths(tmp_path: Path) -> None:
    """A checkout far down in the file system has its sockets elsewhere, since their paths are bounded."""
    near, far = tmp_path / "near", tmp_path / ("far" * 40)
    folders = {}
    for folder in (near, far):
        unused = Stage(Script(root=find_root(), folder=folder))
        folders[folder] = unused.run_dir
        unused.issuer.stop()
        unused.upstream.stop()
    assert folders[near] == near / "run"
    assert len(str(folders[far])) < 60
