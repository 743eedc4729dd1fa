"""Evidence → a policy file for people to read: the evidence beside each line, and what only they can know as `# ?`.

The text is the same for the same evidence. Everything that clients chose is quoted and escaped, so that no name can end
a line or begin another key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extauthz.policytools.propose import NOBODY, UNKNOWN, Caller, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from extauthz.policytools.propose import Evidence, Use

_ACTIONS: Final[Mapping[str, str]] = {
    "GET": "read",
    "POST": "create",
    "PUT": "replace",
    "PATCH": "change",
    "DELETE": "delete",
}
_FEW_SCOPES: Final = 8
"""Scopes that a comment lists."""

_SCOPE: Final = re.compile(r"[!#-\[\]-z|~]+")
"""Scopes as RFC 6749 section 3.3 has them, without braces, which would be filled in."""

_NOT_AN_ID: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Offer:
    """One endpoint under the name that the policy gives it."""

    name: str
    action: str
    endpoint: Endpoint

    @property
    def target(self) -> str:
        """Return `resource.action`."""
        return f"{self.name}.{self.action}"


def to_policy(evidence: Evidence, *, min_uses: int = 1) -> str:
    """Return a policy that permits what was used, and nothing else.

    Args:
        evidence: from decision logs.
        min_uses: callers who used something less often get no permit, but a question.
    """
    offers = _name(evidence.endpoints())
    lines = [
        "# Proposed from decision records. It permits what was used, and nothing else. A comment with a question mark",
        "# is a question that no log can answer: answer it, then remove it.",
        f"# {evidence.records:,} records were read.",
        *_questions_left_out(evidence),
    ]
    resources = [line for offer in offers for line in _resource(offer)]
    permits = list(_permits(offers, min_uses))
    if resources:
        lines += ["", "resources:", *resources]
    if permits:
        lines += ["", "permits:", *permits]
    return "\n".join(lines).rstrip("\n") + "\n"


def _questions_left_out(evidence: Evidence) -> Iterator[str]:
    for why, count in sorted(evidence.left_out.items()):
        yield f"# ? {_times(count, 'record')} left out: {why}"


def _name(endpoints: Iterable[Endpoint]) -> list[_Offer]:
    """Return the endpoints under names of their own."""
    taken: set[tuple[str, str]] = set()
    offers = []
    for endpoint in endpoints:
        action = _ACTIONS.get(endpoint.method, endpoint.method.lower())
        base = endpoint.cluster.name if endpoint.cluster.name[:1].isalpha() else f"r-{endpoint.cluster.name}"
        base = "its-extauthz" if base == "extauthz" else base
        name, number = base, 2
        while (name, action) in taken:
            name, number = f"{base}-{number}", number + 1
        taken.add((name, action))
        offers.append(_Offer(name, action, endpoint))
    return offers


def _resource(offer: _Offer) -> Iterator[str]:
    endpoint = offer.endpoint
    host, path = _quoted(endpoint.host), _quoted(endpoint.cluster.template)
    callers = len(endpoint.uses)
    yield f"  - name: {offer.name} # {_times(endpoint.count, 'request')} of {_times(callers, 'caller')}"
    yield f"    action: {offer.action}"
    yield f"    match: {{host: {host}, path: {path}, methods: [{endpoint.method}]}}"
    for guessed in endpoint.cluster.guessed:
        yield f"    # ? is {{{guessed}}} any name at all? Many different ones were seen; list them if they are few"
    if endpoint.public:
        yield "    credential: none"
        yield "    # ? is this meant for everybody? Nobody ever showed a credential"
    else:
        yield from _proof(endpoint)
    if endpoint.preflights:
        yield f"    preflight: true # browsers asked {_times(endpoint.preflights, 'time')} whether they may"
    if endpoint.removes:
        counted = ", ".join(f"{name} ({count:,})" for name, count in sorted(endpoint.removes.items()))
        yield f"    # ? does the service need these? Enforcing removes them unless `forward` names them: {counted}"


def _proof(endpoint: Endpoint) -> Iterator[str]:
    ordered = sorted(endpoint.proven_by.items(), key=lambda entry: (-entry[1], entry[0]))
    credential, verify = ordered[0][0] if ordered else ("bearer", "default")
    if credential != "bearer":
        yield f"    credential: {_quoted(credential)}"
    if verify != "default":
        yield f"    verify: {_quoted(verify)}"
    for (other, profile), count in ordered[1:]:
        yield f"    # ? {_times(count, 'request')} came with {_quoted(other)}, profile {_quoted(profile)}"
    nobody = endpoint.uses.get(NOBODY)
    if nobody is not None:
        yield f"    # ? {_times(nobody.count, 'request')} came without a credential and would be refused"


def _permits(offers: Sequence[_Offer], min_uses: int) -> Iterator[str]:
    """Yield a permit for each caller and set of scopes, in one order."""
    granted: dict[tuple[Caller, tuple[str, ...]], list[tuple[_Offer, Use]]] = {}
    seldom: dict[Caller, list[tuple[_Offer, Use]]] = {}
    for offer in offers:
        endpoint = offer.endpoint
        known = {caller: use for caller, use in endpoint.uses.items() if caller != NOBODY or endpoint.public}
        shared = _shared_scopes(known.values())
        for caller, use in known.items():
            if use.count < min_uses:
                seldom.setdefault(caller, []).append((offer, use))
            else:
                granted.setdefault((caller, shared), []).append((offer, use))
    ids: set[str] = set()
    for (caller, scopes), uses in sorted(granted.items(), key=lambda entry: entry[0]):
        yield from _permit(_id_for(caller, ids), caller, scopes, uses)
    for caller, uses in sorted(seldom.items()):
        for offer, use in uses:
            yield f"  # ? {_describe(caller)} gets no permit for {offer.target}: only {_used(use)}"


def _shared_scopes(uses: Iterable[Use]) -> tuple[str, ...]:
    """Return the scopes that every credential had, of every caller."""
    found: frozenset[str] | None = None
    for use in uses:
        scopes = use.scopes or frozenset()
        found = scopes if found is None else found & scopes
    return tuple(sorted(scope for scope in found or () if _SCOPE.fullmatch(scope)))


def _permit(name: str, caller: Caller, scopes: tuple[str, ...], uses: list[tuple[_Offer, Use]]) -> Iterator[str]:
    yield f"  - id: {name}"
    yield f"    who: {_who(caller)}"
    if caller.behalf:
        yield f"    limit: actor # it acted for others, each of them {caller.behalf}"
    yield "    may:"
    for offer, use in uses:
        yield f"      - {offer.target} # {_used(use)}"
    clauses = []
    if caller.behalf not in {"", UNKNOWN}:
        clauses.append(f"      - identity: {{kind: [{caller.behalf}], of: subject}}")
    if scopes:
        clauses.append(f"      - scopes: [{', '.join(map(_quoted, scopes))}]")
    if clauses:
        yield "    require:"
        yield from clauses
    yield from _questions(caller, scopes, uses)


def _questions(caller: Caller, scopes: tuple[str, ...], uses: list[tuple[_Offer, Use]]) -> Iterator[str]:
    if caller == NOBODY:
        return
    if len(scopes) > 1:
        yield "    # ? every credential had all of these scopes: which of them does this need?"
    seen = sorted({scope for _, use in uses for scope in use.seen})
    if seen and not scopes:
        listed = ", ".join(map(_quoted, seen[:_FEW_SCOPES])) + (" …" if len(seen) > _FEW_SCOPES else "")
        yield f"    # ? no scope was always there, so none is asked for; seen were {listed}"
    if not caller.kind:
        yield "    # ? of what kind is this caller? Its issuer's mapping does not say"
    if not caller.client and not caller.subject:
        people = len({subject for _, use in uses for subject in use.subjects})
        yield f"    # ? may everybody of this kind do this, or some by role? {_times(people, 'subject')} did"


def _who(caller: Caller) -> str:
    if caller == NOBODY:
        return "{kind: [anonymous]}"
    parts = [f"kind: [{caller.kind}]"] if caller.kind else []
    named = (("issuers", caller.issuer), ("clients", caller.client), ("subjects", caller.subject))
    parts += [f"{name}: [{_quoted(text)}]" for name, text in named if text]
    return "{" + ", ".join(parts) + "}"


def _describe(caller: Caller) -> str:
    if caller == NOBODY:
        return "whoever shows no credential"
    return f"{caller.kind or 'somebody'} {_quoted(caller.client or caller.subject)} of {_quoted(caller.issuer)}"


def _id_for(caller: Caller, taken: set[str]) -> str:
    words = f"{caller.client or caller.subject or caller.kind or 'somebody'} {'for others' if caller.behalf else ''}"
    base = _NOT_AN_ID.sub("-", words.lower()).strip("-") or "somebody"
    base = base if base[0].isalpha() and not base.startswith("extauthz") else f"by-{base}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


def _used(use: Use) -> str:
    return f"{_times(use.count, 'use')}, last {use.last[:19]}Z"


def _times(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _quoted(text: str) -> str:
    """Return text as a quoted scalar of YAML. A dollar sign is doubled at the start, where it would name a list."""
    text = f"${text}" if text.startswith("$") else text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if letter in {'"', "\\"}:
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
