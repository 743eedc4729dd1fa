"""Stand-ins for what a decision record does not hold: whoever looks at one learns that, and gets nothing else.

So a replay never guesses. The same code decides as for a real request; when it comes to read a query, a header, a body,
a claim, or a text that was cut or redacted, the outcome is "cannot be told", by name of what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from extauthz.judge import NotRecorded

if TYPE_CHECKING:
    from collections.abc import Iterator


def _missing(what: str) -> NoReturn:
    raise NotRecorded(what)


class Unrecorded:
    """Something that was not recorded, of whatever type. Any use raises.

    Args:
        what: names it, for people.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        object.__setattr__(self, "_what", what)

    def _raise(self, *_: object) -> NoReturn:
        _missing(object.__getattribute__(self, "_what"))

    def __getattr__(self, name: str) -> NoReturn:
        self._raise(name)

    def __iter__(self) -> NoReturn:
        self._raise()

    def __len__(self) -> NoReturn:  # noqa: PLE0303 — it always raises
        self._raise()

    def __bool__(self) -> NoReturn:  # noqa: PLE0304 — it always raises
        self._raise()

    def __contains__(self, item: object) -> NoReturn:
        self._raise(item)

    def __getitem__(self, item: object) -> NoReturn:
        self._raise(item)

    def __eq__(self, other: object) -> NoReturn:
        self._raise(other)

    def __hash__(self) -> NoReturn:  # noqa: PLE0309 — it always raises
        self._raise()


class UnrecordedText(str):
    """What is left of a text that was cut or redacted. It can be passed on, and raises when it is compared."""

    __slots__ = ()

    def __eq__(self, other: object) -> NoReturn:
        _missing(_SHORTENED)

    def __ne__(self, other: object) -> NoReturn:
        _missing(_SHORTENED)

    def __hash__(self) -> NoReturn:  # noqa: PLE0309 — it always raises
        _missing(_SHORTENED)

    def startswith(self, *_: Any) -> NoReturn:
        """Raise `NotRecorded`."""
        _missing(_SHORTENED)


_SHORTENED = "a text that was cut or redacted"


class KnownEntries(Mapping[str, str]):
    """A mapping of which only entries with one prefix were recorded; looking for others raises.

    Args:
        what: names the mapping.
        prefix: of the keys that are known.
        known: those that were there.
    """

    def __init__(self, what: str, prefix: str, known: Mapping[str, str]) -> None:
        self._what = what
        self._prefix = prefix
        self._known = dict(known)

    def __getitem__(self, key: str) -> str:
        if not key.startswith(self._prefix):
            _missing(f"{self._what}.{key}")
        return self._known[key]

    def __iter__(self) -> Iterator[str]:
        _missing(self._what)

    def __len__(self) -> int:  # noqa: PLE0303 — it always raises
        _missing(self._what)


class Variables(dict[str, object]):
    """Flat facts of which some were not recorded. A fact that was recorded as not known is simply not there."""

    def __init__(self, known: Mapping[str, object], unrecorded: frozenset[str]) -> None:
        super().__init__(known)
        self._unrecorded = unrecorded | {name for name, value in known.items() if _is_unrecorded(value)}

    def __contains__(self, name: object) -> bool:
        self._require(name)
        return super().__contains__(name)

    def __getitem__(self, name: str) -> object:
        self._require(name)
        return super().__getitem__(name)

    def get(self, name: str, default: object = None) -> object:
        """Return the fact, or `default` when it is known not to be there."""
        self._require(name)
        return super().get(name, default)

    def _require(self, name: object) -> None:
        if name in self._unrecorded:
            _missing(str(name))


def _is_unrecorded(value: object) -> bool:
    return isinstance(value, UnrecordedText) or (
        isinstance(value, list) and any(isinstance(each, UnrecordedText) for each in value)
    )


class UnrecordedState(Mapping[Any, object]):
    """Changeable facts, none of which is recorded."""

    def __getitem__(self, name: Any) -> object:
        _missing(f"state: {getattr(name, 'kind', name)}")

    def __iter__(self) -> Iterator[Any]:
        _missing("state")

    def __len__(self) -> int:  # noqa: PLE0303 — it always raises
        _missing("state")
