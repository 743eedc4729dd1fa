"""A case from the command line, in the form and with the checks of one from a file."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from extauthz.errors import FileError, Problem
from extauthz.policytools.casefile import read_case_file
from extauthz.policytools.caseform import DEFAULT_AT
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.policytools.casefile import Case

_PLACE: Final = "command line"


def to_case(  # noqa: PLR0913 — one for each option
    url: str,
    *,
    method: str = "GET",
    headers: Sequence[str] = (),
    body: str | None = None,
    identity: str | None = None,
    state: str | None = None,
    answers: str | None = None,
    at: str | None = None,
) -> Case:
    """Return the case that options state.

    Args:
        url: `https://host/path?query`; the scheme may be left out.
        method: as sent.
        headers: `name: value`, one a line.
        body: as sent; JSON objects are sent as JSON.
        identity: a caller in the form of a policy test; None presents no credential.
        state: changeable facts in the form of a policy test; None for none that is known.
        answers: what other decision points answer, in that form; None for none that answers.
        at: instant of the decision.

    Raises:
        FileError: something is wrong; every problem found is listed.
    """
    parts = urlsplit(url if "://" in url else f"https://{url}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request: dict[str, Any] = {"method": method, "host": parts.netloc, "path": path, "headers": _lines(headers)}
    if body is not None:
        request["body"] = _json_or_text(body)
    test: dict[str, Any] = {"name": _PLACE, "request": request, "at": at or DEFAULT_AT, "expect": "allow"}
    for key, text in (("identity", identity), ("state", state), ("answers", answers)):
        if text is not None:
            test[key] = read_yaml(f"--{key}", text.encode()).data
    try:
        return read_case_file(_PLACE, json.dumps({"tests": [test]}).encode()).cases[0]
    except FileError as error:
        raise FileError([replace(problem, line=0, column=0) for problem in error.problems]) from error


def _lines(headers: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in headers:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise FileError([Problem(_PLACE, 0, 0, f"`{line}` is no header", "write `name: value`")])
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _json_or_text(body: str) -> object:
    try:
        value = json.loads(body)
    except ValueError:
        return body
    return value if isinstance(value, dict) else body
