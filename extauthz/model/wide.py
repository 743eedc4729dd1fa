"""Frozen values with many fields, made quickly.

The `__init__` of a frozen dataclass calls `object.__setattr__` once for each field: with 27 fields it takes three times
as long as with plain assignments, and every decision makes several such values. `wide` gives the class an `__init__` of
plain assignments. While it runs, the object, which nobody else has yet, is of a subclass that lets itself be assigned
to; when it returns, the object is of the frozen class, for good.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from functools import update_wrapper
from typing import Any, Final, NoReturn, TypeVar

Value = TypeVar("Value")

_ABSENT: Final = object()
"""Stands for an argument whose default is made anew each time."""


def wide(cls: type[Value]) -> type[Value]:
    """Return a frozen dataclass, once its `__init__` does the same in less time.

    Args:
        cls: has slots, no `__post_init__`, and nothing but fields that are arguments by name only. It is final.

    Raises:
        TypeError: it is another kind of class.
    """
    made: Any = cls
    members = fields(made)
    if not made.__dataclass_params__.frozen or "__slots__" not in vars(cls) or hasattr(cls, "__post_init__"):
        message = f"{cls.__name__} is no frozen dataclass with slots and without __post_init__"
        raise TypeError(message)
    if not all(member.init and member.kw_only for member in members):
        message = f"{cls.__name__} has a field that is no argument by name"
        raise TypeError(message)
    # One slot of the type serves both methods: it is quick only where both are the object's own.
    plain = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    filling = type(cls.__name__, (cls,), {"__slots__": (), **plain})
    made.__init__ = _make_init(made, filling, members)
    made.__init_subclass__ = classmethod(_refuse_subclass)
    return cls


def _make_init(cls: Any, filling: type, members: tuple[Field[Any], ...]) -> Any:
    """Return a function that fills an object, with the parameters and defaults of the `__init__` that there is."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_filling": filling, "_frozen": cls, "_absent": _ABSENT}
    defaults: dict[str, Any] = {}
    lines = [f"def __init__(self, *, {', '.join(member.name for member in members)}):"]
    lines.append("_set(self, '__class__', _filling)")
    for member in members:
        name = member.name
        if member.default_factory is not MISSING:
            defaults[name], known[f"_make_{name}"] = _ABSENT, member.default_factory
            lines.append(f"self.{name} = {name} if {name} is not _absent else _make_{name}()")
        else:
            defaults |= {name: member.default} if member.default is not MISSING else {}
            lines.append(f"self.{name} = {name}")
    lines.append("self.__class__ = _frozen")
    exec("\n ".join(lines), known)  # noqa: S102 — names of our own fields, as where the standard library makes it
    made: Any = update_wrapper(known["__init__"], cls.__init__)
    made.__kwdefaults__ = defaults
    return made


def _refuse_subclass(cls: type, /, **_: object) -> NoReturn:
    message = f"{cls.__name__}: its objects would become those of the class that it extends"
    raise TypeError(message)
