"""Headers that Envoy hides from extauthz (`allowed_headers`, `disallowed_headers`), and `shows_all_headers`.

The stage says `shows_all_headers: true`, as the files in `envoy/` hide nothing: what must not go on there is tested all
over this folder. Here Envoy hides headers, or is asked what it shows.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.demo.ask import Edge
from extauthz.demo.bootstrap import Places, find_connection_manager, find_ext_authz
from extauthz.demo.envoy import Envoy
from extauthz.demo.stage import Script, Stage
from extauthz.demo.tour import REPORT
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.request.decode import decode
from tests.e2e.asks import OTHER_CREDENTIALS, lines_of, with_token
from tests.e2e.conftest import ROOT
from tests.e2e.other_authorizer import authorizer
from tests.e2e.test_versions import VERSIONS, binary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.demo.ask import Answer

pytestmark = pytest.mark.envoy

FORGED = (
    *((name, value) for name, value in OTHER_CREDENTIALS if name != "impersonate-extra-scopes"),
    *((name, "root") for name in ("x_extauthz_subject", "x-extauthz_actor", "x-extauthz-actor", "x_extauthz_tenant")),
)
"""What nobody may send on. Families without end, like that of `impersonate-extra-`, are removed only where seen."""

HIDING = {"disallowed_headers": {"patterns": [{"exact": name} for name, _ in FORGED]}}
SHOWING_ONE = {"allowed_headers": {"patterns": [{"exact": "authorization"}]}}


@contextmanager
def staged(folder: Path, hiding: dict[str, Any], *, said_to_show_all: bool) -> Iterator[Stage]:
    """Run everything behind an Envoy that hides headers."""

    def change(settings: dict[str, Any]) -> None:
        settings["proxies"][0]["shows_all_headers"] = said_to_show_all

    script = Script(
        root=ROOT,
        folder=folder,
        change_bootstrap=lambda bootstrap: find_ext_authz(bootstrap).update(hiding),
        change_settings=change,
    )
    with Stage(script) as stage:
        yield stage


def forge(stage: Stage) -> Answer:
    """Send a permitted request with everything that must not go on."""
    answer = stage.edge.send(with_token(replace(REPORT, headers=FORGED), stage.issuer.mint("reporting")))
    assert answer.status == 200, answer
    assert lines_of(answer, "x-extauthz-subject") == ["reporting"]
    return answer


def reaching(answer: Answer) -> set[str]:
    """Return which of the forged headers the upstream got as they were sent."""
    return {name for name, value in FORGED if value in lines_of(answer, name)}


def test_nothing_forged_goes_on_where_all_is_shown(stage: Stage) -> None:
    """Removed by sight, from an Envoy that shows everything."""
    assert reaching(forge(stage)) == set()


def test_what_is_hidden_is_removed_unseen(folder: Path) -> None:
    """By default nothing is believed about what Envoy shows."""
    with staged(folder, HIDING, said_to_show_all=False) as stage:
        assert reaching(forge(stage)) == set()


def test_control_what_is_hidden_goes_on_where_all_is_said_to_be_shown(folder: Path) -> None:
    """Why the default is false: what Envoy hides, and extauthz does not set, reaches the upstream as it was sent."""
    with staged(folder, HIDING, said_to_show_all=True) as stage:
        arrived = reaching(forge(stage))
    overwritten = {"x-extauthz-subject"}
    assert arrived == {name for name, _ in FORGED} - overwritten


def test_an_envoy_that_shows_only_some_is_not_believed(folder: Path) -> None:
    """`allowed_headers` hides pseudo headers too, so extauthz notices, and removes what it cannot have seen."""
    with staged(folder, SHOWING_ONE, said_to_show_all=True) as stage:
        assert reaching(forge(stage)) == set()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_envoy_shows_what_tells_that_nothing_is_left_out(version: str, folder: Path) -> None:
    """In both shapes: without `allowed_headers` it is believed that headers are complete, with it never."""
    seen: list[bytes] = []

    def check(raw: bytes, _context: object) -> bytes:
        seen.append(raw)
        return CheckResponse().SerializeToString()

    def ask_four_times(bootstrap: dict[str, Any]) -> None:
        filters = find_connection_manager(bootstrap)["http_filters"]
        shapes = [{"encode_raw_headers": raw, **more} for more in ({}, SHOWING_ONE) for raw in (True, False)]
        first = find_ext_authz(bootstrap)
        first["grpc_service"]["timeout"] = "15s"  # Who is late here is not asked again by those behind it.
        filters[:1] = [{"name": f"authorizer-{at}", "typed_config": first | shape} for at, shape in enumerate(shapes)]

    folder.mkdir()
    with authorizer(check) as port:
        places = Places(clusters={"extauthz": port, "upstream": port}, access_log=folder / "access.log")
        file = ROOT / "envoy" / "minimal.yaml"
        with Envoy(file, folder, places, proxy_token="", binary=binary(version), change=ask_four_times) as envoy:
            Edge(envoy.port).send(REPORT)
    headers = [decode(raw, shows_all_headers=True).headers for raw in seen]
    assert [shown.complete for shown in headers] == [True, True, False, False]
    assert [shown.exact for shown in headers][:2] == [True, False]
