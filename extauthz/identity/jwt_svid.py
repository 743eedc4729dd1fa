"""JWT-SVIDs (SPIFFE JWT-SVID standard): a workload's SPIFFE ID in a bearer token, signed by its trust domain.

1. The trust domain of `sub` says whose keys verify the token; there need not be an `iss` (section 3). The signature
   then proves that the trust domain said so, and that trust domain can speak of its own workloads only.
2. The keys are those of the trust domain's bundle that are published for this use (`use: jwt-svid`, with a `kid`), so
   that a certificate authority of the same bundle cannot sign tokens.
3. `alg` is one of RS, ES and PS (section 2.1; the settings refuse others), `typ` is absent, `JWT` or `JOSE`
   (section 2.3), and the header has no other members (section 2).
4. `sub`, `aud` and `exp` are there (section 3); `iat` and `jti` may be missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from extauthz.identity.claims import refuse_claim
from extauthz.identity.rules import Computed, FixedValue, IssuerRules, MappingRules, Shape
from extauthz.identity.spiffe import parse_spiffe_id
from extauthz.model.identity import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_trust_domain(unverified_claims: Mapping[str, Any]) -> str:
    """Return `spiffe://` and the trust domain of the SPIFFE ID in `sub`; empty when it is none."""
    subject = unverified_claims.get("sub")
    try:
        return parse_spiffe_id(subject).issuer if isinstance(subject, str) else ""
    except ValueError:
        return ""


def _verify(claims: Mapping[str, Any], rules: IssuerRules) -> None:
    if find_trust_domain(claims) != rules.issuer:
        refuse_claim("sub", "the SPIFFE ID of a workload in the trust domain that signed the token")


def _subject(claims: Mapping[str, Any]) -> str:
    return str(claims["sub"])


_EMPTY: Final = FixedValue("")

SPIFFE: Final = Shape(
    name="spiffe",
    types=frozenset({"jwt", "jose"}),
    untyped=True,
    header=frozenset({"alg", "kid", "typ"}),
    clients=(),
    client_required=False,
    token_id_required=False,
    issued_at_required=False,
    scopes=(),
    chosen_by_subject=True,
    workload_is_global=True,
    verify=_verify,
    mapping=MappingRules(
        kind=FixedValue(Kind.WORKLOAD),
        tenant=_EMPTY,
        roles=_EMPTY,
        groups=_EMPTY,
        session=_EMPTY,
        workload=Computed("map.workload", _subject),
    ),
)
