"""Requests that several end-to-end tests send."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from extauthz.demo.tour import REPORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.demo.ask import Answer, Ask
    from extauthz.demo.stage import Stage


def with_token(ask: Ask, token: str) -> Ask:
    """Return `ask` with a bearer token."""
    return replace(ask, headers=(*ask.headers, ("authorization", f"Bearer {token}")))


def read_report(stage: Stage, token: str | None = None) -> Answer:
    """Read a report; with the reporting service's token unless another is given."""
    return stage.edge.send(with_token(REPORT, token or stage.issuer.mint("reporting")))


def lines_of(answer: Answer, name: str) -> list[str]:
    """Return the values of a header's lines as the upstream saw them."""
    return [value for key, value in answer.read_echo()["headers"] if key == name]


def eventually(find: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Ask again and again until the answer is yes or time is up; return the last answer."""
    deadline = time.monotonic() + seconds
    while not find():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
