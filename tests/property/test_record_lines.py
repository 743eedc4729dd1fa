"""Record lines are put together by hand: whatever a decision says, they are what the library would have written."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from extauthz.audit.record import close_line, open_common, open_line, to_line, to_record, to_repeated_line
from extauthz.audit.redact import RECORDED_JSON, to_recorded
from extauthz.clock import Instant
from extauthz.ids import DecisionId
from extauthz.limits import MAX_RECORDED_LIST
from extauthz.model.identity import Identity
from extauthz.model.reason import Reason
from extauthz.model.request import Request
from tests.simulators.decisions import ALLOW, IDENTITY, REQUEST, TARGET, decision_of, denial
from tests.simulators.secrets import JWT

if TYPE_CHECKING:
    from extauthz.model.decision import Decision
    from extauthz.model.facts import AttributeValue
    from extauthz.model.verdict import Verdict

HOSTILE = [
    "",
    '"',
    "\\",
    '","outcome":"allow',
    "}\n{",
    "\u2028",
    "é",
    "\ud800",
    "\x00",
    "a" * 128,
    "b" * 129,
    "c" * 1025,
    JWT,
]
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8), st.builds("{}{}".format, st.just(JWT), st.text()))
names = st.lists(texts, max_size=4, unique=True).map(frozenset)
SPREAD = frozenset(f"s{number:03}" for number in range(MAX_RECORDED_LIST + 1))


def texts_of(draw: st.DrawFn, kind: type[Identity | Request]) -> dict[str, Any]:
    """Draw all attributes that are texts, whether they are recorded or could be by mistake."""
    return {each.name: draw(texts) for each in fields(kind) if each.type == "str" and each.name != "trace_id"}


def canonical(line: bytes) -> bytes:
    """Return a line as the library writes what it says; of a member that is there twice it would keep one."""
    return json.dumps(json.loads(line), separators=(",", ":")).encode("ascii") + b"\n"


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    """Draw decisions with hostile text wherever there is text."""
    party = replace(IDENTITY.subject, subject=draw(texts), client=draw(texts), roles=draw(names))
    identity = replace(IDENTITY, **texts_of(draw, Identity))
    identity = replace(identity, subject=party, scopes=draw(names | st.just(SPREAD)), groups=draw(names))
    identity = replace(identity, authorization_details=tuple({"type": name} for name in draw(names)))
    request = replace(REQUEST, **texts_of(draw, Request))
    request = replace(request, context={f"extauthz.{draw(texts)}": draw(texts)})
    verdict: Verdict = ALLOW if draw(st.booleans()) else denial(Reason.FORBIDDEN, inner=draw(texts))
    attributes: dict[str, AttributeValue] = {
        draw(texts): draw(texts),
        "size": draw(st.integers()),
        "urgent": draw(st.booleans()),
    }
    target = replace(TARGET, resource=draw(texts), read_from=((draw(texts), draw(texts)),))
    return decision_of(verdict, request=request, target=target, identity=identity, attributes=attributes)


@given(decision=decisions(), request_id=texts)
def test_a_line_is_as_the_library_would_write_it(decision: Decision, request_id: str) -> None:
    """New or repeated: one object, no member twice, nothing escaped otherwise, and all of it in ASCII."""
    line = to_line(decision, 0.25)
    assert line == canonical(line)
    common = close_line(open_common(decision), None)
    again = to_repeated_line(common, (DecisionId("d-1"), Instant(0.0), 0.1, request_id, ""))
    assert again == canonical(again)


@given(decision=decisions())
def test_texts_are_recorded_where_they_belong(decision: Decision) -> None:
    """Each under its own name, and as its own: what is remembered of one is not taken for another."""
    record, identity, request = to_record(decision, 0.25), decision.identity, decision.request
    assert identity is not None
    assert request is not None
    assert record.get("inner", "") == to_recorded(getattr(decision.verdict, "inner", ""))
    assert record["subject"].get("subject", "") == to_recorded(identity.subject.subject)
    assert record["subject"].get("roles", []) == [to_recorded(role) for role in sorted(identity.subject.roles)]
    assert record.get("scopes", []) == [to_recorded(scope) for scope in sorted(identity.scopes)][:MAX_RECORDED_LIST]
    assert record.get("cut", []) == (["scopes"] if identity.scopes == SPREAD else [])
    for name in ("tenant", "session", "token_id", "workload", "profile", "acr", "environment", "device", "transaction"):
        assert record.get(name, "") == to_recorded(getattr(identity, name))
    for name in ("method", "host", "path", "upgrade", "request_id"):
        assert record.get(name, "") == to_recorded(getattr(request, name))
    recorded = {
        name: to_recorded(value) if isinstance(value, str) else value for name, value in decision.attributes.items()
    }
    assert record["attributes"] == recorded


@given(decision=decisions())
def test_a_repetition_has_what_the_first_had(decision: Decision) -> None:
    """All but what is its own, in the same order."""
    own = ("time", "decision_id", "latency_us", "request_id", "trace_id")
    first = json.loads(open_line(decision, 0.25) + "}")
    common = json.loads("{" + open_common(decision) + "}")
    assert list(common.items()) == [(name, value) for name, value in first.items() if name not in own]


@given(st.lists(texts, max_size=20))
@example([JWT, f"/v1/{JWT}/x", "plain"])
def test_only_short_texts_without_secrets_are_remembered(asked: list[str]) -> None:
    """Nothing that had to be changed: it would stay in memory."""
    RECORDED_JSON.clear()
    for text in asked * 2:
        assert json.loads(RECORDED_JSON[text]) == to_recorded(text)
    assert set(RECORDED_JSON) == {text for text in asked if len(text) <= 128 and to_recorded(text) == text}


def test_what_is_remembered_is_bounded() -> None:
    """However many texts clients think of."""
    RECORDED_JSON.clear()
    for number in range(10_000):
        assert RECORDED_JSON[f"t{number}"] == f'"t{number}"'
        assert len(RECORDED_JSON) <= 2048
