"""Stand-ins for what was not recorded give nothing away: whoever looks at one is told so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.judge import NotRecorded
from extauthz.model.state import StateName
from extauthz.policytools.unrecorded import KnownEntries, Unrecorded, UnrecordedState, UnrecordedText, Variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOOKS: list[Callable[[Any], object]] = [
    bool,
    len,
    list,
    hash,
    dict,
    lambda it: it.first("x"),
    lambda it: "x" in it,
    lambda it: it["x"],
    lambda it: it == "x",
    lambda it: it != "x",
]


@pytest.mark.parametrize("look", LOOKS)
def test_any_look_at_something_unrecorded_raises(look: Callable[[Any], object]) -> None:
    """By its name."""
    with pytest.raises(NotRecorded, match="the body"):
        look(Unrecorded("the body"))


@pytest.mark.parametrize(
    "look",
    [
        lambda it: it == "x",
        lambda it: it != "x",
        lambda it: it in {"x", "y"},
        lambda it: it in ("x", "y"),
        lambda it: "x" == it,  # noqa: SIM300 — the other way round is the point
        lambda it: it.startswith("x"),
    ],
)
def test_a_shortened_text_can_be_passed_on_but_not_compared(look: Callable[[Any], object]) -> None:
    """From either side."""
    text = UnrecordedText("[redacted]")
    assert text
    assert f"{text}" == "[redacted]"
    with pytest.raises(NotRecorded):
        look(text)


def test_only_known_entries_are_answered() -> None:
    """Those with the prefix, present or absent; nothing can be listed."""
    entries = KnownEntries("context", "extauthz.", {"extauthz.tenant": "acme"})
    assert (entries.get("extauthz.tenant"), entries.get("extauthz.resource")) == ("acme", None)
    for look in (lambda: entries.get("zone"), lambda: list(entries), lambda: len(entries)):
        with pytest.raises(NotRecorded, match="context"):
            look()


def test_variables_tell_unknown_from_unrecorded() -> None:
    """A fact that is known not to be there is absent; one that was cut, alone or in a list, raises."""
    known: Mapping[str, object] = {"a": "x", "b": UnrecordedText("x"), "c": ["x", UnrecordedText("y")], "d": ["x"]}
    variables = Variables(known, frozenset({"e"}))
    assert ("a" in variables, variables["a"], variables.get("a"), variables["d"]) == (True, "x", "x", ["x"])
    assert ("f" in variables, variables.get("f"), variables.get("f", 1)) == (False, None, 1)
    for name in ("b", "c", "e"):
        for look in (variables.get, variables.__getitem__, variables.__contains__):
            with pytest.raises(NotRecorded, match=name):
                look(name)


def test_no_state_is_recorded() -> None:
    """Its kind is named."""
    state = UnrecordedState()
    with pytest.raises(NotRecorded, match="state: posture"):
        state.get(StateName("posture", "laptop"))
    for look in (list, len):
        with pytest.raises(NotRecorded, match="state"):
            look(state)
