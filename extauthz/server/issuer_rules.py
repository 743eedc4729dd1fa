"""Settings of an issuer → the rules that its tokens are held against."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from extauthz.errors import ConfigError, Problem
from extauthz.identity.expressions import ExpressionError, compile_field
from extauthz.identity.opaque import opaque_shape
from extauthz.identity.rules import FieldSource, FixedValue, FromClaim, IssuerRules, MappingRules, StatusRules
from extauthz.identity.shapes import SHAPES

if TYPE_CHECKING:
    from extauthz.config.issuers import IssuerSettings
    from extauthz.config.mapping import ClaimSource, MappingSettings
    from extauthz.config.statuslists import StatusListSettings

_LISTS = frozenset({"roles", "groups"})


def rules_of(settings: IssuerSettings) -> IssuerRules:
    """Return the rules that the settings state.

    Raises:
        ConfigError: a mapping expression is not acceptable; every one that is not is listed.
    """
    shape = SHAPES[settings.profile]
    opaque, asked = settings.tokens == "opaque", settings.introspection
    return IssuerRules(
        issuer=settings.issuer,
        algorithms=settings.algorithms,
        leeway=settings.leeway,
        max_lifetime=settings.max_lifetime,
        shape=opaque_shape(shape) if opaque else shape,
        required_claims=settings.required_claims,
        accept_id_tokens=settings.accept_id_tokens,
        mapping=_mapping(settings.issuer, settings.map, shape.mapping),
        actors_of=frozenset(settings.actors_of),
        opaque=opaque,
        prefix=asked.prefix if asked is not None else "",
        introspects=asked is not None,
        status=_status(settings.status_list) if settings.status_list is not None else None,
    )


def _status(settings: StatusListSettings) -> StatusRules:
    return StatusRules(uris=settings.uris, required=settings.required, ignored=settings.ignored)


def _mapping(issuer: str, settings: MappingSettings, shape: MappingRules) -> MappingRules:
    """Return the shape's mapping with what the operator says in its place."""
    sources: dict[str, FieldSource] = {}
    problems = []
    for field in type(settings).model_fields:
        source = getattr(settings, field)
        if source is None:
            continue
        try:
            sources[field] = _source(field, source)
        except ExpressionError as error:
            where = f"issuers[{issuer}].map.{field}.cel"
            problems.append(Problem(where, 0, 0, str(error), "see docs/credentials/jwt.md, section Mapping"))
    if problems:
        raise ConfigError(problems)
    return replace(shape, **sources)


def _source(field: str, settings: ClaimSource) -> FieldSource:
    if settings.cel is not None:
        return compile_field(settings.cel, field, many=field in _LISTS)
    # Exactly one of the three is set; the settings refuse anything else.
    return FromClaim(settings.claim) if settings.claim is not None else FixedValue(settings.value or "")
