"""Which steps of the argument about a token were taken, by the code that serves.

Nothing is judged here. While the real code runs, Python's profiling hook notes which of the functions below are
entered; when it refuses, the traceback says in which of them. So the code that serves pays nothing for being explained,
and what is told cannot differ from what it does.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from extauthz.errors import Refusal
from extauthz.ports import NeedsEvidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType

Result = TypeVar("Result")

STEPS: Final = {
    ("extauthz.identity.credentials", "find_bearer"): "the request carries one credential",
    ("extauthz.identity.opaque", "verify_opaque"): "the issuer vouches for the token",
    ("extauthz.identity.signed", "parse_token"): "the token can be read in one way only",
    ("extauthz.identity.bearer", "_select_rules"): "the issuer is one of the profile's",
    ("extauthz.identity.signed", "verify_type"): "the type is that of an access token",
    ("extauthz.identity.signed", "verify_algorithm"): "the issuer may sign with this algorithm",
    ("extauthz.identity.signed", "find_key"): "the issuer has the key that the token names",
    ("extauthz.identity.signed", "verify_signed"): "the signature verifies",
    ("extauthz.identity.bearer", "_read_names"): "the required claims are there",
    ("extauthz.identity.signed", "read_life"): "the times are times",
    ("extauthz.identity.signed", "verify_audience"): "the audience is the profile's",
    ("extauthz.identity.signed", "verify_times"): "the token is good now, and neither too long-lived nor too old",
    ("extauthz.identity.opaque", "require_still_active"): "the issuer vouches for the token now",
    ("extauthz.identity.status_list", "look_up_status"): "the token is not revoked by its status list",
    ("extauthz.identity.binding", "verify_binding"): "the sender is the one that the token was made for",
    ("extauthz.identity.dpop", "bound_thumbprint"): "the token is bound to a key and to nothing else",
    ("extauthz.identity.binding", "verify_way"): "the profile accepts tokens that are bound in this way, or not at all",
    ("extauthz.identity.delegation", "read_delegation"): "the delegation can be read",
    ("extauthz.identity.mapping", "to_identity"): "the claims describe a caller",
    ("extauthz.identity.standing", "require_standing"): "everybody is declared who must be",
    ("extauthz.identity.standing", "_require_good_standing"): "nobody is quarantined, disabled, or past their end",
    ("extauthz.identity.standing", "_require_kinds"): "declared and proven kinds agree",
    ("extauthz.identity.standing", "_agreed_environment"): "declared and proven environments agree",
    ("extauthz.identity.standing", "_require_network"): "the credential comes from where it may",
}
"""Module and function → what passing it means, as people read it."""

PASSED: Final = "passed"
REFUSED: Final = "refused"
NOT_MADE: Final = "not made"


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was begun.

    Attributes:
        name: what it is about.
        outcome: `passed`, `refused` or `not made`, which means that something is missing to make it.
        reason: reason code of a refusal.
        detail: the sentence for the client.
        inner: what happened, for the operator.
    """

    name: str
    outcome: str = PASSED
    reason: str = ""
    detail: str = ""
    inner: str = ""


@dataclass(frozen=True, slots=True)
class Watched(Generic[Result]):
    """What came of a run.

    Attributes:
        steps: in the order in which they were begun.
        result: what was returned; None after a refusal.
        refusal: what was raised.
    """

    steps: tuple[Step, ...]
    result: Result | NeedsEvidence | None
    refusal: Refusal | None = None


def watch(run: Callable[[], Result | NeedsEvidence]) -> Watched[Result]:
    """Return what `run` does, step by step.

    Args:
        run: calls the code that serves, in this thread.
    """
    begun: dict[str, None] = {}

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        name = _name_of(frame) if event == "call" else None
        if name is not None:
            begun[name] = None

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        result = run()
    except Refusal as refusal:
        return Watched(tuple(_refused(list(begun), refusal)), None, refusal)
    finally:
        sys.setprofile(before)
    names = list(begun)
    if isinstance(result, NeedsEvidence):
        return Watched((*map(Step, names[:-1]), *(Step(name, NOT_MADE) for name in names[-1:])), result)
    return Watched(tuple(map(Step, names)), result)


def _refused(names: list[str], refusal: Refusal) -> Iterator[Step]:
    """Yield the steps of a run that ended in a refusal: those that were under way then did not pass."""
    under_way = list(_names_in(refusal.__traceback__))
    for name in names:
        if name not in under_way:
            yield Step(name)
    name = under_way[-1] if under_way else "the request can be judged"
    yield Step(name, REFUSED, refusal.reason.value, refusal.detail, refusal.inner)


def _names_in(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        name = _name_of(traceback.tb_frame)
        if name is not None:
            yield name
        traceback = traceback.tb_next


def _name_of(frame: FrameType) -> str | None:
    return STEPS.get((frame.f_globals.get("__name__", ""), frame.f_code.co_name))
