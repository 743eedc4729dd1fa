"""`acme.ticket-age: {at_most: 7d}`: a requirement from a plug-in that settings pin (`extauthz/plugin.py`).

A check sees the facts that its kind declares and nothing else. It is asked once in a decision, so that what was decided
and how long that holds come from the same answer. Whatever it does besides answering denies. One that waits for others
is asked aside, with a deadline (`model/enquiry.py`); one that does not answer in time denies as well.
"""

from __future__ import annotations

import json
import math
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from extauthz import plugin
from extauthz.model.enquiry import Enquiry
from extauthz.model.reason import Reason
from extauthz.policy.requirements.standing import digest_of
from extauthz.policy.rules import MET, Failed, Finding, Stateless, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

KIND: Final = "plugin"
"""The kind of enquiry by which plug-ins are asked aside."""

MAX_DETAIL_CHARACTERS: Final = 200
"""Characters of a plug-in's sentence that anybody gets to see."""

_NOT_KEPT: Final = -math.inf


@dataclass(frozen=True, slots=True)
class AddedKind:
    """A kind of requirement that was pinned, verified and loaded.

    Attributes:
        reads: flat names of the facts that its checks see.
        compile: returns a check for an argument; may raise anything.
        waits: whether its checks may wait for others, so that they are asked aside.
    """

    reads: frozenset[str]
    compile: Callable[[Any], plugin.Check]
    waits: bool = False


@dataclass(frozen=True, slots=True)
class _Raised:
    """A check raised something of this name instead of answering."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Added(Stateless):
    """What a plug-in checks.

    Attributes:
        kind: of the requirement.
        reads: what its check sees.
        check: answers.
        waits: whether it is asked aside.
        digest: of what the policy gave it.
    """

    kind: str
    reads: frozenset[str]
    check: plugin.Check
    waits: bool = False
    digest: bytes = b""

    def find(self, facts: Facts) -> Finding:
        """Return what the plug-in answered."""
        return self._answer(facts)[0]

    def changes_at(self, facts: Facts) -> float:
        """Return until when the plug-in's answer holds; at once when it does not say.

        A plug-in that was not asked had no say, because its rule does not apply. That changes only with facts whose own
        end counts already, so the plug-in is not asked now.
        """
        if self not in facts.said:
            return math.inf
        return max(self._answer(facts)[1], facts.at)

    def _answer(self, facts: Facts) -> tuple[Finding, float]:
        answer = facts.said.get(self)
        if answer is None:
            answer = facts.said[self] = self._ask(facts)
        return answer

    def _ask(self, facts: Facts) -> tuple[Finding, float]:
        known = {name: facts.variables[name] for name in self.reads if name in facts.variables}
        seen: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in known.items()
        }
        at = float(facts.at)
        if not self.waits:
            return self._read(self._call(seen, at))
        digest = digest_of(self.kind, self.digest.hex(), sorted(seen.items())).hex()
        enquiry = Enquiry(kind=KIND, of=self.kind, digest=digest, question=lambda: self._call(seen, at))
        answered = facts.enquiries.find_answer(enquiry)
        if answered is None:
            return Failed(f"{self.kind} has not answered", Reason.EVIDENCE_UNAVAILABLE), _NOT_KEPT
        return self._read(answered.said)

    def _call(self, seen: dict[str, Any], at: float) -> object:
        try:
            return self.check(MappingProxyType(seen), at)
        except (Exception, SystemExit) as error:  # noqa: BLE001 — whatever a plug-in raises denies, and ends nothing else
            return _Raised(type(error).__name__)

    def _read(self, answer: object) -> tuple[Finding, float]:
        """Return what an answer means; one that is not of the agreed form is a failure."""
        match answer:
            case plugin.Met(until=until) if _is_until(until):
                return MET, _NOT_KEPT if until is None else until
            case plugin.Unmet(detail=detail, until=until) if type(detail) is str and _is_until(until):
                return Unmet(Reason.PLUGIN_DENIED, detail=printable(detail)), _NOT_KEPT if until is None else until
            case _Raised(name=name):
                return Failed(f"{self.kind} raised {name}"), _NOT_KEPT
            case plugin.Failed(inner=inner) if type(inner) is str:
                return Failed(f"{self.kind}: {printable(inner)}"), _NOT_KEPT
            case _:
                return Failed(f"{self.kind} gave no answer of the agreed form"), _NOT_KEPT


def compile_added(kind: str, argument: Any, written: Written, surroundings: Surroundings) -> Added:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: settings do not name the plug-in, it does not accept the argument, or it reads what is not there.
    """
    if surroundings.plugins is None:
        written.refuse(f"`{kind}` comes from a plug-in, which settings name", "say which with --config")
    added = surroundings.plugins.get(kind)
    if added is None:
        fix = "name it under `plugins` in the settings"
        if surroundings.plugins:
            fix += f"; {did_you_mean(kind, surroundings.plugins)}"
        written.refuse(f"there is no plug-in `{kind}`", fix)
    missing = sorted(added.reads - surroundings.facts.keys())
    if missing:
        fix = "declare the attribute, or require it elsewhere"
        written.refuse(f"`{kind}` reads `{missing[0]}`, which `{surroundings.label}` does not have", fix)
    try:
        check = added.compile(deepcopy(argument))
    except plugin.ArgumentError as error:
        written.refuse(printable(str(error)) or f"`{kind}` does not accept this", f"see the documentation of `{kind}`")
    except (Exception, SystemExit) as error:  # noqa: BLE001 — a plug-in may raise anything; the policy is kept out
        written.refuse(f"`{kind}` raised {type(error).__name__}", f"see the documentation of `{kind}`")
    if not callable(check):
        written.refuse(f"`{kind}` made no check of this", "have the plug-in mended")
    given = digest_of(json.loads(json.dumps(argument, default=str)))
    return Added(kind, added.reads, check, added.waits, given)


def printable(text: str) -> str:
    """Return the beginning of a plug-in's text, without what cannot be printed on one line."""
    return "".join(each for each in text[: 2 * MAX_DETAIL_CHARACTERS] if each.isprintable())[:MAX_DETAIL_CHARACTERS]


def _is_until(until: object) -> bool:
    return until is None or (type(until) in {int, float} and not math.isnan(until))  # type: ignore[arg-type]  # a number here
