"""Who acts for whom: the `act` claim (RFC 8693 section 4.1).

1. No `act`: the subject acts itself. `may_act` says who could become an actor and proves nothing; it is not read.
2. The outermost `act` is the actor; those nested in it are earlier actors, most recent first.
3. Each is an object with a non-empty `sub`. Anything else, and a chain longer than `MAX_DELEGATION_DEPTH`, refuses the
   token: a delegation that cannot be read must never turn into "not delegated".
4. An actor without `iss` is one of the token's issuer. One of another issuer is taken only where the operator lets this
   issuer name that one's callers as actors: else whoever may issue any token could make itself act as anybody, with the
   rights that rules and the registry give to another issuer's callers.
5. Its kind and roles are read with the claim names of the issuer's mapping from the actor's own object; a fixed value
   and an expression in the mapping speak of subjects only, and an actor whose kind is not known meets no rule that asks
   for one.
6. `exp`, `nbf` and `aud` within `act` have no meaning and are not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import Refusal
from extauthz.identity.claims import find_claim, optional_text, refuse_claim, required_text, texts_of
from extauthz.identity.rules import FieldSource, FromClaim
from extauthz.limits import MAX_DELEGATION_DEPTH
from extauthz.model.identity import Kind, Principal
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.identity.rules import MappingRules

PROVABLE_KINDS: Final = tuple(kind.value for kind in Kind if kind is not Kind.ANONYMOUS)
"""What a credential can prove its holder to be."""

_KINDS: Final = {name: Kind(name) for name in PROVABLE_KINDS}

_FOREIGN: Final = "Request a token whose actors are callers of its own issuer, or of one that it may speak for here."


@dataclass(frozen=True, slots=True)
class Delegation:
    """The actors of a token.

    Attributes:
        actor: who acts; None when the subject itself does.
        chain: earlier actors, most recent first.
    """

    actor: Principal | None = None
    chain: tuple[Principal, ...] = ()


_ITSELF: Final = Delegation()
"""Nobody acts for the subject."""


def read_delegation(
    claims: Mapping[str, Any], issuer: str, mapping: MappingRules, actors_of: frozenset[str] = frozenset()
) -> Delegation:
    """Return the actors that verified claims name.

    Args:
        claims: the verified claims.
        issuer: the token's issuer.
        mapping: the issuer's mapping.
        actors_of: other issuers whose callers it may name as actors.

    Raises:
        Refusal: `credentials_malformed` by rule 3, `issuer_unknown` by rule 4, `identity_unmapped` for a kind that is
            not known.
    """
    if "act" not in claims:
        return _ITSELF
    actors: list[Principal] = []
    party = claims
    while "act" in party:
        party = party["act"]
        if not isinstance(party, dict):
            refuse_claim("act", "an object")
        if len(actors) == MAX_DELEGATION_DEPTH:
            refuse_claim("act", f"nested at most {MAX_DELEGATION_DEPTH} deep")
        actor = _read_actor(party, issuer, mapping)
        if actor.issuer != issuer and actor.issuer not in actors_of:
            raise Refusal(
                Reason.ISSUER_UNKNOWN, _FOREIGN, inner=f"actors_of of {issuer} does not list the actor's issuer"
            )
        actors.append(actor)
    return Delegation(actors[0], tuple(actors[1:]))


def _read_actor(party: Mapping[str, Any], issuer: str, mapping: MappingRules) -> Principal:
    return Principal(
        issuer=optional_text(party, "iss") or issuer,
        subject=required_text(party, "sub"),
        kind=_read_kind(party, mapping.kind),
        client=optional_text(party, "client_id"),
        roles=frozenset(_read_texts(party, mapping.roles)),
    )


def _read_kind(party: Mapping[str, Any], source: FieldSource) -> Kind | None:
    if not isinstance(source, FromClaim):
        return None
    value = find_claim(party, source.name)
    return None if value is None else kind_of(value)


def _read_texts(party: Mapping[str, Any], source: FieldSource) -> tuple[str, ...]:
    return texts_of(find_claim(party, source.name), source.name) if isinstance(source, FromClaim) else ()


def kind_of(value: Any) -> Kind:
    """Return the kind that a claim or a setting names.

    Raises:
        Refusal: `identity_unmapped`; `anonymous` is nothing that a credential can prove.
    """
    kind = _KINDS.get(value) if isinstance(value, str) else None
    if kind is None:
        kinds = ", ".join(PROVABLE_KINDS)
        raise Refusal(Reason.IDENTITY_UNMAPPED, f"The issuer must say what kind of caller this is, one of: {kinds}.")
    return kind
