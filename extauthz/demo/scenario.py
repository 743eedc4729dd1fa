"""Situations of `examples/scenarios/`: the cases of their policy tests, as they go through a real Envoy.

Each case is the one that `extauthz policy test` runs: who asks, for what, and what must come out. Here its caller
gets a token of the demo issuer, and the answer is the one that a client sees. Three things cannot be had in the demo,
so cases that need them are left to `policy test`: changeable facts as they are at one instant; callers whom no bearer
token of the demo issuer can prove; connections from elsewhere. A case that names an instant is sent while each window
of the policy is as open as it was then: the calendar is moved, since the clock cannot be. What changes from request to
request, by a signal or a command, stands in `scenario_steps.py`.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from extauthz.config.policyfiles import load_policy_files
from extauthz.demo.ask import Ask
from extauthz.demo.clients import AUDIENCE
from extauthz.demo.scenario_steps import read_steps
from extauthz.model.identity import Binding, Credential
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policytools.casefile import read_case_file
from extauthz.policytools.caseform import DEFAULT_ISSUER, RequestForm
from extauthz.policytools.suite import judge_case, load_suite
from extauthz.policytools.wire import read_sent
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extauthz.clock import Instant
    from extauthz.demo.ask import Answer
    from extauthz.demo.scenario_steps import Step
    from extauthz.model.identity import Identity, Principal
    from extauthz.policytools.casefile import Case

CONTEXT: Final = PolicyContext(profiles=None)
"""What policies of situations may refer to: the demo's `default` profile."""

_LIFETIME: Final = 900
"""Seconds that a token lives."""

_OK: Final = 200
_USUAL_SOURCE: Final = str(RequestForm.model_fields["source"].default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One folder of `examples/scenarios/`.

    Attributes:
        number: two digits.
        title: for people.
        waiting: data that nothing reports yet; empty when the situation is complete.
        folder: where it stands.
        cases: in file order.
        steps: what happens over time, through Envoy.
        not_live: cases by name that the demo cannot show, and why.
    """

    number: str
    title: str
    waiting: tuple[str, ...]
    folder: Path
    cases: tuple[Case, ...]
    steps: tuple[Step, ...] = ()
    not_live: Mapping[str, str] = field(default_factory=dict)


def find_situations(root: Path) -> list[Situation]:
    """Return the situations of a checkout in order.

    Raises:
        FileError: one of their files is wrong.
    """
    return [_read(folder) for folder in sorted((root / "examples" / "scenarios").iterdir()) if folder.is_dir()]


def _read(folder: Path) -> Situation:
    path = folder / "scenario.yaml"
    about: Any = read_yaml(str(path), path.read_bytes()).data
    suite = load_suite(folder / "policy_test.yaml", lambda _: CONTEXT)
    return Situation(
        number=folder.name[:2],
        title=str(about["title"]),
        waiting=tuple(about["waiting"]),
        folder=folder,
        cases=suite.file.cases,
        steps=read_steps(folder, about.get("live", [])),
        not_live=dict(about.get("not_live", {})),
    )


def find_obstacle(case: Case) -> str:
    """Return what the demo lacks for a case, in a few words; empty when it can be sent."""
    if case.state:
        return "needs facts of one instant"
    if read_sent(case.question).source != _USUAL_SOURCE:
        return "needs another connection"
    caller = case.identity
    if caller is None:
        return ""
    parties = (caller.subject, *((caller.actor,) if caller.actor is not None else ()), *caller.chain)
    if any(party.issuer != DEFAULT_ISSUER for party in parties):
        return "needs another issuer"
    plain = caller.credential in {Credential.NONE, Credential.BEARER} and caller.binding is Binding.NONE
    return "" if plain and caller.registration is None and not caller.transaction else "needs another credential"


def to_ask(case: Case, token: str) -> Ask:
    """Return the request of a case; with a token unless that is empty."""
    sent = read_sent(case.question)
    lines = (("host", sent.host), *sent.headers)
    if token:
        lines = (*lines, ("authorization", f"Bearer {token}"))
    return Ask(method=sent.method, path=sent.path, headers=lines, body=sent.body)


def to_claims(issuer: str, case: Case, caller: Identity, now: Instant) -> dict[str, Any]:
    """Return the claims of a token that proves the caller of a case; its instants keep their distance from now."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": AUDIENCE,
        "iat": int(now),
        "exp": int(now) + _LIFETIME,
        "jti": caller.token_id or secrets.token_hex(8),
        "client_id": caller.client or "demo",
        "scope": " ".join(sorted(caller.scopes)),
        "groups": sorted(caller.groups),
        "amr": list(caller.amr),
        "authorization_details": [dict(granted) for granted in caller.authorization_details],
        **_party(caller.subject),
    }
    known = (
        ("tenant", caller.tenant),
        ("sid", caller.session),
        ("acr", caller.acr),
        ("environment", caller.environment),
        ("device", caller.device),
    )
    claims |= {name: text for name, text in known if text}
    if caller.auth_time is not None:
        claims["auth_time"] = int(now - (case.at - caller.auth_time))
    nested: dict[str, Any] = {}
    for party in reversed((*((caller.actor,) if caller.actor is not None else ()), *caller.chain)):
        nested = {"act": _party(party) | nested}
    return {name: value for name, value in (claims | nested).items() if value or name == "scope"}


def _party(party: Principal) -> dict[str, Any]:
    named: dict[str, Any] = {"sub": party.subject, "roles": sorted(party.roles)}
    if party.kind is not None:
        named["kind"] = party.kind.value
    return named


def to_policy(situation: Situation, issuer: str, at: Instant, now: Instant) -> bytes:
    """Return the policy of a situation for the demo.

    Args:
        situation: whose policy.
        issuer: the demo issuer, in place of the one that the cases have.
        at: instant at which the windows are looked at.
        now: instant at which they must be as open.
    """
    path = situation.folder / "policy.yaml"
    raw = path.read_bytes().replace(DEFAULT_ISSUER.encode(), issuer.encode())
    document: Any = read_yaml(str(path), raw).data
    windows = document.get("windows", {})
    document |= {"windows": {name: _moved(windows, name, at, now) for name in windows}} if windows else {}
    return json.dumps(document, indent=1).encode()


def _moved(windows: dict[str, Any], name: str, at: Instant, now: Instant) -> dict[str, Any]:
    """Return a window that is open now, and for some days, if the one of that name is open at `at`; else closed."""
    days = -2 if _is_open(windows, name, at) else 40
    first = datetime.fromtimestamp(now, UTC) + timedelta(days=days)
    return {"rules": ["FREQ=DAILY"], "starts": f"{first:%Y-%m-%d}T00:00", "lasts": "36h", "zone": "UTC"}


def _is_open(windows: dict[str, Any], name: str, at: Instant) -> bool:
    """Ask a policy of one rule, which is what a window is for."""
    match = {"host": "probe.example", "path": "/", "methods": ["GET"]}
    policy = {
        "windows": windows,
        "resources": [{"name": "probe", "action": "read", "match": match, "credential": "none"}],
        "guards": [{"id": "open", "on": "probe.read", "require": [{"change_window": name}]}],
        "permits": [{"id": "everybody", "who": "anyone", "may": "probe.read"}],
    }
    asked = {"name": "open", "request": {"host": "probe.example", "path": "/"}, "expect": "allow"}
    tests = {"at": datetime.fromtimestamp(at, UTC).isoformat(), "tests": [asked]}
    (case,) = read_case_file("probe", json.dumps(tests).encode()).cases
    return judge_case(case, compile_policy({"probe": json.dumps(policy).encode()}, CONTEXT)).decision.allowed


def revision_of(policy: Path) -> str:
    """Return the revision of a policy file.

    Raises:
        PolicyError: it is none.
    """
    return compile_policy(load_policy_files([policy]), CONTEXT).revision


def find_differences(case: Case, answer: Answer) -> tuple[str, ...]:
    """Return in words how an answer differs from what a case expects of outcome, reason and status."""
    expect, reached = case.expect, bool(answer.read_echo())
    allowed = answer.status == _OK and reached
    if allowed is not (expect.outcome == "allow"):
        return (f"{answer.status} {answer.reason or ('allowed' if reached else '')} instead of {expect.outcome}",)
    found = []
    if expect.outcome == "deny" and expect.reason not in {None, answer.reason}:
        found.append(f"{answer.reason} instead of {expect.reason}")
    if expect.outcome == "deny" and expect.status not in {None, answer.status}:
        found.append(f"{answer.status} instead of {expect.status}")
    return tuple(found)
