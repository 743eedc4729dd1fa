"""Decision logs: reading them line by line, and what one record gives to a decision under another policy.

A record holds what was decided on, not what was sent. What it lacks (queries, headers, bodies, claims, state) is put
there as `unrecorded.py` has it, so that a decision that needs it comes out as "cannot be told".
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Final, cast

from extauthz.audit.actions import ACTION_START
from extauthz.audit.record import RECORD_FORMAT
from extauthz.errors import Refusal
from extauthz.judge import Given, KnownState, NotRecorded
from extauthz.model.identity import Binding, Credential, Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.model.registry import Registration
from extauthz.model.request import Body, Headers, Request, Source
from extauthz.policy.attributes import IN_BODY, Fixed, FromPath, origin_name
from extauthz.policy.names import FactType
from extauthz.policytools.changes import Outcome
from extauthz.policytools.moments import parse_moment
from extauthz.policytools.unrecorded import KnownEntries, Unrecorded, UnrecordedState, UnrecordedText, Variables
from extauthz.redact import REDACTED
from extauthz.request.bounds import CONTEXT_PREFIX
from extauthz.request.path import target_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from extauthz.clock import Instant
    from extauthz.model.facts import AttributeValue, Facts
    from extauthz.policy.attributes import Attribute
    from extauthz.policy.ruleset import Route

MAX_LINE: Final = 1024 * 1024
"""Bytes of one line of a log; a record is far smaller."""

_CUT: Final = "…"

UNDECIDED: Final = frozenset(
    {
        "overloaded",
        "internal_error",
        "evidence_unavailable",
        "proxy_unauthenticated",
        "state_stale",
        "signals_stale",
    }
)
"""Reasons of requests that policy was never asked about, for want of ours; nobody can tell what it had said."""

_NOT_POLICY: Final = frozenset({Reason.PROXY_OUT_OF_BOUNDS.value})
"""Refusals by the settings, which no policy changes."""

UNPROVEN: Final = frozenset(
    reason.value
    for reason in Reason
    if reason.value.startswith(("token_", "credentials_", "issuer_", "audience_", "binding_", "proof_", "identity_"))
) | {"no_credentials", "signature_invalid", "session_revoked", "step_up_required"}
"""Refusals of the caller before policy is asked what the caller may do."""

_OF_RULES_TOO: Final = frozenset({"evidence_unavailable", "binding_missing", "step_up_required"})
"""Those of both that a rule can make as well; the record names the rule then."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One decision record.

    Attributes:
        members: as written.
        outcome: how the request was answered.
    """

    members: Mapping[str, Any]
    outcome: Outcome

    @property
    def judged(self) -> Outcome:
        """Return what policy said: of a request that was only observed, what enforcing would have answered."""
        would = self.members.get("would")
        return Outcome(allowed=False, reason=str(would.get("reason", ""))) if isinstance(would, dict) else self.outcome

    @property
    def undecided(self) -> bool:
        """Return whether policy was never asked, for want of ours."""
        return self._without_policy(UNDECIDED)

    @property
    def unproven(self) -> bool:
        """Return whether the caller was refused before policy was asked."""
        return self._without_policy(UNPROVEN)

    def _without_policy(self, reasons: frozenset[str]) -> bool:
        would = self.members.get("would")
        ruled = "rule" in (would if isinstance(would, dict) else self.members)
        return self.judged.reason in reasons and not (ruled and self.judged.reason in _OF_RULES_TOO)

    @property
    def decision_id(self) -> str:
        """Return the name of the decision."""
        return str(self.members.get("decision_id", ""))

    @property
    def kind(self) -> str:
        """Return the kind of the subject; empty when it is not known."""
        subject = self.members.get("subject")
        return str(subject.get("kind", "")) if isinstance(subject, dict) else ""

    @property
    def client(self) -> str:
        """Return the client, else the subject, of the caller; empty when it is not known."""
        subject = self.members.get("subject")
        known = subject if isinstance(subject, dict) else {}
        return str(self.members.get("client") or known.get("subject", ""))

    @property
    def target(self) -> str:
        """Return `resource.action`; empty when the request meant none."""
        if "resource" not in self.members:
            return ""
        return f"{self.members['resource']}.{self.members.get('action', '')}"

    def example(self) -> str:
        """Return the record in a few words."""
        asked = f"{self.members.get('method', '?')} {self.members.get('host', '')}{self.members.get('path', '?')}"
        return f"{self.decision_id} {asked}"


def open_log(path: Path) -> IO[bytes]:
    """Open a log for reading; one whose name ends with `.gz` is unpacked on the way.

    Raises:
        OSError: it cannot be opened.
    """
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def read_line(line: bytes) -> Recorded | None:
    """Return the record in a line; None when there is none."""
    try:
        members = json.loads(line)
        allowed = {"allow": True, "deny": False}[members["outcome"]]
        outcome = Outcome(allowed, str(members["reason"]))
        parse_moment(members["time"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Recorded(members, outcome)


def lines_of(log: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a log that are not empty and tell of no action; too long ones are cut, and so no record."""
    while line := log.readline(MAX_LINE):
        if not line.isspace() and not line.startswith(ACTION_START):
            yield line


def unchangeable(recorded: Recorded) -> bool:
    """Return whether no policy changes the outcome: the request could not be read, or the settings refuse it."""
    members, reason = recorded.members, recorded.judged.reason
    if reason in UNDECIDED:
        return False
    inner = members.get("would", members).get("inner")
    return "host" not in members or reason in _NOT_POLICY or inner == "tenant of the route"


def to_given(recorded: Recorded) -> Given:
    """Return what a record gives to a decision.

    Raises:
        NotRecorded: it is too little from the start.
    """
    members = recorded.members
    if members.get("format") != RECORD_FORMAT:
        what = "a record of an older version"
        raise NotRecorded(what)
    if recorded.undecided:
        what = f"a decision: it was {recorded.judged.reason}"
        raise NotRecorded(what)
    return Given(
        read_request=lambda: _to_request(members),
        identify=lambda route, _: _identify(recorded, route),
        state=KnownState(),
        at=parse_moment(members["time"]),
        read_attributes=lambda route, request: _read_attributes(recorded, route, request),
        see=_see,
    )


def _see(facts: Facts) -> Facts:
    return replace(facts, variables=Variables(facts.variables, frozenset()), state=UnrecordedState())


def _text(value: object) -> str:
    text = str(value)
    return UnrecordedText(text) if REDACTED in text or text.endswith(_CUT) else text


def _to_request(members: Mapping[str, Any]) -> Request:
    path, host = str(members["path"]), str(members["host"])
    for name, text in (("path", path), ("host", host)):
        if isinstance(_text(text), UnrecordedText):
            what = f"the whole {name}"
            raise NotRecorded(what)
    narrowed = members.get("context", {})
    return Request(
        method=str(members["method"]),
        host=host,
        path=path,
        segments=target_from(path).segments,
        query=_unrecorded("query"),
        headers=cast("Headers", Unrecorded("headers")),
        body=cast("Body", Unrecorded("body")),
        upgrade=str(members.get("upgrade", "")),
        preflight_method=str(members.get("preflight", "")),
        source=Source(
            address=_text(members.get("source", "")),
            principal=_text(members.get("principal", "")),
            sni=_text(members.get("sni", "")),
            certificate=_unrecorded("client certificate"),
        ),
        context=KnownEntries("context", CONTEXT_PREFIX, narrowed),
    )


def _unrecorded(what: str) -> Any:
    return Unrecorded(what)


def _identify(recorded: Recorded, route: Route) -> Identity:
    """Return the caller of a record, if a route would have proven the same one.

    Raises:
        NotRecorded: the route asks for another credential, or verifies by another profile; or nobody was proven then.
        Refusal: the caller could not be proven then, and the route asks for the same.
    """
    members = recorded.members
    asked = (members.get("verify", ""), members.get("credential", ""))
    wanted = (route.verify or "", route.credential.value)
    if asked != wanted:
        what = f"a caller proven by {wanted[1]}, profile `{wanted[0]}`"
        raise NotRecorded(what)
    if recorded.unproven:
        raise Refusal(Reason(recorded.judged.reason), inner="as recorded")
    if "subject" not in members:
        what = "who asked"
        raise NotRecorded(what)
    return _to_identity(members)


def _to_identity(members: Mapping[str, Any]) -> Identity:
    actor = members.get("actor")
    return Identity(
        subject=_to_principal(members["subject"]),
        actor=_to_principal(actor) if actor is not None else None,
        chain=tuple(_to_principal(party) for party in members.get("chain", ())),
        tenant=_text(members.get("tenant", "")),
        session=_text(members.get("session", "")),
        scopes=_texts(members, "scopes"),
        groups=_texts(members, "groups"),
        acr=_text(members.get("acr", "")),
        amr=_whole(members, "amr"),
        auth_time=_moment(members, "auth_time"),
        checked_at=_moment(members, "checked_at"),
        token_id=_text(members.get("token_id", "")),
        workload=_text(members.get("workload", "")),
        environment=_text(members.get("environment", "")),
        device=_text(members.get("device", "")),
        credential=Credential(members.get("credential", "none")),
        binding=Binding(members.get("binding", "none")),
        profile=_text(members.get("profile", "")),
        authorization_details=_unrecorded("authorization_details"),
        transaction=_text(members.get("transaction", "")),
        transaction_scopes=_texts(members, "transaction_scopes"),
        transaction_workloads=_whole(members, "transaction_workloads"),
        registration=_to_registration(members),
        claims=_unrecorded("claims"),
    )


def _to_principal(party: Mapping[str, Any]) -> Principal:
    return Principal(
        issuer=_text(party.get("issuer", "")),
        subject=_text(party.get("subject", "")),
        kind=Kind(party["kind"]) if "kind" in party else None,
        client=_text(party.get("client", "")),
        roles=_texts(party, "roles"),
    )


def _texts(members: Mapping[str, Any], name: str) -> frozenset[str]:
    if name in members.get("cut", ()):
        return cast("frozenset[str]", Unrecorded(f"all {name}"))
    return frozenset(_text(each) for each in members.get(name, ()))


def _whole(members: Mapping[str, Any], name: str) -> tuple[str, ...]:
    if name in members.get("cut", ()):
        return cast("tuple[str, ...]", Unrecorded(f"all {name}"))
    return tuple(_text(each) for each in members.get(name, ()))


def _to_registration(members: Mapping[str, Any]) -> Registration | None:
    if "registration" not in members:
        return None
    return Registration(
        name=_text(members["registration"]),
        owner=_text(members.get("owner", "")),
        purpose=_text(members.get("purpose", "")),
        peer_group=_text(members.get("peer_group", "")),
        environment=_unrecorded("registration.environment"),
        networks=_unrecorded("registration.networks"),
    )


def _moment(members: Mapping[str, Any], name: str) -> Instant | None:
    text = members.get(name)
    return parse_moment(text) if text is not None else None


def _read_attributes(recorded: Recorded, route: Route, request: Request) -> dict[str, AttributeValue]:
    """Return the attributes of a route's resource: from the path, or as recorded if they were read at the same place.

    Raises:
        NotRecorded: one was not, or was read elsewhere.
        Refusal: the policy does not accept a value.
    """
    known = tuple(each for each in route.attributes if isinstance(each.origin, FromPath | Fixed))
    found = replace(route, attributes=known).read_attributes(request)
    for attribute in route.attributes:
        if attribute not in known:
            value = _recorded_value(recorded, attribute)
            if value is not None:
                found[attribute.name] = value
    return found


def _recorded_value(recorded: Recorded, attribute: Attribute) -> AttributeValue | None:
    """Return the value of an attribute; None when it was read and was not there."""
    members, name = recorded.members, attribute.name
    place = origin_name(attribute.origin)
    value: AttributeValue | None = members.get("attributes", {}).get(name)
    if members.get("read_from", {}).get(name) != place or (value is None and not _was_evaluated(recorded)):
        raise NotRecorded(place)
    if value is None:
        if attribute.default is None and not attribute.optional:
            raise Refusal(_refused_attribute(attribute), inner=f"attribute {name}")
        return attribute.default
    if isinstance(_text(value), UnrecordedText) or type(value) is not _PYTHON_TYPES[attribute.type]:
        raise NotRecorded(place)
    if attribute.one_of and value not in attribute.one_of:
        raise Refusal(_refused_attribute(attribute), inner=f"attribute {name}")
    return value


_PYTHON_TYPES: Final[Mapping[FactType, type]] = {FactType.TEXT: str, FactType.NUMBER: int, FactType.FLAG: bool}


def _refused_attribute(attribute: Attribute) -> Reason:
    return Reason.UNREADABLE_BODY if isinstance(attribute.origin, IN_BODY) else Reason.MALFORMED_REQUEST


def _was_evaluated(recorded: Recorded) -> bool:
    """Return whether rules were asked, so that attributes had been read before."""
    return recorded.judged.allowed or "rules" in recorded.members or recorded.judged.reason == Reason.NO_PERMIT


def find_decision(lines: Iterable[bytes], decision_id: str) -> Recorded | None:
    """Return the record of a decision; None when the log does not hold it."""
    wanted = decision_id.encode()
    for line in lines:
        if wanted in line:
            recorded = read_line(line)
            if recorded is not None and recorded.decision_id == decision_id:
                return recorded
    return None
