"""The table of the tour, its wallet and how it is shown. The tour itself runs in `tests/e2e/`."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from extauthz.demo.ask import Answer
from extauthz.demo.clients import CLIENTS
from extauthz.demo.issuer import Issuer
from extauthz.demo.run import Visit, Wallet, find_record
from extauthz.demo.table import to_differences, to_expectation, to_short_challenge, to_table
from extauthz.demo.tour import OK, REFUSED_BY_ENVOY, REPORT, TOUR, Expect, Stop, Token
from extauthz.model.reason import REASONS, Reason


def test_tour_is_long_enough_and_shows_both_sides() -> None:
    """At least 14 requests, some let through, some refused, some asked to come back better."""
    assert len(TOUR) >= 14
    statuses = {stop.expect.status for stop in TOUR}
    assert {200, 400, 401, 403, 405} <= statuses


def test_expectations_use_documented_reasons() -> None:
    """Every reason in the table exists and has the status that its documentation gives it."""
    for stop in TOUR:
        if stop.expect.reason:
            assert REASONS[Reason(stop.expect.reason)].status == stop.expect.status, stop


def test_tokens_come_from_declared_clients() -> None:
    """The tour asks for tokens as clients that the issuer knows."""
    for stop in TOUR:
        for token in (stop.token, stop.second_token):
            assert token is None or token.client in CLIENTS


def test_wallet_keeps_equal_recipes_and_tells_others_apart() -> None:
    """The same recipe is the same token within a run; an edition, a forgery and a stranger are others."""
    issuer = Issuer()
    wallet = Wallet(issuer)
    recipes = [
        Token(client="reporting"),
        Token(client="reporting", edition="2"),
        Token(client="reporting", forged=True),
        Token(client="reporting", stranger=True),
    ]
    tokens = [wallet.fetch(recipe) for recipe in recipes]
    assert len(set(tokens)) == 4
    assert wallet.fetch(Token(client="reporting")) == tokens[0]
    issuer.stop()


def test_second_credential_is_a_line_of_its_own() -> None:
    """Two tokens become two `authorization` lines after the stop's own headers."""
    issuer = Issuer()
    stop = next(stop for stop in TOUR if stop.second_token is not None)
    names = [name for name, _ in Wallet(issuer).sign(stop).headers]
    assert names == ["authorization", "authorization"]
    issuer.stop()


@pytest.mark.parametrize(
    ("challenge", "short"),
    [
        ("", ""),
        ('Bearer realm="x"', "Bearer"),
        ('Bearer realm="x", error="invalid_token", error_description="The, token"', "invalid_token"),
        (
            'Bearer error="insufficient_user_authentication", acr_values="a b", max_age=300',
            "insufficient_user_authentication acr_values=a b max_age=300",
        ),
    ],
)
def test_challenge_is_shortened(challenge: str, short: str) -> None:
    """The table shows what the challenge asks for and leaves realm and prose out."""
    assert to_short_challenge(challenge) == short


def visit(*differences: str, expect: Expect = OK) -> Visit:
    """Return a visit with these differences."""
    stop = Stop(who="reporting", what="reads", ask=REPORT, expect=expect)
    got = Answer(status=200, headers={}, body=b"", seconds=0.001)
    return Visit(stop=stop, expect=expect, answer=got, milliseconds=1.0, differences=differences)


def test_wrong_answer_is_shown_clearly() -> None:
    """A row with a difference says WRONG, and the difference is spelled out below; a right row does neither."""
    out = StringIO()
    visits = [visit(), visit("status 200 instead of 403", expect=Expect(status=403, reason="forbidden"))]
    Console(file=out, width=160).print(to_table(visits))
    lines = [line for line in out.getvalue().splitlines() if "reads" in line]
    assert ["WRONG" in line for line in lines] == [False, True]
    assert "403 forbidden" in lines[1]
    assert to_differences(visits) == ["#2 reporting reads: status 200 instead of 403"]


def test_expectation_says_who_answers() -> None:
    """What Envoy answers by itself is marked as such."""
    assert to_expectation(REFUSED_BY_ENVOY) == "400 by Envoy"
    assert to_expectation(OK) == "200"


def test_record_is_found_by_its_decision() -> None:
    """The sample record is the one of the decision that the answer named."""
    lines = ['{"decision_id": "d-1"}', '{"decision_id": "d-2"}']
    assert find_record(lines, "d-2") == {"decision_id": "d-2"}
    assert find_record(lines, "d-3") is None
