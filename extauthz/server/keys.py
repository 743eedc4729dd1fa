"""The keys of all issuers, kept fresh in the background: the `KeySource` and the `EvidenceSource` of the request path.

1. Readers see whole key sets: a set is parsed aside and put in place by one assignment.
2. A fetch that fails, or brings what is no usable set, changes nothing: the last good set stays, until it is older than
   `max_age`. Then the issuer is unavailable, because keys it may have withdrawn must not be believed for ever.
3. Each issuer has one thread that fetches, so a slow issuer delays no other, and there is never more than one fetch of
   an issuer under way. Whoever needs it meanwhile joins it and waits with a timeout of its own.
4. A token with an unknown `kid` can cause one fetch at once, then none for `cool_down` seconds, whoever sends how many.
5. At most `fetch_slots` decisions wait for one issuer; the next is told `UNAVAILABLE` at once instead of waiting too.
6. A set is fetched anew when its server says that it is no longer fresh, between `refresh_min` and `refresh` seconds
   after the last time; a server that says "not modified" has confirmed it as of then.
7. After a failure the next attempt comes after `cool_down`, then twice that, and so on up to `refresh`, by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.jose.keyset import JWT_SVIDS, SIGNATURES
from extauthz.ports import Fetched, KeysOf
from extauthz.server.discovery import discovery_locations
from extauthz.server.keyorigin import origin_of
from extauthz.server.keyrefresh import IssuerRefresh

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extauthz.clock import Clock
    from extauthz.config.issuers import IssuerSettings
    from extauthz.ports import Need, VerificationKey
    from extauthz.server.fetch import Fetch
    from extauthz.server.keyorigin import Locations


def _ignore(_issuer: str, _outcome: Fetched) -> None:
    """Count nothing."""


class IssuerKeys:
    """The keys of all configured issuers. Use it from any thread.

    Args:
        issuers: who, and where their keys are; one without `keys` has none.
        fetch: the way out (`server/fetch.py`).
        clock: for ages and intervals; only its monotonic side is read.
        fetch_slots: decisions that may wait for one issuer at a time.
        on_fetch: called with issuer and outcome after every fetch, from the issuer's thread; must not raise.
        locations: where an issuer's discovery document may be.
    """

    def __init__(  # noqa: PLR0913 — whose, from where, by what
        self,
        issuers: Sequence[IssuerSettings],
        *,
        fetch: Fetch,
        clock: Clock,
        fetch_slots: int,
        on_fetch: Callable[[str, Fetched], None] = _ignore,
        locations: Locations = discovery_locations,
    ) -> None:
        self._clock = clock
        self._issuers = {
            each.issuer: IssuerRefresh(
                each.issuer,
                each.keys,
                each.algorithms,
                origin=origin_of(each.issuer, each.keys, fetch, clock, locations),
                clock=clock,
                fetch_slots=fetch_slots,
                on_fetch=on_fetch,
                use=JWT_SVIDS if each.profile == "spiffe" else SIGNATURES,
            )
            for each in issuers
            if each.keys is not None
        }

    def start(self, wait: float = 0.0) -> None:
        """Start fetching in the background.

        Args:
            wait: seconds to wait for the first fetch of all issuers; what is not there then comes later.
        """
        deadline = self._clock.monotonic() + wait
        for first_fetch in [issuer.start() for issuer in self._issuers.values()]:
            first_fetch.wait(max(0.0, deadline - self._clock.monotonic()))

    def stop(self, wait: float = 1.0) -> None:
        """Stop fetching. The keys stay usable until they are too old.

        Args:
            wait: seconds to wait for each issuer's thread; a fetch under way may outlive it and is then abandoned.
        """
        for issuer in self._issuers.values():
            issuer.ask_to_stop()
        for issuer in self._issuers.values():
            issuer.join(wait)

    def find_key(self, issuer: str, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Return the key, from memory; see `ports.KeySource`."""
        known = self._issuers.get(issuer)
        keys = known.usable_keys() if known is not None else None
        return keys.find(kid, algorithm) if keys is not None else None

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Have a newer look at an issuer's keys within `timeout` seconds; see `ports.EvidenceSource`."""
        known = self._issuers.get(need.issuer) if isinstance(need, KeysOf) else None
        return known.fetch(timeout) if known is not None else Fetched.UNAVAILABLE

    def epoch(self, issuer: str) -> int:
        """Return the epoch of an issuer's usable keys, from memory; see `ports.EpochView`.

        Raises:
            KeyError: the issuer is not configured.
        """
        return self._issuers[issuer].epoch()

    def unavailable_issuers(self) -> tuple[str, ...]:
        """Return the issuers without usable keys at this moment, for the readiness probe."""
        return tuple(name for name, issuer in self._issuers.items() if issuer.usable_keys() is None)
