"""Bytes of registry files → a registry, or every problem in them.

1. Each entry is checked by itself, so that one mistake does not hide the others.
2. Names are unique, and nobody has two entries under the same name of theirs: which of them counts would be chance.
3. A role is bound to somebody in one place only once, so that there is one instant at which it ends.
4. A binding to a name needs an entry of that name.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from extauthz.clock import Instant
from extauthz.errors import FileError, Problem, RegistryError
from extauthz.model.registry import Registration, RoleBinding
from extauthz.registry.document import IdentityPart, MatchedBindingPart, MatchPart, NamedBindingPart, Part
from extauthz.registry.index import How, Match, Registry, without_issuer
from extauthz.validation import did_you_mean, problems_of
from extauthz.yamlfile import YamlFile, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from extauthz.yamlfile import Path

_PartType = TypeVar("_PartType", bound=Part)

_SECTIONS: Final = ("identities", "bindings")

NOT_ATTRIBUTES: Final = frozenset({"tenant", "resource"})
"""Names under `where` that mean something everywhere."""

_REVISION_CHARACTERS: Final = 12


@dataclass(frozen=True, slots=True)
class _Spot:
    """A part of a file."""

    file: YamlFile
    path: Path

    def problem(self, *inner: str | int, message: str, fix: str = "") -> Problem:
        """Return a problem that points at what stands inside, at the keys and indexes `inner`."""
        return self.file.problem((*self.path, *inner), message, fix)

    def __str__(self) -> str:
        place = self.problem(message="")
        return f"{place.file}:{place.line}"


@dataclass(slots=True)
class _Draft:
    """A registry under construction, and what is wrong with it."""

    registrations: dict[Match, Registration] = field(default_factory=dict)
    bindings: dict[Match, list[RoleBinding]] = field(default_factory=dict)
    matches: dict[str, Match] = field(default_factory=dict)
    named: dict[str, _Spot] = field(default_factory=dict)
    known: dict[Match, _Spot] = field(default_factory=dict)
    bound: dict[tuple[object, ...], _Spot] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    attributes: dict[str, Problem] = field(default_factory=dict)
    issuers: dict[str, Problem] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def build_registry(files: Mapping[str, bytes]) -> Registry:
    """Return the registry that the files state together.

    Args:
        files: content by name.

    Raises:
        RegistryError: something is wrong; every problem that could be found is listed, by file and line.
    """
    draft = _Draft()
    tops = [top for name in sorted(files) if (top := _read(name, files[name], draft.problems)) is not None]
    for top in tops:
        for raw, spot in _entries(top, "identities", draft.problems):
            _add_identity(raw, spot, draft)
    for top in tops:
        for raw, spot in _entries(top, "bindings", draft.problems):
            _add_binding(raw, spot, draft)
    if draft.problems:
        raise RegistryError(sorted(set(draft.problems)))
    return Registry(
        revision=_revision_of(files),
        registrations=draft.registrations,
        bindings={match: tuple(bindings) for match, bindings in draft.bindings.items()},
        matches=draft.matches,
        attributes=draft.attributes,
        issuers=draft.issuers,
    )


def _revision_of(files: Mapping[str, bytes]) -> str:
    """Return the name of the content: names and bytes of the files, each after its length."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for piece in (name.encode("utf-8", "surrogateescape"), files[name]):
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    return digest.hexdigest()[:_REVISION_CHARACTERS]


def _read(name: str, raw: bytes, problems: list[Problem]) -> YamlFile | None:
    """Return a file that is a mapping; None for an empty one and for one that cannot be read."""
    try:
        file = read_yaml(name, raw)
    except FileError as error:
        problems.extend(error.problems)
        return None
    if file.data is None:
        return None
    if not isinstance(file.data, dict):
        problems.append(file.problem((), "a registry file is a mapping", "begin with `identities:` or `bindings:`"))
        return None
    problems += [
        file.problem_at_key((key,), f"unknown key `{key}`", did_you_mean(key, _SECTIONS))
        for key in file.data
        if key not in _SECTIONS
    ]
    return file


def _entries(file: YamlFile, section: str, problems: list[Problem]) -> Iterator[tuple[Any, _Spot]]:
    items = file.data.get(section, [])
    if not isinstance(items, list):
        problems.append(file.problem((section,), f"`{section}` must be a list", "write `- ` before each entry"))
        return
    for position, item in enumerate(items):
        yield item, _Spot(file, (section, position))


def _read_part(model: type[_PartType], raw: Any, spot: _Spot, problems: list[Problem]) -> _PartType | None:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems.extend(problems_of(error, spot.file, model, spot.path))
        return None


def _add_identity(raw: Any, spot: _Spot, draft: _Draft) -> None:
    part = _read_part(IdentityPart, raw, spot, draft.problems)
    if part is None:
        name = raw.get("name") if isinstance(raw, dict) else None
        draft.damaged.update({name} if isinstance(name, str) else ())
        return
    match = _match_of(part.match, spot, draft)
    if (first := draft.named.setdefault(part.name, spot)) is not spot:
        message = f"the name `{part.name}` is taken at {first}"
        draft.problems.append(spot.problem("name", message=message, fix="choose another name"))
    if (first := draft.known.setdefault(match, spot)) is not spot:
        message = f"whoever this is about has an entry at {first}"
        draft.problems.append(spot.problem("match", message=message, fix="keep one of them"))
    draft.matches[part.name] = match
    draft.registrations[match] = Registration(
        name=part.name,
        owner=part.owner or "",
        purpose=part.purpose or "",
        environment=part.environment or "",
        kind=part.kind,
        networks=part.networks or (),
        expires_at=_instant(part.expires),
        review_by=_instant(part.review_by),
        peer_group=part.peer_group or "",
        standing=part.standing,
    )


def _add_binding(raw: Any, spot: _Spot, draft: _Draft) -> None:
    by_name = isinstance(raw, dict) and isinstance(raw.get("who"), str)
    model: type[NamedBindingPart | MatchedBindingPart] = NamedBindingPart if by_name else MatchedBindingPart
    part = _read_part(model, raw, spot, draft.problems)
    if part is None:
        return
    match = _match_of(part.who, spot, draft) if isinstance(part.who, MatchPart) else draft.matches.get(part.who)
    if match is None:
        if part.who not in draft.damaged:
            message, fix = f"there is no identity `{part.who}`", did_you_mean(str(part.who), draft.matches)
            draft.problems.append(spot.problem("who", message=message, fix=fix))
        return
    where = tuple(sorted((name, type(value).__name__, value) for name, value in part.where.items()))
    if (first := draft.bound.setdefault((match, part.role, where), spot)) is not spot:
        message = f"the same role is bound to the same party in the same place at {first}"
        draft.problems.append(spot.problem(message=message, fix="keep one of them"))
    for name in part.where:
        if name not in NOT_ATTRIBUTES and name not in draft.attributes:
            draft.attributes[name] = spot.file.problem_at_key((*spot.path, "where", name), "")
    binding = RoleBinding(role=part.role, where=dict(part.where), until=_instant(part.until))
    draft.bindings.setdefault(match, []).append(binding)


def _match_of(part: MatchPart, spot: _Spot, draft: _Draft) -> Match:
    how, name = part.named
    if part.issuer not in draft.issuers:
        draft.issuers[part.issuer] = spot.problem(message="")
    return Match(part.issuer, how, without_issuer(part.issuer, name) if how is How.WORKLOAD else name)


def _instant(seconds: float | None) -> Instant | None:
    return Instant(seconds) if seconds is not None else None
