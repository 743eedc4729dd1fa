"""Requests with DPoP proofs, and what comes of proving them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.errors import Refusal
from extauthz.identity.authenticate import authenticate
from extauthz.model.identity import Credential
from extauthz.model.request import Headers, Request
from extauthz.ports import NeedsEvidence
from tests.simulators.dpop import RULES, ProofMaker
from tests.simulators.profiles import profile, sources
from tests.simulators.tokens import NOW, MemoryKeys, TokenMaker

if TYPE_CHECKING:
    from extauthz.identity.sources import Proven
    from extauthz.ports import NonceSource

ISSUER = TokenMaker()
KEYS = ISSUER.key_source()
CLIENT = ProofMaker()
TOKEN = CLIENT.bind(ISSUER)


def asked(
    *proofs: str,
    authorization: str = f"DPoP {TOKEN}",
    method: str = "GET",
    path: str = "/",
    exact: bool = True,
    query: tuple[tuple[str, str], ...] = (),
) -> Request:
    """Return a request with these `DPoP` lines; merged when not `exact`."""
    lines: dict[str, tuple[str, ...]] = {"authorization": (authorization,)}
    if proofs:
        lines["dpop"] = proofs if exact else (",".join(proofs),)
    return Request(
        method=method,
        host="api.example.com",
        path=path,
        segments=tuple(path[1:].split("/")),
        query=query,
        headers=Headers(lines, exact=exact),
    )


def proven(
    request: Request,
    *,
    keys: MemoryKeys = KEYS,
    nonces: NonceSource | None = None,
    **rules: Any,
) -> Proven:
    """Return the caller that a request proves."""
    believed = replace(profile(), dpop=replace(RULES, nonce=nonces is not None, **rules))
    found = authenticate(request, Credential.DPOP, believed, sources(keys, nonces=nonces), NOW)
    assert not isinstance(found, NeedsEvidence)
    return found


def refused(request: Request, **arguments: Any) -> Refusal:
    """Return why a request proves nobody."""
    with pytest.raises(Refusal) as caught:
        proven(request, **arguments)
    return caught.value
