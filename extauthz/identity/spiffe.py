"""SPIFFE IDs (SPIFFE-ID specification, section 2), in their one spelling.

Scheme and trust domain compare without regard to case there, but a valid trust domain is in lower case anyway. So every
other spelling is refused, and equal identities are equal texts: in policies, in records, and in keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from extauthz.limits import MAX_SPIFFE_ID_BYTES, MAX_TRUST_DOMAIN_BYTES

SCHEME: Final = "spiffe://"

_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]+")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._-]+")
_DOTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """The identity of a workload.

    Attributes:
        trust_domain: who vouches; lower case.
        path: which workload; begins with `/` and is never only that.
    """

    trust_domain: str
    path: str

    @property
    def issuer(self) -> str:
        """Return the trust domain as a SPIFFE ID; it is what policy calls the issuer."""
        return f"{SCHEME}{self.trust_domain}"

    def __str__(self) -> str:
        """Return the ID as a URI."""
        return f"{SCHEME}{self.trust_domain}{self.path}"


def is_spiffe(uri: str) -> bool:
    """Return whether a URI claims to be a SPIFFE ID, well-formed or not."""
    return uri[:7].lower() == "spiffe:"


def is_trust_domain(name: str) -> bool:
    """Return whether `name` is a trust domain: no port, no user, no percent-encoding, lower case."""
    return len(name) <= MAX_TRUST_DOMAIN_BYTES and _TRUST_DOMAIN.fullmatch(name) is not None


def parse_spiffe_id(text: str) -> SpiffeId:
    """Return the workload that a SPIFFE ID names.

    Raises:
        ValueError: it is not a SPIFFE ID of a workload; the message carries nothing of the text.
    """
    if len(text) > MAX_SPIFFE_ID_BYTES or not text.startswith(SCHEME):
        message = f"a SPIFFE ID begins with {SCHEME} and has at most {MAX_SPIFFE_ID_BYTES} bytes"
        raise ValueError(message)
    trust_domain, slash, rest = text.removeprefix(SCHEME).partition("/")
    if not is_trust_domain(trust_domain):
        message = "a trust domain has lower-case letters, digits, dots, hyphens and underscores only"
        raise ValueError(message)
    segments = rest.split("/")
    if not slash or not all(_SEGMENT.fullmatch(segment) and segment not in _DOTS for segment in segments):
        message = "the path of a SPIFFE ID has segments of letters, digits, dots, hyphens and underscores"
        raise ValueError(message)
    return SpiffeId(trust_domain, f"/{rest}")
