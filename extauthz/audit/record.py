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
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from extauthz.audit.redact import to_recorded
from extauthz.limits import MAX_RECORDED_LIST
from extauthz.model.identity import Binding
from extauthz.model.shadow import ShadowChange
from extauthz.model.verdict import Allow, to_published

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extauthz.clock import Instant
    from extauthz.model.decision import Decision, Observed, Target
    from extauthz.model.identity import Identity, Principal
    from extauthz.model.registry import Registration
    from extauthz.model.request import Request
    from extauthz.model.shadow import Shadow, ShadowOutcome
    from extauthz.model.verdict import Trail, Verdict
    from extauthz.ports import Occurrence

RECORD_FORMAT: Final = 2
"""`format` of the records that we write; those before the second had none."""

_NARROWING: Final = "extauthz."
"""Context extensions that begin so speak to us; the operator wrote them, and they are few."""

Record = dict[str, Any]
"""A JSON object as `record.schema.json` describes it."""

_HEXADECIMAL: Final = re.compile(r"[0-9a-f-]{1,64}")
_MICROSECONDS: Final = 1_000_000
_OWN_TO_EACH: Final = ("time", "decision_id", "latency_us", "request_id", "trace_id")
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False)
"""ASCII only, so that no terminal or log reader is fooled by control characters or line separators."""


def to_record(decision: Decision, latency: float) -> Record:
    """Return the record of a decision.

    Args:
        decision: what was decided.
        latency: seconds between receiving the question and having the answer.
    """
    record: Record = {
        "time": to_rfc3339(decision.at),
        "decision_id": decision.decision_id,
        "outcome": "allow" if decision.allowed else "deny",
        "reason": decision.reason.value,
        "latency_us": round(latency * _MICROSECONDS),
        "format": RECORD_FORMAT,
    }
    _add_verdict(record, decision.verdict)
    _add_observed(record, decision.observed)
    if decision.policy:
        record["policy"] = decision.policy
    if decision.proxy:
        record["proxy"] = decision.proxy
    if decision.target is not None:
        _add_target(record, decision.target)
    if decision.home.namespace:
        record["namespace"] = decision.home.namespace
    if decision.home.owner:
        record["policy_owner"] = decision.home.owner
    if decision.attributes:
        record["attributes"] = {
            name: to_recorded(value) if isinstance(value, str) else value for name, value in decision.attributes.items()
        }
    if decision.identity is not None:
        _add_identity(record, decision.identity)
    if decision.request is not None:
        _add_request(record, decision.request)
    if decision.shadow is not None:
        record["shadow"] = decision.shadow
    return record


def to_common(record: Record) -> bytes:
    """Return what is the same in the records of all repetitions of a kept decision: a line without its start."""
    return to_line({name: value for name, value in record.items() if name not in _OWN_TO_EACH})[1:]


def to_repeated_line(common: bytes, occurrence: Occurrence) -> bytes:
    """Return the line of one repetition; `"cached":true` tells it from a decision that was made anew.

    Args:
        common: from `to_common`.
        occurrence: what is its own.
    """
    ids = f',"request_id":{_to_quoted(occurrence.request_id)}' if occurrence.request_id else ""
    if occurrence.trace_id:
        ids += f',"trace_id":"{occurrence.trace_id}"'
    own = (
        f'{{"time":"{to_rfc3339(occurrence.at)}","decision_id":"{occurrence.decision_id}",'
        f'"latency_us":{round(occurrence.latency * _MICROSECONDS)},"cached":true{ids},'
    )
    return own.encode("ascii") + common


def _to_quoted(request_id: str) -> str:
    """Return a request id as JSON text. A UUID, as Envoy makes them, is recorded as it is."""
    if _HEXADECIMAL.fullmatch(request_id) is not None:
        return f'"{request_id}"'
    return _ENCODER.encode(to_recorded(request_id))


def to_line(record: Record) -> bytes:
    """Return a record as one line of JSON, newline included."""
    shadow = record.get("shadow")
    if shadow is not None:  # Not earlier: it may have become known since the record was built.
        record = {**record, "shadow": _to_shadow(shadow.outcome)} if _is_told(shadow) else _without_shadow(record)
    return _ENCODER.encode(record).encode("ascii") + b"\n"


def _is_told(shadow: Shadow) -> bool:
    return shadow.outcome is not None and shadow.outcome.change is not ShadowChange.SKIPPED


def _without_shadow(record: Record) -> Record:
    return {name: value for name, value in record.items() if name != "shadow"}


def _to_shadow(outcome: ShadowOutcome | None) -> dict[str, str]:
    if outcome is None:
        return {}
    known = (("reason", outcome.reason), ("rule", outcome.rule))
    return {"outcome": outcome.outcome, "policy": outcome.policy} | {name: text for name, text in known if text}


def to_rfc3339(at: Instant) -> str:
    """Return an instant in UTC with microseconds (RFC 3339)."""
    second, fraction = divmod(round(at * _MICROSECONDS), _MICROSECONDS)
    return f"{_second(second)}.{fraction:06d}Z"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _add_observed(record: Record, observed: Observed | None) -> None:
    if observed is None:
        return
    record["mode"] = "observe"
    if observed.removes:
        record["would_remove"] = [to_recorded(name) for name in observed.removes[:MAX_RECORDED_LIST]]
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
    record["would"] = would


def _add_verdict(record: Record, verdict: Verdict) -> None:
    if verdict.rule:
        record["rule"] = verdict.rule
    rules = _to_rules(verdict.trail)
    if rules:
        record["rules"] = {name: list(ids) for name, ids in rules}
    if isinstance(verdict, Allow):
        return
    if verdict.remedies:
        record["remedies"] = [to_published(remedy) for remedy in verdict.remedies]
    if verdict.inner:
        record["inner"] = to_recorded(verdict.inner)


@lru_cache(maxsize=1024)
def _to_rules(trail: Trail) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the lists of a trail that are not empty."""
    lists = (
        ("met", trail.met),
        ("unmet", trail.unmet),
        ("would_deny", trail.would_deny),
        ("would_allow", trail.would_allow),
    )
    return tuple((name, ids) for name, ids in lists if ids)


def _add_target(record: Record, target: Target) -> None:
    record["resource"] = target.resource
    record["action"] = target.action
    if target.verify:
        record["verify"] = target.verify
        record["credential"] = target.credential
    if target.read_from:
        record["read_from"] = dict(target.read_from)


def _add_identity(record: Record, identity: Identity) -> None:
    record["subject"] = _to_party(identity.subject)
    if identity.actor is not None:
        record["actor"] = _to_party(identity.actor)
    if identity.chain:
        record["chain"] = [_to_party(party) for party in identity.chain]
    known = (
        ("client", identity.client),
        ("tenant", identity.tenant),
        ("session", identity.session),
        ("token_id", identity.token_id),
        ("workload", identity.workload),
        ("profile", identity.profile),
        ("acr", identity.acr),
        ("environment", identity.environment),
        ("device", identity.device),
        ("transaction", identity.transaction),
        *_declared(identity.registration),
    )
    _add_texts(record, known)
    if identity.binding is not Binding.NONE:
        record["binding"] = identity.binding.value
    for name, instant in (("auth_time", identity.auth_time), ("checked_at", identity.checked_at)):
        if instant is not None:
            record[name] = to_rfc3339(instant)
    lists = (
        ("scopes", sorted(identity.scopes)),
        ("groups", sorted(identity.groups)),
        ("amr", list(identity.amr)),
        ("transaction_scopes", sorted(identity.transaction_scopes)),
        ("transaction_workloads", list(identity.transaction_workloads)),
        # Their other members may be what should not lie about in logs: accounts, amounts.
        ("authorization_details", [str(granted["type"]) for granted in identity.authorization_details]),
    )
    _add_lists(record, lists)


def _add_texts(entry: dict[str, Any], known: Iterable[tuple[str, str]]) -> None:
    """Add the texts that are not empty."""
    for name, text in known:
        if text:
            entry[name] = to_recorded(text)


def _declared(entry: Registration | None) -> tuple[tuple[str, str], ...]:
    if entry is None:
        return ()
    members = (("registration", entry.name), ("owner", entry.owner), ("purpose", entry.purpose))
    return (*members, ("peer_group", entry.peer_group))


def _add_lists(entry: dict[str, Any], lists: Iterable[tuple[str, list[str]]]) -> None:
    """Add the lists that are not empty; one that is too long is cut, and `cut` says so."""
    for name, texts in lists:
        if texts:
            entry[name] = [to_recorded(text) for text in texts[:MAX_RECORDED_LIST]]
        if len(texts) > MAX_RECORDED_LIST:
            entry["cut"] = [*entry.get("cut", ()), name]


def _to_party(party: Principal) -> dict[str, Any]:
    known = (
        ("issuer", party.issuer),
        ("subject", party.subject),
        ("kind", party.kind.value if party.kind is not None else ""),
        ("client", party.client),
    )
    entry: dict[str, Any] = {}
    _add_texts(entry, known)
    if party.roles:
        _add_lists(entry, (("roles", sorted(party.roles)),))
    return entry


def _add_request(record: Record, request: Request) -> None:
    known = (
        ("method", request.method),
        ("host", request.host),
        ("path", request.path),
        ("source", request.source.address),
        ("principal", request.source.principal),
        ("sni", request.source.sni),
        ("upgrade", request.upgrade),
        ("preflight", request.preflight_method),
    )
    _add_texts(record, known)
    if request.request_id:
        plain = _HEXADECIMAL.fullmatch(request.request_id) is not None  # As in `_to_quoted`.
        record["request_id"] = request.request_id if plain else to_recorded(request.request_id)
    if request.trace_id:
        record["trace_id"] = request.trace_id  # 32 hexadecimal digits and nothing else.
    if request.context:
        narrowed = {name: to_recorded(text) for name, text in request.context.items() if name.startswith(_NARROWING)}
        if narrowed:
            record["context"] = narrowed
