"""Proves that the sender of a token is the one that the token was made for: `cnf` (RFC 7800, RFC 8705 section 3).

1. A token without `cnf` is bound to nobody. The profile says whether that is good enough.
2. Each member of `cnf` is a condition, and every one of them must hold. A member that we cannot check refuses the
   token: ignoring it would turn a token that is useless to a thief into one that is not.
3. `x5t#S256` names the client certificate of the connection, by the proxy's account (`peer.py`) and never by the
   client's. Nobody has to vouch for that certificate (RFC 8705 section 2.2 lets clients sign their own): TLS proves
   that the sender holds its key, and the issuer has said which one it is.
4. `jkt` names the key of a proof. A token that has it and comes as `Bearer` is a downgrade, and refused (RFC 9449
   section 7.2). With a proof, under the scheme `DPoP`, it is `dpop.py` that verifies it.
5. A way of binding that the profile does not accept is refused, also when it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from extauthz.errors import Refusal
from extauthz.identity.certificate_rules import BindingRule
from extauthz.identity.claims import refuse_claim, text_of
from extauthz.identity.peer import find_peer
from extauthz.model.identity import Binding
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.identity.certificate_rules import Forwarded
    from extauthz.model.request import Request

_CERTIFICATE: Final = "x5t#S256"
_KEY: Final = "jkt"
_CONNECT: Final = "Connect with the client certificate that the token is bound to."

_WAYS: Final = {
    BindingRule.NONE: frozenset({Binding.NONE}),
    BindingRule.ANY: frozenset({Binding.NONE, Binding.MTLS, Binding.DPOP}),
    BindingRule.REQUIRED: frozenset({Binding.MTLS, Binding.DPOP}),
    BindingRule.MTLS: frozenset({Binding.MTLS}),
    BindingRule.DPOP: frozenset({Binding.DPOP}),
}

_ADVICE: Final = {
    BindingRule.NONE: "Request a token without `cnf`: bound tokens are not accepted here.",
    BindingRule.ANY: "",
    BindingRule.REQUIRED: "Request a token that is bound to your client certificate or to your DPoP key.",
    BindingRule.MTLS: "Request a token that is bound to your client certificate.",
    BindingRule.DPOP: "Request a token that is bound to your DPoP key.",
}


def verify_binding(claims: Mapping[str, Any], rule: BindingRule, request: Request, forwarded: Forwarded) -> Binding:
    """Return what ties a proven token, sent as `Bearer`, to the sender of this request.

    Args:
        claims: the token's, verified.
        rule: how tokens must be bound.
        request: the request that carries the token.
        forwarded: what `x-forwarded-client-cert` is worth.

    Raises:
        Refusal: `binding_missing` when the token is bound to nobody, or the sender shows no certificate;
            `binding_mismatch` when it is bound to somebody else or in a way that is not accepted;
            `credentials_malformed` for a `cnf` of the wrong shape, or a certificate that cannot be read.
    """
    # 1. Bound at all?
    if "cnf" not in claims:
        verify_way(Binding.NONE, rule)
        return Binding.NONE
    confirmation = claims["cnf"]
    if not isinstance(confirmation, dict) or not confirmation:
        refuse_claim("cnf", "an object with a member")
    # 2. Nothing that cannot be checked, 4. and no downgrade.
    if _KEY in confirmation:
        verify_way(Binding.DPOP, rule)  # Where no proof would help either, the client is told so.
        _mismatch("Send this token as `Authorization: DPoP TOKEN`, with a proof.", "a token bound to a key, as Bearer")
    if confirmation.keys() != {_CERTIFICATE}:
        _mismatch("Request a token that is bound by `x5t#S256` or `jkt`.", "an unknown member of cnf")
    # 3. The certificate.
    peer = find_peer(request, forwarded)
    if peer is None:
        raise Refusal(Reason.BINDING_MISSING, _CONNECT, inner="no client certificate")
    if text_of(confirmation[_CERTIFICATE], "cnf.x5t#S256") != peer.thumbprint:
        _mismatch(_CONNECT, "another certificate")
    # 5. A way that is accepted.
    verify_way(Binding.MTLS, rule)
    return Binding.MTLS


def verify_way(way: Binding, rule: BindingRule) -> None:
    """Refuse a way of binding that the profile does not accept.

    Raises:
        Refusal: `binding_missing` when there should be a binding and is none, else `binding_mismatch`.
    """
    if way in _WAYS[rule]:
        return
    if way is Binding.NONE:
        raise Refusal(Reason.BINDING_MISSING, _ADVICE[rule])
    _mismatch(_ADVICE[rule], "a way of binding that is not accepted")


def _mismatch(detail: str, inner: str) -> NoReturn:
    raise Refusal(Reason.BINDING_MISMATCH, detail, inner=inner)
