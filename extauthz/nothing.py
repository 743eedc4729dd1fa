"""The source of every kind of fact that is not configured: it knows nothing, and nothing is proven by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.model.registry import NOT_DECLARED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.clock import Instant
    from extauthz.model.enquiry import Enquiry
    from extauthz.model.identity import Identity
    from extauthz.model.registry import Declared
    from extauthz.model.restriction import Mark, Restriction
    from extauthz.model.state import StateName


class Nothing:
    """Knows nothing: the source of every kind of fact that is not configured. Nothing is proven by it."""

    def find_introspection(self, issuer: str, digest: bytes, at: Instant) -> None:
        """Return None."""

    def find_status_list(self, issuer: str, uri: str, at: Instant) -> None:
        """Return None."""

    def find_api_key(self, key_id: str) -> None:
        """Return None."""

    def find_declared(self, identity: Identity) -> tuple[Declared, ...]:
        """Return that nothing is declared about anybody."""
        return (NOT_DECLARED,) * len(identity.involved)

    def find_authorities(self, file: str) -> None:
        """Return None."""

    def find_answer(self, enquiry: Enquiry, at: Instant) -> None:
        """Return None."""

    def find_state(self, name: StateName, at: Instant) -> None:
        """Return None."""

    def find_restrictions(self, marks: Sequence[Mark], at: Instant) -> tuple[Restriction, ...]:
        """Return that nothing was taken away."""
        del marks, at
        return ()

    def is_state_fresh(self, at: Instant) -> bool:
        """Return that there is nothing that could grow old."""
        del at
        return True

    def are_signals_fresh(self, issuer: str, at: Instant) -> bool:
        """Return that there is nobody to be heard."""
        del issuer, at
        return True


NOTHING = Nothing()
