"""What a case expects, held against what came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extauthz.audit.record import to_record
from extauthz.model.verdict import Allow, to_published
from extauthz.policytools.wire import read_answer
from extauthz.response.to_envoy import to_envoy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.model.decision import Decision
    from extauthz.policytools.caseform import ExpectForm
    from extauthz.policytools.wire import Said


@dataclass(frozen=True, slots=True)
class Difference:
    """One expectation that was not met.

    Attributes:
        where: keys below `expect`.
        expected: as the case says; None for "not there".
        got: as it came out; None for "not there".
    """

    where: tuple[str, ...]
    expected: object
    got: object


def differences(expect: ExpectForm, decision: Decision) -> list[Difference]:
    """Return what came out otherwise than expected, in the order of the format.

    The answer is made by the code that answers Envoy, the record by the code that writes records.
    """
    said = read_answer(to_envoy(decision))
    found = [*_of_decision(expect, decision, said), *_of_headers(expect, said)]
    if expect.record:
        found.extend(_of_members(expect.record, to_record(decision, 0.0), ("record",)))
    return found


def _of_decision(expect: ExpectForm, decision: Decision, said: Said) -> Iterator[Difference]:
    verdict, target = decision.verdict, decision.target
    detail, remedies = ("", ()) if isinstance(verdict, Allow) else (verdict.detail, verdict.remedies)
    got: dict[str, object] = {
        # What Envoy was told counts, not what was decided before.
        "outcome": "allow" if said.allowed else "deny",
        "reason": decision.reason.value,
        "rule": verdict.rule,
        "resource": f"{target.resource}.{target.action}" if target is not None else None,
        "status": said.status,
        "detail": detail,
        "remedies": [to_published(remedy) for remedy in remedies],
    }
    for name, value in got.items():
        expected = getattr(expect, name)
        expected = list(expected) if isinstance(expected, tuple) else expected
        if expected is not None and expected != value:
            yield Difference((name,), expected, value)
    challenge = said.response.get("www-authenticate", "")
    if expect.challenge is not None and (expect.challenge not in challenge or bool(challenge) > bool(expect.challenge)):
        yield Difference(("challenge",), expect.challenge, challenge)


def _of_headers(expect: ExpectForm, said: Said) -> Iterator[Difference]:
    for key, sent in (("response_headers", said.response), ("upstream_headers", said.upstream)):
        for name, expected in getattr(expect, key).items():
            if sent.get(name) != expected:
                yield Difference((key, name), expected, sent.get(name))
    for name in expect.removed_headers:
        if name not in said.removed:
            yield Difference(("removed_headers",), name, None)


def _of_members(expected: Mapping[str, Any], got: Mapping[str, Any], where: tuple[str, ...]) -> Iterator[Difference]:
    """Yield how the named members differ; members that are not named may be anything."""
    for name, value in expected.items():
        found = got.get(name)
        if isinstance(value, dict) and isinstance(found, dict):
            yield from _of_members(value, found, (*where, name))
        elif found != value:
            yield Difference((*where, name), value, found)
