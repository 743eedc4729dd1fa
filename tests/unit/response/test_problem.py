"""RFC 9457 bodies."""

from __future__ import annotations

import json

import pytest

from extauthz.ids import DecisionId
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import ObtainScopes, StepUp, UseMethod
from extauthz.response.problem import to_problem
from tests.simulators.decisions import denial

ID = DecisionId("d-1")


def test_a_problem_names_reason_and_remedies() -> None:
    """Every member is there, each remedy as an object of its own kind."""
    deny = denial(
        Reason.STEP_UP_REQUIRED,
        ObtainScopes(("deploy:prod",)),
        StepUp(("urn:ex:phr",), 300),
        StepUp(("urn:ex:mfa",)),
        UseMethod(("GET",)),
        detail="Sign in again.",
        inner="inner-canary",
    )
    assert json.loads(to_problem(deny, ID)) == {
        "type": "urn:extauthz:reason:step_up_required",
        "title": "A stronger or more recent sign-in is needed.",
        "status": 401,
        "reason": "step_up_required",
        "detail": "Sign in again.",
        "decision_id": "d-1",
        "remedies": [
            {"kind": "scopes", "scopes": ["deploy:prod"]},
            {"kind": "step_up", "acr_values": ["urn:ex:phr"], "max_age": 300},
            {"kind": "step_up", "acr_values": ["urn:ex:mfa"]},
            {"kind": "method", "methods": ["GET"]},
        ],
    }


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_a_problem(reason: Reason) -> None:
    """Without detail and remedies the body is the reason's own."""
    body = json.loads(to_problem(denial(reason), ID))
    assert body["type"] == f"urn:extauthz:reason:{reason.value}"
    assert body["title"] == REASONS[reason].title
    assert body["remedies"] == []
    assert "detail" not in body


@pytest.mark.parametrize("hostile", ['"', '","x":"', "\\", "\n", "\0", "\u2028", "\ud800", "</script>"])
def test_hostile_texts_stay_inside_their_member(hostile: str) -> None:
    """Details, scopes and ids cannot add members."""
    body = to_problem(denial(Reason.NO_PERMIT, ObtainScopes((hostile,)), detail=hostile), DecisionId(hostile))
    parsed = json.loads(body)
    assert body.isascii()
    assert parsed.keys() == {"type", "title", "status", "reason", "detail", "decision_id", "remedies"}
    assert parsed["detail"] == parsed["decision_id"] == parsed["remedies"][0]["scopes"][0] == hostile


def test_a_problem_is_bounded() -> None:
    """Long details are cut, and remedies that are too many are left out whole."""
    scopes = ObtainScopes(tuple(f"scope-{number}" for number in range(5000)))
    body = json.loads(to_problem(denial(Reason.NO_PERMIT, scopes, detail="d" * 100_000), ID))
    assert body["remedies"] == []
    assert len(body["detail"]) == 1024
