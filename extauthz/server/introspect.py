"""What issuers say about tokens when asked (RFC 7662): remembered for a short while, fetched when needed.

1. An answer is known by issuer, endpoint and SHA-256 of the token; tokens themselves are not kept.
2. Active and inactive answers are kept apart, each up to a number, so a flood of made-up tokens drives no good one out.
3. A token that was never active is asked about within a rate; beyond it the issuer is not asked, and the token is not
   refused as inactive either: nothing is known about it.
4. Everything but status 200 and a strict JSON object with a boolean `active` is an outage: 401 and 403 say that *we*
   are not known, 500 and pages for people say nothing. An outage is never remembered as an answer.
5. An answer is as old as the start of its fetch. An older one never takes a newer one's place.
"""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant
from extauthz.errors import AnswerError, FetchError, StrictJsonError
from extauthz.limits import MAX_INTROSPECTION_BYTES
from extauthz.ports import Fetched, Introspection, IntrospectionOf
from extauthz.server.answers import Answers
from extauthz.server.breaker import Breaker, State
from extauthz.server.clientauth import prove_ourselves
from extauthz.server.discovery import Errand, discover
from extauthz.server.fetch import Ask
from extauthz.server.remote import Remote
from extauthz.strictjson import load_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extauthz.clock import Clock
    from extauthz.config.introspection import IntrospectionSettings
    from extauthz.config.issuers import IssuerSettings
    from extauthz.ports import Need
    from extauthz.server.fetch import Fetch


class Introspections:
    """What all configured issuers say about tokens: an `IntrospectionSource`, and what fetches for it.

    Args:
        issuers: who can be asked; one without `introspection` cannot.
        fetch: the way out.
        clock: for ages and deadlines.
        on_fetch: called with issuer and outcome after every fetch; must not raise.
    """

    def __init__(
        self, issuers: Sequence[IssuerSettings], *, fetch: Fetch, clock: Clock, on_fetch: Callable[[str, Fetched], None]
    ) -> None:
        self._issuers = {
            each.issuer: _Issuer(each.issuer, each.introspection, fetch, clock, on_fetch)
            for each in issuers
            if each.introspection is not None
        }

    def find_introspection(self, issuer: str, digest: bytes, at: Instant) -> Introspection | None:
        """Return what the issuer said, from memory; see `ports.IntrospectionSource`."""
        known = self._issuers.get(issuer)
        return known.find(digest.hex(), at) if known is not None else None

    def epoch(self, of: str) -> int:
        """Return the epoch of the answer about a token, by `ISSUER DIGEST`; see `ports.EpochView`."""
        issuer, _, digest = of.rpartition(" ")
        known = self._issuers.get(issuer)
        return known.epoch(digest) if known is not None else -1

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Ask an issuer within `timeout` seconds; see `ports.EvidenceSource`."""
        known = self._issuers.get(need.issuer) if isinstance(need, IntrospectionOf) else None
        if known is None or not isinstance(need, IntrospectionOf):
            return Fetched.UNAVAILABLE
        return known.fetch(need, timeout)

    def breakers(self) -> Mapping[str, State]:
        """Return whether each issuer is asked at this moment, for the metrics."""
        return {name: issuer.breaker.state for name, issuer in self._issuers.items()}


class _Issuer:
    """One issuer that is asked about tokens."""

    def __init__(
        self,
        issuer: str,
        settings: IntrospectionSettings,
        fetch: Fetch,
        clock: Clock,
        on_fetch: Callable[[str, Fetched], None],
    ) -> None:
        self._issuer = issuer
        self._settings = settings
        self._fetch = fetch
        self._clock = clock
        self._endpoint = settings.endpoint or ""
        self._active: Answers[Introspection] = Answers(settings.cached_tokens)
        self._inactive: Answers[Introspection] = Answers(settings.cached_tokens)
        self._rate = Rate(clock, settings.rate)
        self._keeping = threading.Lock()
        self.breaker = Breaker(clock)
        self._remote = Remote(
            f"introspection at {issuer}",
            clock=clock,
            slots=settings.slots,
            breaker=self.breaker,
            on_fetch=lambda outcome: on_fetch(issuer, outcome),
        )

    def find(self, digest: str, at: Instant) -> Introspection | None:
        """Return the newest answer about a token that may be used at `at`."""
        name = self._name(digest)
        found = [answer for answer in (self._active.find(name), self._inactive.find(name)) if answer is not None]
        newest = max(found, key=lambda answer: answer.fetched_at, default=None)
        # One from the future is from before the clock was set back: its age is not known.
        return newest if newest is not None and newest.fetched_at <= at < newest.until else None

    def epoch(self, digest: str) -> int:
        """Return a number that is another one whenever what the issuer says about a token is."""
        name = self._name(digest)
        active = self._active.epoch(name)
        return active if active >= 0 else -2 - self._inactive.epoch(name)

    def fetch(self, need: IntrospectionOf, timeout: float) -> Fetched:
        """Ask about a token, unless a new enough answer came meanwhile."""
        digest = sha256(need.token.encode()).hexdigest()
        known = self.find(digest, self._clock.now())
        if known is not None and (need.not_before is None or known.fetched_at >= need.not_before):
            return Fetched.DONE
        was_active = self._active.find(self._name(digest)) is not None
        return self._remote.fetch(
            digest,
            lambda began: self._ask(need.token, digest, began),
            timeout,
            need.not_before,
            admit=None if was_active else self._rate.take,
        )

    def _ask(self, token: str, digest: str, began: Instant) -> None:
        settings = self._settings
        errand = Errand(self._fetch, self._clock, settings.timeout, plain_http=settings.insecure_http)
        if settings.discovery and (not self._endpoint or self.breaker.state is not State.CLOSED):
            self._endpoint = discover(self._issuer, "introspection_endpoint", errand)
        endpoint = self._endpoint
        headers, form = prove_ourselves(settings.client)
        reply = self._fetch(
            Ask(
                url=endpoint,
                timeout=errand.left(),
                max_bytes=MAX_INTROSPECTION_BYTES,
                plain_http=settings.insecure_http,
                headers=headers,
                form={"token": token, "token_type_hint": "access_token", **form},
            )
        )
        self._keep(f"{endpoint} {digest}", self._read(reply.body, began))

    def _read(self, body: bytes, began: Instant) -> Introspection:
        try:
            claims = load_object(body, max_bytes=MAX_INTROSPECTION_BYTES)
        except StrictJsonError:
            message = "the answer is not a strict JSON object"
            # What somebody has written into his profile may be why it is not; a page for people has other reasons.
            raise (AnswerError if body.lstrip().startswith(b"{") else FetchError)(message) from None
        active = claims.get("active")
        if not isinstance(active, bool):
            message = "`active` is not a boolean"
            raise FetchError(message)
        lasts = self._settings.cache if active else self._settings.cache_inactive
        said: dict[str, Any] = {name: value for name, value in claims.items() if name != "active"} if active else {}
        return Introspection(active=active, claims=said, fetched_at=began, until=Instant(began + lasts))

    def _keep(self, name: str, answer: Introspection) -> None:
        to, other = (self._active, self._inactive) if answer.active else (self._inactive, self._active)
        with self._keeping:
            before = (to.find(name), other.find(name))
            now = self._clock.now()  # One from after now is from before the clock was set back.
            if any(known is not None and answer.fetched_at < known.fetched_at <= now for known in before):
                return
            # In place first, and only then gone elsewhere: a reader in between sees both, and takes the newer.
            to.keep(name, answer, same=before[0] is not None and before[0].claims == answer.claims)
            other.forget(name)

    def _name(self, digest: str) -> str:
        return f"{self._endpoint} {digest}"


class Rate:
    """So many a second, and as many at once after a quiet second. Use it from any thread.

    Args:
        clock: only its monotonic side is read.
        per_second: how many.
    """

    def __init__(self, clock: Clock, per_second: int) -> None:
        self._clock = clock
        self._per_second = per_second
        self._left = float(per_second)
        self._counted_at = clock.monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Return whether there is one left, and take it."""
        with self._lock:
            now = self._clock.monotonic()
            self._left = min(self._per_second, self._left + (now - self._counted_at) * self._per_second)
            self._counted_at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
