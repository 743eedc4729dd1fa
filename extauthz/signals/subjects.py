"""Whom an event is about: subject identifiers → targets of restrictions.

1. A simple subject is a complex one with a single member: the one that the event is about (`principal`), a user unless
   the event says otherwise.
2. `jwt_id` names a token, and `iss_sub` its subject, client, device, session or tenant, by the member that it stands
   in. `opaque` and `uri` name a session, device, client or tenant of the issuer of the user, or else of the only issuer
   that the stream may report about; with several it would be a guess. A SPIFFE ID names the workload.
3. A user who is named in any other way (`email`, `phone_number`, …) is known to us only where the settings say that
   this is the caller's `sub` (`sub_formats`).
4. Of several members the most specific one is what a restriction is on; the others have to be met as well, and a caller
   who says nothing about one meets it (SSF 1.0: a member that is missing on either side matches anything). Callers who
   do not say the most specific one themselves are not hit: otherwise the end of one session would be that of every
   token without a session.
5. Members that we have no use for are passed over, because that is how complex subjects match. Unless they are
   critical: then the event is discarded. Or unless they are ones we know, in a form we cannot compare, and what is left
   is a tenant or a client: then it would hit many instead of one, and the event names nobody for us.
6. `aliases` name the same one in several ways: each is a target. More ways than are kept name nobody, and that is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Final

from extauthz.limits import MAX_EVENT_SUBJECTS
from extauthz.model.restriction import Form, Mark
from extauthz.signals.event_token import refuse
from extauthz.signals.identifiers import COMPLEX, Identifier, read_identifiers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.signals.rules import StreamRules

MEMBERS: Final[Mapping[str, Form]] = {
    "session": Form.SESSION,
    "device": Form.DEVICE,
    "user": Form.SUBJECT,
    "application": Form.CLIENT,
    "tenant": Form.TENANT,
}
"""Members of complex subjects that callers have, the most specific first."""

USER: Final = "user"
_SPECIFIC: Final = (Form.TOKEN, *MEMBERS.values())
_SETS: Final = frozenset({Form.CLIENT, Form.TENANT})
"""Targets with many callers."""
_SPIFFE: Final = "spiffe://"
_NAME: Final = re.compile(r"[a-z0-9_-]{1,32}")
_SHOWN: Final = 8
"""Members of a subject that a message names."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a restriction.

    Attributes:
        mark: whom the restriction is on.
        also: who else it has to be.
    """

    mark: Mark
    also: tuple[Mark, ...] = ()

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Return all of them."""
        return (self.mark, *self.also)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom an event is about, as far as we can tell.

    Attributes:
        targets: what callers can be compared with; none when the event names nobody for us.
        whole: whether what was passed over cannot matter: lifting must not reach further than the event says.
        critical: a critical member that we cannot use; the event must be discarded. Empty when there is none.
        problem: why there are no targets; empty when there are some.
    """

    targets: tuple[Target, ...] = ()
    whole: bool = True
    critical: str = ""
    problem: str = ""

    @property
    def text(self) -> str:
        """Return whom, for people."""
        return " or ".join(" and ".join(mark.name.of for mark in target.marks) for target in self.targets)


def read_subject(subject: Mapping[str, Any], rules: StreamRules, principal: str = USER) -> Subject:
    """Return whom `sub_id` names.

    Args:
        subject: as sent.
        rules: of the stream.
        principal: the member of a complex subject that the event is about.

    Raises:
        SignalError: it is not a valid subject.
    """
    named = _named(subject, principal)
    users = {mark.issuer for mark in _marks(USER, named.get(USER, ()), "", rules)}
    issuer = users.pop() if len(users) == 1 else rules.only_issuer
    found = {name: _marks(name, identifiers, issuer, rules) for name, identifiers in named.items()}
    passed_over = [name for name, marks in found.items() if not marks]
    critical = sorted(rules.critical.intersection(passed_over))
    if critical:
        return Subject(critical=critical[0])
    ways = product(*(marks for marks in found.values() if marks))
    targets = tuple(_target(way) for way in islice(ways, MAX_EVENT_SUBJECTS + 1) if way)
    if len(targets) > MAX_EVENT_SUBJECTS:
        return Subject(problem=f"the subject can be named in more than {MAX_EVENT_SUBJECTS} ways")
    individual = not any(target.mark.form in _SETS for target in targets)
    problem = _problem(named, passed_over, targets, individual=individual)
    if problem:
        return Subject(problem=problem)
    return Subject(targets=targets, whole=individual or not passed_over)


def _named(subject: Mapping[str, Any], principal: str) -> Mapping[str, tuple[Identifier, ...]]:
    if subject.get("format") != COMPLEX:
        return {principal: read_identifiers(subject)}
    named = {name: read_identifiers(value) for name, value in subject.items() if name != "format"}
    if not named:
        refuse("a complex subject has no members")
    return named


def _marks(member: str, identifiers: tuple[Identifier, ...], issuer: str, rules: StreamRules) -> tuple[Mark, ...]:
    found = [_mark(MEMBERS.get(member), each, issuer, rules) for each in identifiers]
    return tuple(dict.fromkeys(mark for mark in found if mark is not None))


def _mark(form: Form | None, identifier: Identifier, issuer: str, rules: StreamRules) -> Mark | None:  # noqa: PLR0911 — rules 2 and 3, one by one
    if form is None:
        return None
    match identifier.format, identifier.values:
        case "jwt_id", (owner, name):
            return Mark(Form.TOKEN, owner, name)
        case "iss_sub", (owner, name):
            return Mark(form, owner, name)
        case "uri", (name,) if form is Form.SUBJECT and name.startswith(_SPIFFE):
            return Mark(form, _trust_domain(name), name)
        case "opaque" | "uri", (name,) if form is not Form.SUBJECT and issuer:
            return Mark(form, issuer, name)
        case format_, (name,) if form is Form.SUBJECT and format_ in rules.sub_formats and rules.only_issuer:
            return Mark(form, rules.only_issuer, name)
        case _:
            return None


def _trust_domain(workload: str) -> str:
    return _SPIFFE + workload.removeprefix(_SPIFFE).partition("/")[0]


def _target(way: tuple[Mark, ...]) -> Target:
    mark, *also = sorted(way, key=lambda each: _SPECIFIC.index(each.form))
    return Target(mark, tuple(also))


def _problem(
    named: Mapping[str, tuple[Identifier, ...]],
    passed_over: list[str],
    targets: tuple[Target, ...],
    *,
    individual: bool,
) -> str:
    if targets and (individual or not any(name in MEMBERS for name in passed_over)):
        return ""
    what = ", ".join(f"{_shown(name)}: {_shown(named[name][0].format)}" for name in passed_over[:_SHOWN])
    return f"the subject cannot be compared with callers ({what})"


def _shown(name: str) -> str:
    """Return a name of theirs as it may be written into logs."""
    return name if _NAME.fullmatch(name) else "another"
