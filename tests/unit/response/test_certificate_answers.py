"""Denials on resources whose callers prove themselves by client certificates."""

from __future__ import annotations

import json

import pytest

from extauthz.ids import DecisionId
from extauthz.model.decision import Target
from extauthz.model.reason import REASONS, Reason
from extauthz.response.challenge import find_challenge
from extauthz.response.credentials import CREDENTIAL_HEADERS
from extauthz.response.problem import to_problem
from extauthz.response.status import status_of
from tests.simulators.decisions import denial

TARGET = Target(resource="r", action="a", credential="certificate", carrier="")
CHALLENGED = [reason for reason, spec in REASONS.items() if spec.status == 401]


@pytest.mark.parametrize("reason", CHALLENGED)
def test_there_is_no_challenge_and_so_no_401(reason: Reason) -> None:
    """No authentication scheme of HTTP is about client certificates; elsewhere the same denial is what it was."""
    deny = denial(reason)
    assert status_of(deny, TARGET) == 403
    assert find_challenge(deny, TARGET) is None
    assert json.loads(to_problem(deny, DecisionId("d-1"), TARGET))["status"] == 403
    if reason is not Reason.STEP_UP_REQUIRED:
        bearer = Target(resource="r", action="a", credential="bearer")
        assert status_of(deny, bearer) == status_of(deny) == 401
        assert find_challenge(deny, bearer) is not None


def test_other_statuses_stay() -> None:
    """Ambiguous is 400, our failures are 503."""
    assert status_of(denial(Reason.CREDENTIALS_AMBIGUOUS), TARGET) == 400
    assert status_of(denial(Reason.EVIDENCE_UNAVAILABLE), TARGET) == 503
    assert find_challenge(denial(Reason.CREDENTIALS_AMBIGUOUS), TARGET) is None


def test_certificates_in_headers_go_no_further() -> None:
    """A client could have written them; a resource that wants them forwarded says so."""
    assert {"x-forwarded-client-cert", "client-cert", "client-cert-chain"} <= CREDENTIAL_HEADERS
