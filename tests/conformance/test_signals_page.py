"""The page on signals: its table is what the code does, and its settings and policy can be pasted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.config.settings import Settings
from extauthz.keeper.streams import rules_of
from extauthz.model.reason import REASONS, Reason
from extauthz.policy.compile import compile_policy
from extauthz.server.policyfaces import policy_context
from extauthz.signals.effects import READERS
from extauthz.signals.events import Outcome, read_event
from extauthz.signals.identifiers import FORMATS
from extauthz.telemetry.statemetrics import ALARMS
from tests.simulators.events import event_token, stream_rules
from tests.simulators.tokens import NOW

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "signals.md").read_text(encoding="utf-8")
BLOCKS = {
    block.split("\n", 1)[0].removeprefix("# "): block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def ticked(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def payloads(kind: str, when: str) -> list[dict[str, Any]]:
    """Return the payloads that a row is about."""
    words = ticked(when)
    match kind:
        case "credential-change" if words[0] == "x509":
            return [{"credential_type": "x509", "change_type": word} for word in words[1:]]
        case "credential-change":
            return [{"credential_type": each, "change_type": word} for word in words for each in ("password", "other")]
        case "assurance-level-change":
            return [{"change_direction": word} for word in words] + [{"change_direction": None}] * ("no" in when)
        case "device-compliance-change":
            return [{"current_status": word} for word in words]
        case "risk-level-change":
            return [{"current_level": word} for word in words]
        case _:
            assert when == "always"
            return [{}]


TABLE = [
    (kind, payload, set(ticked(put)), set(ticked(lifted)))
    for kinds, when, put, lifted in rows("What each event does")
    for kind in ticked(kinds)
    for payload in payloads(kind, when)
]


@pytest.mark.parametrize(("kind", "payload", "put", "lifted"), TABLE, ids=str)
def test_the_table_is_what_the_code_does(kind: str, payload: dict[str, Any], put: set[str], lifted: set[str]) -> None:
    """Each row, with each value that it names."""
    reported = read_event(event_token(kind, **payload), stream_rules(), NOW)
    assert {each.effect.value for each in reported.restrictions} == put
    assert {each.effect.value for each in reported.lifts} == lifted


def test_the_table_is_complete() -> None:
    """Every kind, and for those with values every value of theirs."""
    assert {kind for kind, *_ in TABLE} == {kind for kind, _ in READERS.values()}
    changes = [payload for kind, payload, *_ in TABLE if kind == "credential-change"]
    assert {payload["change_type"] for payload in changes} == {"create", "revoke", "update", "delete"}
    levels = [payload["current_level"] for kind, payload, *_ in TABLE if kind == "risk-level-change"]
    assert sorted(levels) == ["HIGH", "LOW", "MEDIUM"]


def test_formats_outcomes_codes_and_alarms_are_named() -> None:
    """What there is in the code is on the page."""
    named = set(ticked(PAGE.replace("```", "")))
    assert set(FORMATS) | {"aliases", "complex", "ip-addresses"} <= named
    outcomes = {outcome.value for outcome in Outcome} - {"applied"}
    assert outcomes | {"held", "in_force", "lifted"} <= named
    codes = {"invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "invalid_state"}
    assert [code for code in codes if code not in PAGE] == []
    assert "outside_authority" in ALARMS
    for reason in (Reason.SESSION_REVOKED, Reason.TOKEN_REVOKED, Reason.SIGNALS_STALE, Reason.IDENTITY_QUARANTINED):
        assert reason in REASONS
        assert reason.value in PAGE


def settings(**changes: Any) -> Settings:
    """Return the page's settings; `changes` replace whole sections."""
    return Settings.model_validate({**yaml.safe_load(BLOCKS["extauthz.yaml"]), **changes})


def test_settings_and_policy_fit_together() -> None:
    """They load as they stand, and the stream is the one that the page explains."""
    ruleset = compile_policy({"policy.yaml": BLOCKS["policy.yaml"].encode()}, policy_context(settings()))
    assert ruleset.counts.resources == 2
    (stream,) = settings().signals.streams
    assert stream.verify_every is not None
    assert stream.max_silence == 3 * stream.verify_every
    assert rules_of(stream, 0).only_issuer == "https://login.example.com"


def test_a_wrong_page_would_be_found() -> None:
    """Without the state the same settings are refused, and a row with another effect is no row of the code."""
    with pytest.raises(ValueError, match="state"):
        settings(state=None)
    kind, payload, put, lifted = TABLE[0]
    with pytest.raises(AssertionError):
        test_the_table_is_what_the_code_does(kind, payload, lifted, put)
