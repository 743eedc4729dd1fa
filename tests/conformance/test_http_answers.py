"""The documented readings, refusals and routes of HTTP requests are what the code does, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extauthz.errors import Refusal
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.request.decode import decode
from tests.simulators.envoy_messages import check_request

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "http-answers.md").read_text(encoding="utf-8")
_ROW = re.compile(r"\| `([A-Za-z]+) ([^`]+)`(?: with (`[^|]+`))? \| `([^`]+)` \|")
_HEADER = re.compile(r"`([\w-]+): ([^`]+)`")
Row = tuple[str, str, dict[str, str], str]


def _section(heading: str) -> str:
    return PAGE.split(f"### {heading}\n")[1].split("\n#")[0]


def _rows(heading: str) -> list[Row]:
    """Return method, target, headers and what is expected, for each row under a heading."""
    lines = [line for line in _section(heading).splitlines() if line.startswith("| `")]
    rows = [
        (match[1], match[2], dict(_HEADER.findall(match[3] or "")), match[4])
        for line in lines
        if (match := _ROW.match(line))
    ]
    if len(rows) != len(lines) or not rows:
        pytest.fail(f"a row under {heading!r} cannot be read")
    return rows


def _question(row: Row, *, raw_headers: bool) -> bytes:
    method, path, headers, _ = row
    others = {name: value for name, value in headers.items() if name != "host"}
    host = headers.get("host", "api.example.com")
    return check_request(method, path, host=host, headers=others, raw_headers=raw_headers)


@pytest.mark.parametrize("raw_headers", [False, True])
@pytest.mark.parametrize("row", _rows("Read"), ids=str)
def test_request_is_read_as_documented(row: Row, *, raw_headers: bool) -> None:
    """A request of the table is accepted with the documented path, in both header shapes."""
    request = decode(_question(row, raw_headers=raw_headers))
    assert (request.method, request.path, request.host) == (row[0], row[3], "api.example.com")


@pytest.mark.parametrize("raw_headers", [False, True])
@pytest.mark.parametrize("row", _rows("Refused"), ids=str)
def test_request_is_refused_as_documented(row: Row, *, raw_headers: bool) -> None:
    """A request of the table is refused with the documented code, in both header shapes."""
    with pytest.raises(Refusal) as refused:
        decode(_question(row, raw_headers=raw_headers))
    assert refused.value.reason == row[3]


@pytest.mark.parametrize("raw_headers", [False, True])
@pytest.mark.parametrize("row", _rows("Routed"), ids=str)
def test_request_is_routed_as_documented(row: Row, *, raw_headers: bool) -> None:
    """With the resources shown, a request means the documented one or is refused with the documented code."""
    policy = re.findall(r"```yaml\n(.*?)```", _section("Routed"), re.DOTALL)[0]
    ruleset = compile_policy({"page.yaml": policy.encode()}, PolicyContext())
    request = decode(_question(row, raw_headers=raw_headers))
    try:
        route = ruleset.route(request)
        outcome = f"{route.target.resource}.{route.target.action}" + (" preflight" if route.preflight_only else "")
    except Refusal as refusal:
        outcome = refusal.reason
    assert outcome == row[3]
