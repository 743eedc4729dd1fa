"""Restrictions as documents: what goes out comes back, and nothing else is taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.model.restriction import Effect, Form, Mark, Restriction
from extauthz.model.restriction_document import from_document, from_mark_document, to_document, to_mark_document

TEXTS = st.text(max_size=5)
MARKS = st.builds(Mark, st.sampled_from(Form), TEXTS.map(lambda text: text.replace(" ", "")), TEXTS)
INSTANTS = st.floats(0, 1e12).map(Instant)
RESTRICTIONS = st.builds(
    Restriction,
    mark=MARKS,
    also=st.lists(MARKS, max_size=2).map(tuple),
    effect=st.sampled_from(Effect),
    source=TEXTS,
    event_at=INSTANTS,
    until=INSTANTS | st.none(),
    in_force=st.booleans(),
    signal=TEXTS,
    by=TEXTS,
    reason=TEXTS,
)
GOOD = {"form": "subject", "issuer": "i", "value": "v", "effect": "revoked", "source": "operator", "event_at": 1}


@given(RESTRICTIONS)
def test_what_goes_out_comes_back(restriction: Restriction) -> None:
    """Through JSON."""
    assert from_document(json.loads(json.dumps(to_document(restriction)))) == restriction
    assert from_mark_document(to_mark_document(restriction.mark)) == restriction.mark


def test_what_is_left_out_has_its_usual_value() -> None:
    """In force, without an end, about one target."""
    expected = Restriction(
        mark=Mark(Form.SUBJECT, "i", "v"), effect=Effect.REVOKED, source="operator", event_at=Instant(1)
    )
    assert from_document(GOOD) == expected


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"also": {}}, "`also` is not a list"),
        ({"also": [7]}, "no JSON object"),
        ({"also": [{"form": "x"}]}, "'x' is not a valid Form"),
        ({"in_force": 1}, "`in_force` is neither"),
        ({"effect": "x"}, "'x' is not a valid Effect"),
        ({"effect": None}, "`effect` is not a text"),
        ({"source": 1}, "`source` is not a text"),
        ({"reason": None}, "`reason` is not a text"),
        ({"issuer": "a b"}, "`issuer` has a space"),
        ({"event_at": "1"}, "`event_at` is not a number"),
        ({"event_at": True}, "`event_at` is not a number"),
        ({"event_at": float("nan")}, "`event_at` is not a number"),
        ({"until": float("inf")}, "`until` is not a number"),
    ],
)
def test_what_is_no_restriction_is_refused(change: dict[str, Any], complaint: str) -> None:
    """With the member's name."""
    with pytest.raises(ValueError, match=complaint):
        from_document({**GOOD, **change})
    with pytest.raises(ValueError, match="no JSON object"):
        from_document([GOOD])
