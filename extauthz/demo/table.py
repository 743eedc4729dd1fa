"""How the tour looks on a terminal."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.demo.run import Visit
    from extauthz.demo.stage import Stage
    from extauthz.demo.tour import Expect

_PARAMETER: Final = re.compile(r'([a-z_]+)=(?:"([^"]*)"|([^ ,"]+))')
_SHOWN: Final = ("error", "scope", "acr_values", "max_age")
_COLUMNS: Final[tuple[tuple[str, Literal["left", "right"]], ...]] = (
    ("#", "right"),
    ("who", "left"),
    ("asks", "left"),
    ("status", "left"),
    ("reason", "left"),
    ("challenge, or what the upstream saw", "left"),
    ("ms", "right"),
    ("", "left"),
)
_OK: Final = 200
_ALLOWED: Final = "allowed"
_STYLES: Final = {2: "green", 4: "yellow", 5: "red"}


def to_short_challenge(challenge: str) -> str:
    """Return what a `WWW-Authenticate` line asks for, without realm and prose.

    >>> to_short_challenge('Bearer realm="x", error="insufficient_scope", scope="a b"')
    'insufficient_scope scope=a b'
    """
    found = {name: quoted or bare for name, quoted, bare in _PARAMETER.findall(challenge)}
    shown = [found[name] if name == "error" else f"{name}={found[name]}" for name in _SHOWN if name in found]
    return " ".join(shown) or ("Bearer" if challenge else "")


def to_expectation(expect: Expect) -> str:
    """Return what is expected in a few words."""
    if expect.by_envoy:
        return f"{expect.status} by Envoy"
    return f"{expect.status} {expect.reason}".strip()


def _to_seen(visit: Visit) -> str:
    """Return what reached the upstream of the headers that the stop is about."""
    headers = visit.answer.read_echo().get("headers", [])
    seen = {name: [value for key, value in headers if key == name] for name, _ in visit.expect.upstream}
    return ", ".join(f"{name}: {', '.join(values) or 'nothing'}" for name, values in seen.items())


def _to_repairs(visit: Visit) -> str:
    """Return what the client was refused for before it was let through."""
    refused = ", ".join(to_short_challenge(answer.challenge) or answer.reason for answer in visit.on_the_way)
    return f"after {refused}" if refused else ""


def to_table(visits: Sequence[Visit]) -> Table:
    """Return the tour as a table, one row a stop."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, header_style="bold")
    for heading, justify in _COLUMNS:
        table.add_column(heading, justify=justify)
    for number, visit in enumerate(visits, 1):
        answer = visit.answer
        table.add_row(
            str(number),
            visit.stop.who,
            visit.stop.what,
            Text(str(answer.status), style=_STYLES.get(answer.status // 100, "")),
            answer.reason or ("by Envoy" if visit.expect.by_envoy else _ALLOWED if answer.status == _OK else "—"),
            to_short_challenge(answer.challenge) or _to_repairs(visit) or _to_seen(visit),
            f"{visit.milliseconds:.1f}",
            Text(f"WRONG, expected {to_expectation(visit.expect)}", style="bold red")
            if visit.differences
            else Text("✓", style="green"),
        )
    return table


def to_cast(stage: Stage) -> Table:
    """Return what runs where."""
    cast = Table.grid(padding=(0, 2))
    cast.add_row("Envoy", stage.edge.url, f"envoy/{stage.script.envoy_file}.yaml, log {stage.envoy.child.log}")
    cast.add_row("extauthz", f"127.0.0.1:{stage.check_port}", f"examples/demo/policy.yaml, log {stage.extauthz.log}")
    cast.add_row("metrics", f"http://127.0.0.1:{stage.metrics_port}/metrics", "of extauthz")
    cast.add_row("issuer", stage.issuer.url, "discovery, keys, /token, /rotate")
    cast.add_row("upstream", stage.upstream.url, "echoes what reaches it")
    return cast


def to_differences(visits: Sequence[Visit]) -> list[str]:
    """Return a line for every wrong answer."""
    return [
        f"#{number} {visit.stop.who} {visit.stop.what}: {difference}"
        for number, visit in enumerate(visits, 1)
        for difference in visit.differences
    ]


def to_curl_lines(stage: Stage) -> list[str]:
    """Return commands to try by hand while everything runs."""
    tls = f"--cacert {stage.tls.authority} " if stage.edge.tls else ""
    ask = f'curl -si {tls}{stage.edge.url}/v1/reports/q3 -H "host: api.example.com"'
    fetch = f"curl -s {stage.issuer.url}/token -d grant_type=client_credentials -d client_secret=demo -d client_id="
    token = "| python3 -c 'import json,sys; print(json.load(sys.stdin)[\"access_token\"])'"  # noqa: S105 — a command
    deploy = (
        f"curl -si {tls}{stage.edge.url}/v1/projects/web/deployments "
        '-H "host: api.example.com" -H "content-type: application/json"'
    )
    command, settings = f"{sys.executable} -m extauthz", f"--config {stage.folder}/settings.yaml"
    bearer = '-H "authorization: Bearer $TOKEN"'
    return [
        "# nobody in particular reads a report",
        ask,
        "# a service reads a report",
        f"TOKEN=$({fetch}reporting {token})",
        f"{ask} {bearer}",
        "# a pipeline deploys, first without and then with the scope that production needs",
        f"TOKEN=$({fetch}pipeline -d scope=reports:read {token})",
        f'{deploy} {bearer} -d \'{{"environment": "production"}}\'',
        f"TOKEN=$({fetch}pipeline -d scope=deploy:production {token})",
        f'{deploy} {bearer} -d \'{{"environment": "production"}}\'',
        "# what was taken away bites the next request; the second command gives it back",
        f"{command} revoke client pipeline --reason leaked {settings}",
        f'{deploy} {bearer} -d \'{{"environment": "production"}}\'',
        f"{command} release client pipeline --reason rotated {settings}",
        "# the issuer changes its keys",
        f"curl -s -X POST {stage.issuer.url}/rotate",
        "# what was decided, and why",
        f"tail -n 1 {stage.records}",
    ]
