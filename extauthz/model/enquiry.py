"""What a requirement has to have asked, and what was answered.

A requirement looks at facts and decides; it does not wait. Where somebody else has the say (another decision point, a
plug-in that takes its time) it says what is to be asked and fails. Whoever decides has that asked, and decides anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from extauthz.model.state import StateName

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquiry:
    """Something to ask.

    Attributes:
        kind: `external` or `plugin`: who knows how to ask it.
        of: who is asked: the name of the decision point, the kind of the plug-in.
        digest: of all that the answer depends on, hexadecimal; two enquiries with the same one are the same.
        question: what is asked, in the form that whoever asks expects.
    """

    kind: str
    of: str
    digest: str
    question: Any = field(compare=False, repr=False)

    @property
    def name(self) -> StateName:
        """Return the name of the answer."""
        return StateName("answer", f"{self.kind} {self.of} {self.digest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What was answered.

    Attributes:
        said: the answer, in a form that the requirement understands.
        asked_at: when the asking began.
        until: first instant at which it may be another; None when it holds for the decision that asked and no other.
    """

    said: Any
    asked_at: Instant
    until: Instant | None


def _nobody(_: Enquiry) -> None:
    """Answer nothing."""


class Enquiries:
    """What the requirements of one decision ask.

    Args:
        find: returns what was answered already; None when nothing was.

    Attributes:
        open: what has to be asked, in that order. True for what the decision can do without when it is an allow.
        spare: whether what is asked now is such.
    """

    __slots__ = ("_find", "open", "spare")

    def __init__(self, find: Callable[[Enquiry], Answered | None] = _nobody) -> None:
        self._find = find
        self.open: dict[Enquiry, bool] = {}
        self.spare = False

    def find_answer(self, enquiry: Enquiry) -> Answered | None:
        """Return what was answered; None when it has to be asked, which is noted."""
        answered = self._find(enquiry)
        if answered is None:
            self.open[enquiry] = self.open.get(enquiry, True) and self.spare
        return answered
