"""The tour's judge finds every kind of difference."""

from __future__ import annotations

import json

import pytest

from extauthz.demo.ask import Answer
from extauthz.demo.judge import find_differences
from extauthz.demo.tour import Expect

ECHO = json.dumps({"headers": [["x-extauthz-subject", "reporting"], ["host", "x"]]}).encode()


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    """Return an answer; underscores in names stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, headers=named, body=body, seconds=0.001)


REFUSAL = answer(403, x_extauthz_reason="forbidden", x_extauthz_decision_id="d-1")


@pytest.mark.parametrize(
    ("got", "expect"),
    [
        (answer(body=ECHO), Expect(status=200)),
        (answer(body=ECHO), Expect(status=200, upstream=(("x-extauthz-subject", ("reporting",)), ("x_y", ())))),
        (REFUSAL, Expect(status=403, reason="forbidden")),
        (answer(400), Expect(status=400, by_envoy=True)),
        (
            answer(401, www_authenticate='Bearer realm="r"', x_extauthz_reason="r", x_extauthz_decision_id="d"),
            Expect(status=401, reason="r", challenge=("Bearer", "realm=")),
        ),
    ],
)
def test_expected_answers_have_no_difference(got: Answer, expect: Expect) -> None:
    """An answer that is as expected is not complained about."""
    assert find_differences(got, expect) == []


@pytest.mark.parametrize(
    ("got", "expect", "difference"),
    [
        (REFUSAL, Expect(status=401, reason="forbidden"), "status 403 instead of 401"),
        (REFUSAL, Expect(status=403, reason="no_permit"), "reason forbidden instead of no_permit"),
        (REFUSAL, Expect(status=403, reason="forbidden", challenge=("Bearer",)), "no Bearer in the challenge"),
        (answer(body=ECHO, www_authenticate="Basic"), Expect(status=200), "an unexpected challenge: Basic"),
        (
            answer(400, x_extauthz_decision_id="d-1"),
            Expect(status=400, by_envoy=True),
            "extauthz was asked although Envoy should have answered by itself",
        ),
        (
            answer(403, x_extauthz_reason="forbidden"),
            Expect(status=403, reason="forbidden"),
            "the refusal carries no decision id",
        ),
        (answer(body=b"<html>"), Expect(status=200), "the answer is not the upstream's"),
        (answer(403, body=ECHO), Expect(status=403), "the request reached the upstream"),
        (
            answer(body=ECHO),
            Expect(status=200, upstream=(("x-extauthz-subject", ("admin",)),)),
            "the upstream saw x-extauthz-subject: reporting instead of ('admin',)",
        ),
        (
            answer(body=ECHO),
            Expect(status=200, upstream=(("host", ()),)),
            "the upstream saw host: x instead of nothing",
        ),
    ],
)
def test_differences_are_named(got: Answer, expect: Expect, difference: str) -> None:
    """Each way of being wrong is found and said in words."""
    assert difference in find_differences(got, expect)
