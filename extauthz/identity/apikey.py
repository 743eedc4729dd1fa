"""Proves an API key. Raises, or returns an `Identity`.

The argument, step by step; the code below has the same numbers.

1. The request carries one key in the one header that the profile names, and no other means to prove a caller: no
   `Authorization`, no `access_token`. Where two parties could take two credentials from one request, the proxy would
   prove one caller and the upstream would serve another.
2. It has the form of a key (`keyformat.py`), so that typos cost no look-up. The form proves nothing.
3. The ledger has the key's name before the key is looked for, so that a kept decision ends with the next change of it.
4. The digest of what was presented is the digest that is stored. It is computed and compared in full also when there is
   no such key, so time does not tell which ids exist; and the answer is the same.
5. From here on the holder is proven, and only the holder learns more: the key is not revoked, has not ended, and is not
   older than the profile accepts.
6. It comes from one of its networks, if it is bound to any. The address is that of the connection that Envoy accepted:
   a header could say anything.
7. Its tenant is one that the profile serves.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.identity.credentials import require_no_second_token
from extauthz.identity.keyformat import KeyText, digest_key, parse_key_text
from extauthz.model.identity import Credential, Identity, Principal
from extauthz.model.reason import Reason
from extauthz.model.state import StateName

if TYPE_CHECKING:
    from extauthz.identity.rules import ApiKeyRules, Profile
    from extauthz.identity.sources import Sources
    from extauthz.model.request import Request
    from extauthz.ports import ApiKey

ISSUER: Final = "urn:extauthz:api-keys"
"""Issuer of the callers that our own keys prove."""

_NO_SALT: Final = bytes(16)
_NO_DIGEST: Final = bytes(32)
_UNKNOWN: Final = "The API key is not known here; check that it is complete, or have a new one made."


def prove_api_key(request: Request, profile: Profile, sources: Sources, at: Instant) -> Identity:
    """Return the caller that the key on a request proves, by the argument above.

    Args:
        request: the normalised request.
        profile: the verification profile that the resource declares.
        sources: what may be looked at.
        at: the instant of the decision.

    Raises:
        Refusal: a step fails; the reason says which, the detail names the fix.
    """
    rules = profile.api_keys
    if rules is None:
        raise Refusal(Reason.EVALUATION_FAILED, inner=f"profile {profile.name} accepts no API keys")
    # 1. Exactly one credential.
    unverified_text = _find_key(request, rules.header)
    # 2. Form.
    presented = parse_key_text(unverified_text)
    if presented is None:
        raise Refusal(Reason.CREDENTIALS_MALFORMED, f"Send a complete API key (`xak_…`) in {rules.header}.")
    # 3. Look-up.
    sources.ledger.note(StateName("api_key", presented.key_id))
    known = sources.api_keys.find_api_key(presented.key_id)
    # 4. Secret.
    key = _verify_secret(presented, known)
    # 5. Life.
    until = _verify_life(key, rules, at)
    # 6. Network.
    if key.networks and not _is_within(request.source.address, key.networks):
        raise Refusal(Reason.UNEXPECTED_NETWORK, "The API key is bound to other networks.")
    # 7. Tenant.
    if rules.tenants and key.tenant not in rules.tenants:
        raise Refusal(Reason.TENANT_MISMATCH, "The API key belongs to a tenant that is not served here.")
    return Identity(
        subject=Principal(issuer=ISSUER, subject=key.subject, kind=key.kind, roles=key.roles),
        tenant=key.tenant,
        session=key.key_id,
        scopes=key.scopes,
        token_id=key.key_id,
        workload=f"{ISSUER}|{key.subject}",
        credential=Credential.API_KEY,
        profile=profile.name,
        issued_at=key.created_at,
        expires_at=key.expires_at,
        accepted_until=until,
    )


def _find_key(request: Request, header: str) -> str:
    """Return the one value of the header, or refuse."""
    lines = request.headers.all(header)
    if not lines:
        raise Refusal(Reason.NO_CREDENTIALS, f"Send an API key in {header}.")
    # A comma is in no key; it is how proxies join two lines.
    if len(lines) > 1 or "," in lines[0]:
        raise Refusal(Reason.CREDENTIALS_AMBIGUOUS, f"Send exactly one API key, in one {header} header.")
    if request.headers.all("authorization"):
        raise Refusal(Reason.CREDENTIALS_AMBIGUOUS, f"Send the API key in {header}, and no Authorization header.")
    require_no_second_token(request)
    return lines[0]


def _verify_secret(presented: KeyText, known: ApiKey | None) -> ApiKey:
    salt, stored = (known.salt, known.digest) if known is not None else (_NO_SALT, _NO_DIGEST)
    same = hmac.compare_digest(digest_key(salt, presented), stored)
    if known is None or not same:
        inner = "no such API key" if known is None else "another secret"
        raise Refusal(Reason.SIGNATURE_INVALID, _UNKNOWN, inner=f"{inner}: {presented.key_id}")
    return known


def _verify_life(key: ApiKey, rules: ApiKeyRules, at: Instant) -> Instant:
    """Return the first instant at which the key is no longer accepted."""
    if key.revoked:
        raise Refusal(Reason.TOKEN_REVOKED, "The API key was revoked; have a new one made.")
    if at >= key.expires_at:
        raise Refusal(Reason.TOKEN_EXPIRED, "The API key has expired; have a new one made.")
    oldest = Instant(key.created_at + rules.max_lifetime)
    if at >= oldest:
        days = rules.max_lifetime / 86400
        raise Refusal(Reason.TOKEN_TOO_OLD, f"API keys are accepted here for {days:g} days; have a new one made.")
    return min(key.expires_at, oldest)


def _is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Return whether an address lies in one of the networks; an unknown address lies in none."""
    if not address:
        return False
    known = ip_address(address)
    return any(known in network for network in _to_networks(networks))


@lru_cache(maxsize=1024)
def _to_networks(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network) for network in networks)
