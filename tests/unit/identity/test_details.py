"""`authorization_details` are read strictly: what is mistyped refuses the token and never reads as unlimited."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.limits import MAX_AUTHORIZATION_DETAILS
from extauthz.model.identity import Identity
from extauthz.model.reason import Reason
from tests.simulators.profiles import bearer, profile, prove
from tests.simulators.tokens import TokenMaker

MAKER = TokenMaker()
PAYMENT = {
    "type": "payment",
    "actions": ["initiate"],
    "locations": ["https://a.example"],
    "identifier": "42",
    "x": {"y": 1},
}


def identify(details: Any) -> Identity:
    """Return the identity of a token with these details."""
    found = prove(bearer(MAKER.mint(authorization_details=details)), profile(), MAKER.key_source())
    assert isinstance(found, Identity)
    return found


def test_objects_are_kept_as_they_are_and_in_order() -> None:
    """Members that we do not know included; nobody can change them afterwards."""
    details = identify([PAYMENT, {"type": "other"}]).authorization_details
    assert [dict(granted) for granted in details] == [PAYMENT, {"type": "other"}]
    with pytest.raises(TypeError):
        details[0]["type"] = "root"  # type: ignore[index]  # the point of the test


def test_absent_and_empty_grant_nothing() -> None:
    """Both are no rights at all."""
    assert identify(None).authorization_details == ()
    assert identify([]).authorization_details == ()


@pytest.mark.parametrize(
    "details",
    [
        {"type": "payment"},
        "payment",
        ["payment"],
        [None],
        [{}],
        [{"type": ""}],
        [{"type": 1}],
        [{"type": ["payment"]}],
        [{"type": "payment", "actions": "initiate"}],
        [{"type": "payment", "actions": []}],
        [{"type": "payment", "actions": None}],
        [{"type": "payment", "actions": [1]}],
        [{"type": "payment", "locations": {"a": 1}}],
        [{"type": "payment", "datatypes": [""]}],
        [{"type": "payment", "privileges": True}],
        [{"type": "payment", "identifier": 42}],
        [PAYMENT, {"actions": ["initiate"]}],
        [PAYMENT] * (MAX_AUTHORIZATION_DETAILS + 1),
    ],
    ids=lambda details: repr(details)[:40],
)
def test_anything_else_refuses_the_token(details: Any) -> None:
    """One bad object spoils all: nobody knows what its author meant."""
    with pytest.raises(Refusal) as refusal:
        identify(details)
    assert refusal.value.reason is Reason.CREDENTIALS_MALFORMED
