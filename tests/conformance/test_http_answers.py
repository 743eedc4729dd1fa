"""The documented readings and refusals of HTTP requests are what the decoder does, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extauthz.errors import Refusal
from extauthz.request.decode import decode
from tests.simulators.envoy_messages import check_request

PAGE = Path(__file__).resolve().parents[2] / "docs" / "http-answers.md"
_ROW = re.compile(r"\| `([A-Za-z]+) ([^`]+)`(?: with `([\w-]+): ([^`]+)`)? \| `([^`]+)` \|")


def _rows(heading: str) -> list[tuple[str, ...]]:
    section = PAGE.read_text(encoding="utf-8").split(f"### {heading}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    rows = [match.groups(default="") for line in lines if (match := _ROW.match(line))]
    if len(rows) != len(lines):
        pytest.fail(f"a row under {heading!r} cannot be read")
    return rows


def _question(method: str, path: str, name: str, value: str, *, raw_headers: bool) -> bytes:
    if name == "host":
        return check_request(method, path, host=value, raw_headers=raw_headers)
    return check_request(method, path, headers={name: value} if name else {}, raw_headers=raw_headers)


@pytest.mark.parametrize("raw_headers", [False, True])
@pytest.mark.parametrize(("method", "path", "name", "value", "expected"), _rows("Read"))
def test_request_is_read_as_documented(
    *, method: str, path: str, name: str, value: str, expected: str, raw_headers: bool
) -> None:
    """A request of the table is accepted with the documented path, in both header shapes."""
    request = decode(_question(method, path, name, value, raw_headers=raw_headers))
    assert (request.method, request.path, request.host) == (method, expected, "api.example.com")


@pytest.mark.parametrize("raw_headers", [False, True])
@pytest.mark.parametrize(("method", "path", "name", "value", "code"), _rows("Refused"))
def test_request_is_refused_as_documented(
    *, method: str, path: str, name: str, value: str, code: str, raw_headers: bool
) -> None:
    """A request of the table is refused with the documented code, in both header shapes."""
    with pytest.raises(Refusal) as refused:
        decode(_question(method, path, name, value, raw_headers=raw_headers))
    assert refused.value.reason == code
