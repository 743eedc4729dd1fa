"""DPoP with tokens that only their issuer can read: what it is bound to is what the issuer says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.authenticate import authenticate
from extauthz.model.identity import Binding, Credential
from extauthz.model.reason import Reason
from extauthz.ports import IntrospectionOf, NeedsEvidence
from tests.simulators.dpop import RULES, ProofMaker
from tests.simulators.profiles import profile, sources
from tests.simulators.tokens import NOW, MemoryKeys
from tests.unit.identity.possession import asked
from tests.unit.identity.test_opaque import TOKEN, Memory, said
from tests.unit.identity.test_opaque import asked as rules_of_issuer

if TYPE_CHECKING:
    from extauthz.identity.sources import Proven

CLIENT = ProofMaker()
THIEF = ProofMaker(name="thief")


def authenticated(client: ProofMaker, memory: Memory) -> Proven | NeedsEvidence:
    """Return what a request with the token and a proof by `client` comes to."""
    believed = replace(profile(rules_of_issuer()), dpop=RULES)
    request = asked(client.prove(TOKEN), authorization=f"DPoP {TOKEN}")
    return authenticate(request, Credential.DPOP, believed, sources(MemoryKeys(), introspections=memory), NOW)


def test_the_holder_of_the_key_is_proven() -> None:
    """After the issuer was asked."""
    needed = authenticated(CLIENT, Memory())
    assert isinstance(needed, NeedsEvidence)
    assert isinstance(needed.need, IntrospectionOf)
    found = authenticated(CLIENT, Memory().say(**said(token_type="DPoP", cnf={"jkt": CLIENT.thumbprint})))
    assert not isinstance(found, NeedsEvidence)
    assert found.identity.binding is Binding.DPOP
    assert len(found.spends) == 1


@pytest.mark.parametrize(
    ("client", "claims", "reason"),
    [
        (THIEF, {"cnf": {"jkt": CLIENT.thumbprint}}, Reason.BINDING_MISMATCH),
        (CLIENT, {}, Reason.BINDING_MISSING),
        (CLIENT, {"active": False}, Reason.TOKEN_REVOKED),
    ],
)
def test_anybody_else_is_refused(client: ProofMaker, claims: dict[str, Any], reason: Reason) -> None:
    """A thief, a token that is bound to nobody, and one that is no longer active."""
    with pytest.raises(Refusal) as caught:
        authenticated(client, Memory().say(**{**said(), **claims}))
    assert caught.value.reason is reason
