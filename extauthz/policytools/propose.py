"""Decision logs → what was used, by whom, how often: the evidence that a least-privilege policy is written from.

Only what went through is evidence for a permit: what policy has refused stays refused. A caller who could not be proven
is evidence for nothing and becomes an open question.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from extauthz.model.identity import Kind
from extauthz.model.reason import Reason
from extauthz.model.request import METHODS
from extauthz.policytools.moments import parse_moment
from extauthz.policytools.propose_paths import Cluster, cluster
from extauthz.policytools.records import read_line
from extauthz.redact import REDACTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from extauthz.clock import Instant
    from extauthz.policytools.records import Recorded

MAX_PLACES: Final = 50_000
"""Different pairs of method and path that are told apart; what is beyond them is only counted."""

_CUT: Final = "…"
_CODE: Final = re.compile(r"[a-z][a-z_]*")


@dataclass(frozen=True, slots=True, order=True)
class Caller:
    """Who used something, as a permit can name it.

    Attributes:
        kind: of the subject, or of the actor where somebody acted for the subject; empty when it is not known.
        issuer: who vouched for that party.
        client: its OAuth client; empty when there is none.
        subject: its name; empty where the client names it, and for people.
        behalf: kind of the subject for whom an actor acted, or `UNKNOWN`; empty when the subject acted itself.
    """

    kind: str = ""
    issuer: str = ""
    client: str = ""
    subject: str = ""
    behalf: str = ""


NOBODY: Final = Caller(kind="anonymous")

UNKNOWN: Final = "of a kind that is not known"
"""`behalf` of an actor for a subject of no known kind."""


@dataclass(slots=True)
class Use:
    """How often something was used.

    Attributes:
        count: how often.
        last: when the last time, RFC 3339.
        scopes: those that every credential had; None before the first.
        seen: all scopes that were seen.
        subjects: different subjects, as far as they are counted.
    """

    count: int = 0
    last: str = ""
    scopes: frozenset[str] | None = None
    seen: frozenset[str] = frozenset()
    subjects: set[str] = field(default_factory=set)

    def add(self, members: Mapping[str, Any], subject: str) -> None:
        """Count one more."""
        scopes = frozenset(map(str, members.get("scopes", ())))
        whole = "scopes" not in members.get("cut", ())
        self.count += 1
        self.last = max(self.last, str(members["time"]))
        self.scopes = scopes if self.scopes is None else self.scopes & scopes
        if not whole:
            self.scopes = frozenset()
        self.seen |= scopes
        if len(self.subjects) <= _MANY_SUBJECTS:
            self.subjects.add(subject)

    def merge(self, other: Use) -> None:
        """Count what another counted as well."""
        self.count += other.count
        self.last = max(self.last, other.last)
        if other.scopes is not None:
            self.scopes = other.scopes if self.scopes is None else self.scopes & other.scopes
        self.seen |= other.seen
        self.subjects |= other.subjects


_MANY_SUBJECTS: Final = 1_000


@dataclass(slots=True)
class Endpoint:
    """One method on one template of one host.

    Attributes:
        host: canonical.
        method: upper case.
        cluster: the template.
        uses: by caller.
        proven_by: credential and profile, by how often.
        removes: credential headers that enforcing would remove, by how often.
        preflights: how often browsers asked whether they may.
    """

    host: str
    method: str
    cluster: Cluster
    uses: dict[Caller, Use] = field(default_factory=dict)
    proven_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    removes: Counter[str] = field(default_factory=Counter)
    preflights: int = 0

    @property
    def public(self) -> bool:
        """Return whether nobody has ever shown a credential here."""
        return set(self.uses) == {NOBODY} and not self.removes

    @property
    def count(self) -> int:
        """Return how often it was used."""
        return sum(use.count for use in self.uses.values())


@dataclass(slots=True)
class _Place:
    uses: dict[Caller, Use] = field(default_factory=dict)
    proven_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    removes: Counter[str] = field(default_factory=Counter)
    preflights: int = 0


@dataclass(slots=True)
class Evidence:
    """What logs tell.

    Attributes:
        records: records that were read, those out of time included.
        left_out: records that are evidence for nothing, by why.
    """

    records: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    _places: dict[tuple[str, str, str], _Place] = field(default_factory=dict)

    def read(
        self,
        lines: Iterable[bytes],
        *,
        since: Instant | None = None,
        progress: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Take in a log.

        Args:
            lines: of the log.
            since: older records are left out.
            progress: told of the bytes of each line.
        """
        for line in lines:
            progress(len(line))
            recorded = read_line(line)
            if recorded is None:
                self.left_out["a line that is no decision record"] += 1
                continue
            self.records += 1
            if since is None or parse_moment(recorded.members["time"]) >= since:
                self._add(recorded)

    def endpoints(self) -> list[Endpoint]:
        """Return what was used, in one order, and count what no template can write."""
        by_host: dict[str, dict[str, set[str]]] = {}
        for host, method, path in self._places:
            by_host.setdefault(host, {}).setdefault(path, set()).add(method)
        found: dict[tuple[str, str, str], Endpoint] = {}
        clusters = {host: cluster(paths) for host, paths in by_host.items()}
        for (host, method, path), place in sorted(self._places.items(), key=lambda entry: entry[0]):
            made = clusters[host].get(path)
            if made is None:
                self.left_out["a path that no template can write"] += sum(use.count for use in place.uses.values())
                continue
            endpoint = found.setdefault((host, made.template, method), Endpoint(host, method, made))
            for caller, use in place.uses.items():
                endpoint.uses.setdefault(caller, Use()).merge(use)
            endpoint.proven_by += place.proven_by
            endpoint.removes += place.removes
            endpoint.preflights += place.preflights
        return [found[key] for key in sorted(found) if found[key].uses]

    def _add(self, recorded: Recorded) -> None:
        why = _why_not(recorded)
        if why:
            self.left_out[why] += 1
            return
        members = recorded.members
        asked = str(members.get("preflight", ""))
        method = asked or str(members["method"])
        key = (str(members["host"]), "GET" if method == "HEAD" else method, str(members["path"]))
        if key not in self._places and len(self._places) >= MAX_PLACES:
            self.left_out["more different paths than can be told apart"] += 1
            return
        place = self._places.setdefault(key, _Place())
        if asked:
            place.preflights += 1
            return
        caller, subject = _caller(recorded)
        place.uses.setdefault(caller, Use()).add(members, subject)
        place.removes.update(map(str, members.get("would_remove", ())))
        if caller != NOBODY:
            place.proven_by[str(members.get("credential", "bearer")), str(members.get("verify", "default"))] += 1


def _why_not(recorded: Recorded) -> str:
    """Return why a record is evidence for nothing; empty when it is evidence."""
    return _why_unread(recorded) or ("" if "preflight" in recorded.members else _why_unknown(recorded))


def _why_unread(recorded: Recorded) -> str:
    members, reason = recorded.members, recorded.judged.reason
    reason = reason if _CODE.fullmatch(reason) else "for a reason that is none"
    if not recorded.outcome.allowed:
        return f"it was refused: {reason}"
    if not all(name in members for name in ("host", "method", "path")):
        return f"it could not be read: {reason}"
    if any(REDACTED in str(members[name]) or str(members[name]).endswith(_CUT) for name in ("host", "path")):
        return "its path was redacted or cut in the record"
    if members["method"] not in METHODS:
        return "its method is not known"
    return f"it was not decided: {reason}" if recorded.undecided else ""


def _why_unknown(recorded: Recorded) -> str:
    members, reason = recorded.members, recorded.judged.reason
    if recorded.unproven and reason != Reason.NO_CREDENTIALS:
        return f"its caller could not be proven: {reason}"
    if "upgrade" in members:
        return "it asks for another protocol (`upgrades`)"
    if "subject" not in members:
        return "" if reason == Reason.NO_CREDENTIALS else "nobody knows who asked"
    caller, _ = _caller(recorded)
    if not caller.issuer and caller != NOBODY:
        return "its caller has no issuer, so no permit can name it"
    names = (caller.issuer, caller.client, caller.subject)
    return "its caller has a name that no policy can say" if any(text != text.strip() for text in names) else ""


def _caller(recorded: Recorded) -> tuple[Caller, str]:
    """Return who used something, and the subject's name."""
    members = recorded.members
    subject = members.get("subject")
    if not isinstance(subject, dict) or subject.get("kind") == "anonymous":
        return NOBODY, ""
    actor = members.get("actor")
    party = actor if isinstance(actor, dict) else subject
    client = str(party.get("client", ""))
    kind, name = _kind(party), str(party.get("subject", ""))
    behalf = _kind(subject) or UNKNOWN if party is actor else ""
    named = "" if client or kind == "user" else name
    return Caller(kind, str(party.get("issuer", "")), client, named, behalf), str(subject.get("subject", ""))


def _kind(party: Mapping[str, Any]) -> str:
    """Return the kind of a party; empty when it is not known, or none."""
    kind = str(party.get("kind", ""))
    return kind if kind in _KINDS else ""


_KINDS: Final = frozenset(kind.value for kind in Kind)
