"""Decision → one line of JSON, for people who ask afterwards.

A record is built from named fields: what is not listed here is not written. Header values, queries, bodies, tokens and
claims are not listed. Texts that clients choose (method, host, path, request id, attributes) are bounded and redacted
(`redact.py`). Session and token ids are identifiers and are kept, because revocation starts from them.

What was not reached or is not known is absent. The shape is `record.schema.json`, beside this file; members are added,
never renamed silently. `format` says which members a record can have: in format 2 what policy decided on is there or
named (`read_from`, `cut`), so that the decision can be made again under another policy.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from extauthz.audit.redact import RECORDED_JSON, to_recorded
from extauthz.limits import MAX_RECORDED_LIST
from extauthz.model.identity import Binding
from extauthz.model.shadow import ShadowChange
from extauthz.model.verdict import Allow, to_published

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from extauthz.clock import Instant
    from extauthz.ids import RuleId
    from extauthz.model.decision import Decision, Home, Observed, Target
    from extauthz.model.identity import Identity, Principal
    from extauthz.model.request import Request
    from extauthz.model.shadow import Shadow
    from extauthz.model.verdict import Trail, Verdict
    from extauthz.ports import Occurrence

RECORD_FORMAT: Final = 2
"""`format` of the records that we write; those before the second had none."""

_NARROWING: Final = "extauthz."
"""Context extensions that begin so speak to us; the operator wrote them, and they are few."""

Record = dict[str, Any]
"""A JSON object as `record.schema.json` describes it."""

_OF_UUIDS: Final = "0123456789abcdef-"
_UUID_CHARACTERS: Final = 36
_MICROSECONDS: Final = 1_000_000
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)
"""ASCII only, so that no terminal or log reader is fooled by control characters or line separators."""

_TEXTS_OF_PARTY: Final = ("issuer", "subject", "kind", "client")
"""Members that are called like attributes of `Principal`; so are the next ones those of `Registration`, `Identity`."""

_TEXTS_OF_REGISTRATION: Final = ("owner", "purpose", "peer_group")
_TEXTS_OF_IDENTITY: Final = (
    "client",
    "tenant",
    "session",
    "token_id",
    "workload",
    "profile",
    "acr",
    "environment",
    "device",
    "transaction",
)
_LISTS_OF_IDENTITY: Final = ("scopes", "groups", "amr", "transaction_scopes", "transaction_workloads")

_texts_of_party = attrgetter(*_TEXTS_OF_PARTY)
_texts_of_registration = attrgetter(*_TEXTS_OF_REGISTRATION)
_texts_of_identity = attrgetter(*_TEXTS_OF_IDENTITY)
_lists_of_identity = attrgetter(*_LISTS_OF_IDENTITY)

_to_recorded_json = RECORDED_JSON.__getitem__

_own_json = lru_cache(maxsize=1024)(_ENCODER.encode)
"""JSON of a text that the operator wrote."""


def to_record(decision: Decision, latency: float) -> Record:
    """Return the record of a decision, as whoever reads its line gets it."""
    record: Record = json.loads(to_line(decision, latency))
    return record


def to_line(decision: Decision, latency: float) -> bytes:
    """Return the record of a decision as one line of JSON, newline included.

    Args:
        decision: what was decided.
        latency: seconds between receiving the question and having the answer.
    """
    return close_line(open_line(decision, latency), decision.shadow)


def open_line(decision: Decision, latency: float, fault: str = "") -> str:
    """Return the line of a decision without its end, which `close_line` makes.

    Lines are put together from pieces that are JSON already: most pieces are the same in many lines.

    Args:
        decision: what was decided.
        latency: seconds between receiving the question and having the answer.
        fault: why it cannot be recorded in full; then it is recorded in short.
    """
    return (
        f'{{"time":"{to_rfc3339(decision.at)}","decision_id":"{decision.decision_id}",{_to_outcome(decision)},'
        f'"latency_us":{round(latency * _MICROSECONDS)}{_to_members(decision, fault, own=True)}'
    )


def open_common(decision: Decision, fault: str = "") -> str:
    """Return what is the same in the lines of all repetitions of a kept decision, without their end."""
    return _to_outcome(decision) + _to_members(decision, fault, own=False)


def close_line(opened: str, shadow: Shadow | None, mark: str = "") -> bytes:
    """Return a line that is complete.

    Args:
        opened: from `open_line` or `open_common`.
        shadow: of the decision. What it says is looked up now: it may have become known since the line was opened.
        mark: the last members.
    """
    told = _to_shadow(shadow) if shadow is not None else ""
    return f"{opened}{told}{mark}}}\n".encode("ascii")


def to_repeated_line(common: bytes, occurrence: Occurrence) -> bytes:
    """Return the line of one repetition; `"cached":true` tells it from a decision that was made anew.

    Args:
        common: from `open_common`, closed.
        occurrence: what is its own.
    """
    decision_id, at, latency, request_id, trace_id = occurrence
    own = (
        f'{{"time":"{to_rfc3339(at)}","decision_id":"{decision_id}",'
        f'"latency_us":{round(latency * _MICROSECONDS)},"cached":true{_to_ids(request_id, trace_id)},'
    )
    return own.encode("ascii") + common


def _to_ids(request_id: str, trace_id: str) -> str:
    """Return the members that lead to other logs. A UUID, as Envoy makes them, is recorded without a search."""
    request = ""
    if request_id:
        plain = len(request_id) <= _UUID_CHARACTERS and not request_id.strip(_OF_UUIDS)
        if plain and trace_id:
            return f',"request_id":"{request_id}","trace_id":"{trace_id}"'
        text = f'"{request_id}"' if plain else _ENCODER.encode(to_recorded(request_id))
        request = f',"request_id":{text}'
    return f'{request},"trace_id":"{trace_id}"' if trace_id else request  # 32 hexadecimal digits and nothing else.


def _to_shadow(shadow: Shadow) -> str:
    outcome = shadow.outcome
    if outcome is None or outcome.change is ShadowChange.SKIPPED:
        return ""
    known = (("reason", outcome.reason), ("rule", outcome.rule))
    told = {"outcome": outcome.outcome, "policy": outcome.policy} | {name: text for name, text in known if text}
    return f',"shadow":{_ENCODER.encode(told)}'


def to_rfc3339(at: Instant) -> str:
    """Return an instant in UTC with microseconds (RFC 3339)."""
    second, fraction = divmod(round(at * _MICROSECONDS), _MICROSECONDS)
    return f"{_second(second)}.{str(fraction).zfill(6)}Z"  # A third of the time that `:06d` takes.


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _to_outcome(decision: Decision) -> str:
    verdict = decision.verdict
    if isinstance(verdict, Allow):
        return '"outcome":"allow","reason":"allowed"'
    return f'"outcome":"deny","reason":"{verdict.reason}"'


def _to_members(decision: Decision, fault: str, *, own: bool) -> str:
    """Return the members after `latency_us`, a comma before each; `own`: with those that each repetition has itself."""
    if fault:
        return f',"inner":{RECORDED_JSON[fault]}'
    pieces = [f',"format":{RECORD_FORMAT}']
    _add_verdict(pieces, decision.verdict)
    if decision.observed is not None:
        _add_observed(pieces, decision.observed)
    if decision.policy:
        pieces.append(f',"policy":{_own_json(decision.policy)}')
    if decision.proxy:
        pieces.append(f',"proxy":{_own_json(decision.proxy)}')
    if decision.target is not None:
        _add_target(pieces, decision.target, decision.home)
    if decision.attributes:
        attributes = [
            f"{_own_json(name)}:{RECORDED_JSON[value] if isinstance(value, str) else _ENCODER.encode(value)}"
            for name, value in decision.attributes.items()
        ]
        pieces.append(f',"attributes":{{{",".join(attributes)}}}')
    if decision.identity is not None:
        _add_identity(pieces, decision.identity)
    if decision.request is not None:
        _add_request(pieces, decision.request, own=own)
    return "".join(pieces)


def _add_verdict(pieces: list[str], verdict: Verdict) -> None:
    pieces.append(_to_rules(verdict.rule, verdict.trail))
    if isinstance(verdict, Allow):
        return
    if verdict.remedies:
        pieces.append(f',"remedies":{_ENCODER.encode([to_published(remedy) for remedy in verdict.remedies])}')
    if verdict.inner:
        pieces.append(f',"inner":{RECORDED_JSON[verdict.inner]}')


@lru_cache(maxsize=1024)
def _to_rules(rule: RuleId | None, trail: Trail) -> str:
    """Return the rule that decided and the lists of a trail that are not empty."""
    lists = (
        ("met", trail.met),
        ("unmet", trail.unmet),
        ("would_deny", trail.would_deny),
        ("would_allow", trail.would_allow),
    )
    rules = {name: list(ids) for name, ids in lists if ids}
    decided = f',"rule":{_ENCODER.encode(rule)}' if rule else ""
    return f'{decided},"rules":{_ENCODER.encode(rules)}' if rules else decided


def _add_observed(pieces: list[str], observed: Observed) -> None:
    pieces.append(',"mode":"observe"')
    if observed.removes:
        names = [to_recorded(name) for name in observed.removes[:MAX_RECORDED_LIST]]
        pieces.append(f',"would_remove":{_ENCODER.encode(names)}')
    deny = observed.would
    if deny is None:
        return
    would: Record = {"outcome": "deny", "reason": deny.reason.value}
    if deny.rule:
        would["rule"] = deny.rule
    if deny.remedies:
        would["remedies"] = [to_published(remedy) for remedy in deny.remedies]
    if deny.inner:
        would["inner"] = to_recorded(deny.inner)
    pieces.append(f',"would":{_ENCODER.encode(would)}')


def _add_target(pieces: list[str], target: Target, home: Home) -> None:
    pieces.append(_to_target(target.resource, target.action, target.verify, target.credential, target.read_from))
    if home.namespace:
        pieces.append(f',"namespace":{_own_json(home.namespace)}')
    if home.owner:
        pieces.append(f',"policy_owner":{_own_json(home.owner)}')


@lru_cache(maxsize=1024)
def _to_target(resource: str, action: str, verify: str, credential: str, read_from: tuple[tuple[str, str], ...]) -> str:
    """Return what a policy says about the requests that it means by one action."""
    members: Record = {"resource": resource, "action": action}
    if verify:
        members |= {"verify": verify, "credential": credential}
    if read_from:
        members["read_from"] = dict(read_from)
    return f",{_ENCODER.encode(members)[1:-1]}"


def _add_identity(pieces: list[str], identity: Identity) -> None:
    pieces.append(f',"subject":{_to_party(identity.subject)}')
    if identity.actor is not None:
        pieces.append(f',"actor":{_to_party(identity.actor)}')
    if identity.chain:
        pieces.append(f',"chain":[{",".join([_to_party(party) for party in identity.chain])}]')
    _add_texts(pieces, zip(_TEXTS_OF_IDENTITY, _texts_of_identity(identity), strict=True))
    entry = identity.registration
    if entry is not None:
        _add_texts(pieces, (("registration", entry.name),))
        _add_texts(pieces, zip(_TEXTS_OF_REGISTRATION, _texts_of_registration(entry), strict=True))
    if identity.binding is not Binding.NONE:
        pieces.append(f',"binding":"{identity.binding}"')
    if identity.auth_time is not None:
        pieces.append(f',"auth_time":"{to_rfc3339(identity.auth_time)}"')
    if identity.checked_at is not None:
        pieces.append(f',"checked_at":"{to_rfc3339(identity.checked_at)}"')
    lists = [*zip(_LISTS_OF_IDENTITY, _lists_of_identity(identity), strict=True)]
    if identity.authorization_details:
        # Their other members may be what should not lie about in logs: accounts, amounts.
        lists.append(("authorization_details", [str(granted["type"]) for granted in identity.authorization_details]))
    _add_lists(pieces, lists)


def _add_texts(pieces: list[str], known: Iterable[tuple[str, str]]) -> None:
    """Add the texts that are not empty."""
    for name, text in known:
        if text:
            pieces.append(f',"{name}":{RECORDED_JSON[text]}')


def _add_lists(pieces: list[str], lists: Iterable[tuple[str, Collection[str]]]) -> None:
    """Add the lists that are not empty, sets in order; those that are too long are cut, and `cut` says so."""
    cut: list[str] = []
    after_first_cut = 0
    for name, texts in lists:
        if not texts:
            continue
        ordered = sorted(texts) if isinstance(texts, frozenset) else texts
        if len(texts) > MAX_RECORDED_LIST:
            cut.append(name)
            ordered = list(ordered)[:MAX_RECORDED_LIST]
            after_first_cut = after_first_cut or len(pieces) + 1
        pieces.append(f',"{name}":[{",".join(map(_to_recorded_json, ordered))}]')
    if cut:
        pieces.insert(after_first_cut, f',"cut":{_ENCODER.encode(cut)}')


def _to_party(party: Principal) -> str:
    pieces: list[str] = []
    _add_texts(pieces, zip(_TEXTS_OF_PARTY, _texts_of_party(party), strict=True))
    if party.roles:
        _add_lists(pieces, (("roles", party.roles),))
    return f"{{{''.join(pieces)[1:]}}}"


def _add_request(pieces: list[str], request: Request, *, own: bool) -> None:
    source = request.source
    known = (
        ("method", request.method),
        ("host", request.host),
        ("path", request.path),
        ("source", source.address),
        ("principal", source.principal),
        ("sni", source.sni),
        ("upgrade", request.upgrade),
        ("preflight", request.preflight_method),
    )
    _add_texts(pieces, known)
    if own:
        pieces.append(_to_ids(request.request_id, request.trace_id))
    if request.context:
        narrowed = {name: to_recorded(text) for name, text in request.context.items() if name.startswith(_NARROWING)}
        if narrowed:
            pieces.append(f',"context":{_ENCODER.encode(narrowed)}')
