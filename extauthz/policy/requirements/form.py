"""How requirements are read from a file: shared by the compilers of all kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from extauthz.errors import PolicyError
from extauthz.policy.document import Part
from extauthz.validation import problems_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

PartType = TypeVar("PartType", bound=Part)


def read_part(model: type[PartType], argument: Any, written: Written) -> PartType:
    """Return what a requirement was given, as `model`.

    Raises:
        PolicyError: it does not fit.
    """
    try:
        return model.model_validate(argument)
    except ValidationError as error:
        raise PolicyError(problems_of(error, written.file, model, written.path)) from error


def read_words(argument: Any, written: Written) -> tuple[str, ...]:
    """Return a list of texts, or the one text that stands for such a list.

    Raises:
        PolicyError: it is not one, or is empty.
    """
    if isinstance(argument, str) and argument:
        return (argument,)
    if not isinstance(argument, list) or not argument:
        written.refuse("must be a list that is not empty", "write for example `[a, b]`")
    for position, word in enumerate(argument):
        if not isinstance(word, str) or not word:
            written.at(position).refuse("must be text that is not empty", "quote it")
    return tuple(argument)


def require_counting(written: Written, surroundings: Surroundings) -> None:
    """Refuse a requirement that counts uses where nothing could count them.

    Raises:
        PolicyError: there is no state.
    """
    if not surroundings.spends:
        written.refuse("it counts uses, which needs `state` in the settings", "add `state` to the settings")


def listed(words: Iterable[str]) -> str:
    """Return words for a sentence: `a, b or c`."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last
