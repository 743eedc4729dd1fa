"""A wide value is made, compared, copied and refused as the frozen dataclass that it was."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.identity.bearer import VerifiedClaims
from extauthz.identity.sources import Sources
from extauthz.jose.compact import UnverifiedJws
from extauthz.model.identity import Identity, Principal
from extauthz.model.wide import wide

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    name: str
    size: int = 1
    parts: dict[str, int] = field(default_factory=dict)


@wide
@dataclass(frozen=True, slots=True, kw_only=True)
class _Wide:
    name: str
    size: int = 1
    parts: dict[str, int] = field(default_factory=dict)


WIDE = _Wide(name="a", size=2)


@pytest.mark.parametrize(
    "arguments", [{"name": "a"}, {"name": "a", "size": 2}, {"parts": {"b": 1}, "name": "a"}], ids=repr
)
def test_it_holds_what_the_plain_one_holds(arguments: dict[str, Any]) -> None:
    """Arguments and defaults of every sort; and it is of its own class afterwards."""
    made = _Wide(**arguments)
    assert dataclasses.asdict(made) == dataclasses.asdict(_Plain(**arguments))
    assert type(made) is _Wide
    assert inspect.signature(_Wide) == inspect.signature(_Plain)


def test_a_default_that_is_made_anew_is_not_shared() -> None:
    """Two objects that were given none have one each."""
    assert _Wide(name="a").parts is not _Wide(name="a").parts


@pytest.mark.parametrize("arguments", [{}, {"name": "a", "colour": "red"}], ids=repr)
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    """One that is missing, and one that there is not."""
    with pytest.raises(TypeError, match="argument"):
        _Wide(**arguments)


@pytest.mark.parametrize(
    "change",
    [
        lambda made: setattr(made, "size", 3),
        lambda made: setattr(made, "colour", "red"),
        lambda made: delattr(made, "size"),
        lambda made: object.__setattr__(made, "colour", "red"),
    ],
    ids=["set", "add", "delete", "add by force"],
)
def test_it_is_frozen(change: Callable[[_Wide], None]) -> None:
    """Nothing of it changes once it is made; to add an attribute is a TypeError where a dataclass has slots."""
    with pytest.raises((AttributeError, TypeError)):
        change(WIDE)
    assert _Wide(name="a", size=2) == WIDE


def test_it_is_replaced_copied_and_compared() -> None:
    """What the standard library does with dataclasses, it does with this one."""
    assert dataclasses.replace(WIDE, size=3) == _Wide(name="a", size=3) != WIDE
    assert copy.deepcopy(WIDE) == WIDE
    person = Principal(issuer="i", subject="s")
    assert pickle.loads(pickle.dumps(person)) == person  # noqa: S301 — its own
    assert hash(copy.copy(person)) == hash(person)


def test_it_has_no_subclasses() -> None:
    """Their objects would be of the class itself when they are made."""
    with pytest.raises(TypeError, match="extends"):
        type("_Wider", (_Wide,), {})


@dataclass(slots=True, kw_only=True)
class _Changeable:
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class _WithoutSlots:
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Completing:
    name: str = ""

    def __post_init__(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _ByPosition:
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _NotAnArgument:
    name: str = field(init=False, default="")


@pytest.mark.parametrize("cls", [int, _Changeable, _WithoutSlots, _Completing, _ByPosition, _NotAnArgument])
def test_no_other_class_is_taken(cls: type) -> None:
    """What would be lost by another `__init__` is refused when the class is declared."""
    with pytest.raises(TypeError):
        wide(cls)


@pytest.mark.parametrize("cls", [Identity, Principal, VerifiedClaims, UnverifiedJws, Sources])
def test_values_of_the_decision_path_stay_frozen(cls: type) -> None:
    """Whatever is given for their fields."""
    made: Any = cls(**{each.name: each.name for each in dataclasses.fields(cls)})
    name = dataclasses.fields(cls)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, name, "another")
    assert (type(made), getattr(made, name)) == (cls, name)
