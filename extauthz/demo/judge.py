"""Compares an answer with what the tour expects. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extauthz.demo.ask import Answer
    from extauthz.demo.tour import Expect


def find_differences(answer: Answer, expect: Expect) -> list[str]:
    """Return a sentence for each way in which `answer` is not what was expected; empty when it is."""
    found = []
    if answer.status != expect.status:
        found.append(f"status {answer.status} instead of {expect.status}")
    if answer.reason != expect.reason:
        found.append(f"reason {answer.reason or 'none'} instead of {expect.reason or 'none'}")
    if not expect.challenge and answer.challenge:
        found.append(f"an unexpected challenge: {answer.challenge}")
    found += [f"no {piece} in the challenge" for piece in expect.challenge if piece not in answer.challenge]
    if expect.by_envoy and "x-extauthz-decision-id" in answer.headers:
        found.append("extauthz was asked although Envoy should have answered by itself")
    if not expect.by_envoy and expect.reason and "x-extauthz-decision-id" not in answer.headers:
        found.append("the refusal carries no decision id")
    return found + _find_upstream_differences(answer, expect)


def _find_upstream_differences(answer: Answer, expect: Expect) -> list[str]:
    reached = answer.read_echo()
    if expect.status == 200 and not reached and answer.body:  # noqa: PLR2004 — HTTP's own number
        return ["the answer is not the upstream's"]
    if expect.status != 200 and reached:  # noqa: PLR2004 — HTTP's own number
        return ["the request reached the upstream"]
    found = []
    for name, wanted in expect.upstream:
        lines = tuple(value for key, value in reached.get("headers", []) if key == name)
        if lines != wanted:
            found.append(f"the upstream saw {name}: {', '.join(lines) or 'nothing'} instead of {wanted or 'nothing'}")
    return found
