"""A claim has its type or refuses the token."""

from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.claims import (
    find_claim,
    optional_instant,
    optional_text,
    required_instant,
    required_text,
    scopes_of,
    texts_of,
)
from extauthz.limits import MAX_CLAIM_STRING_BYTES, MAX_NUMERIC_DATE
from extauthz.model.reason import Reason


def test_a_claim_is_found_by_its_whole_name_first_and_by_steps_else() -> None:
    """Names may be URLs with dots; a path into something that is no object finds nothing."""
    claims = {"https://x.example/roles": 1, "a": {"b": {"c": 2}, "n": None}, "a.b": 3}
    names = ["https://x.example/roles", "a.b", "a.b.c", "a.x.c", "a.b.c.d", "missing", "a.n"]
    assert [find_claim(claims, name) for name in names] == [1, 3, 2, None, None, None, None]


@pytest.mark.parametrize(
    "value",
    [None, "", 1, True, [], {}, "a\nb", "a\x00", "\x7f", "x" * (MAX_CLAIM_STRING_BYTES + 1), "é" * 1025],
    ids=lambda value: repr(value)[:12],
)
def test_what_is_no_plain_text_is_refused_and_not_echoed(value: Any) -> None:
    """Control characters would travel into headers and logs."""
    with pytest.raises(Refusal) as refusal:
        required_text({"sub": value}, "sub")
    assert refusal.value.reason is Reason.CREDENTIALS_MALFORMED
    assert refusal.value.detail.startswith("The claim `sub` must be a string")
    with pytest.raises(Refusal):
        optional_text({"sub": value}, "sub")


def test_text_within_bounds_is_returned() -> None:
    """Other scripts and spaces are text; an optional claim may be absent."""
    assert required_text({"sub": "Zoë der Bär"}, "sub") == "Zoë der Bär"
    assert optional_text({"acr": "gold"}, "acr") == "gold"
    assert optional_text({}, "acr") == ""
    assert len(required_text({"sub": "x" * MAX_CLAIM_STRING_BYTES}, "sub")) == MAX_CLAIM_STRING_BYTES
    with pytest.raises(Refusal):
        required_text({}, "sub")


def test_a_list_of_strings_is_a_list_of_strings() -> None:
    """Absence is the empty list, a bare string is not a list of one."""
    assert texts_of(["a", "b"], "roles") == ("a", "b")
    assert texts_of([], "roles") == ()
    assert texts_of(None, "roles") == ()
    for wrong in ("admin", ["a", 1], [["a"]], [""], {"a": "b"}, True):
        with pytest.raises(Refusal):
            texts_of(wrong, "roles")


@pytest.mark.parametrize("value", [0, 1, 1.5, 1_790_000_000, MAX_NUMERIC_DATE])
def test_a_numeric_date_is_seconds(value: float) -> None:
    """Whole or broken (RFC 7519 section 2)."""
    assert required_instant({"exp": value}, "exp") == float(value)


@pytest.mark.parametrize(
    "value",
    [True, False, None, "1790000000", [], {}, -1, MAX_NUMERIC_DATE + 1, 10**400, float("nan"), float("inf"), 1e300],
    ids=lambda value: repr(value)[:12],
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    """Booleans are integers in Python, and NaN compares with nothing; neither is a time."""
    with pytest.raises(Refusal) as refusal:
        required_instant({"exp": value}, "exp")
    assert refusal.value.reason is Reason.CREDENTIALS_MALFORMED
    with pytest.raises(Refusal):
        optional_instant({"exp": value}, "exp")


def test_an_absent_time_is_none_where_it_may_be_absent() -> None:
    """And a refusal where it may not."""
    assert optional_instant({}, "nbf") is None
    with pytest.raises(Refusal):
        required_instant({}, "exp")


def test_scopes_are_separated_by_spaces() -> None:
    """Absent and empty mean none."""
    assert scopes_of({"scope": "a b:c  d"}) == {"a", "b:c", "d"}
    assert scopes_of({"scope": ""}) == frozenset()
    assert scopes_of({}) == frozenset()


@pytest.mark.parametrize("value", [None, ["a"], 1, "a\tb", "a\nb", 'a"b', "a\\b", "é", "a\u00a0b"], ids=repr)
def test_what_is_no_scope_string_is_refused(value: Any) -> None:
    """Other white space and quotes cannot be in a scope (RFC 6749 appendix A.4)."""
    with pytest.raises(Refusal):
        scopes_of({"scope": value})
