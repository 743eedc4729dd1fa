"""Status lists in memory: fetched when a token first names one, and again before they are too old.

1. A list is believed when `identity/status_list.py` says so; anything else is an outage and changes nothing.
2. It is used until its `exp`, and no longer than its `ttl`, else what HTTP says, each within the operator's bounds.
3. When three quarters of that are over and somebody looks, a newer one is fetched beside, so that nobody has to wait
   for it as long as its server answers.
4. All lists together are bounded in bytes; each is bounded before and after it is inflated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.clock import Instant
from extauthz.identity.status_list import Signer, UnknownKeyError, VerifiedList, verify_status_list
from extauthz.limits import MAX_STATUS_LISTS_BYTES
from extauthz.ports import Fetched, KeysOf, StatusList, StatusListOf
from extauthz.server.answers import Answers
from extauthz.server.breaker import Breaker
from extauthz.server.discovery import Errand
from extauthz.server.fetch import Ask
from extauthz.server.httpcache import fresh_seconds
from extauthz.server.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extauthz.clock import Clock
    from extauthz.config.issuers import IssuerSettings
    from extauthz.config.statuslists import StatusListSettings
    from extauthz.ports import KeySource, Need
    from extauthz.server.breaker import State
    from extauthz.server.fetch import Fetch, Reply
    from extauthz.server.keys import IssuerKeys

_SLOTS: Final = 4
"""Lists of one issuer that are fetched, and decisions that wait for them, at a time."""

_TOKEN_BYTES: Final = 65536
"""Bytes of a list's token besides the array."""

_AHEAD: Final = 0.75
"""Part of a list's life after which a newer one is fetched beside."""


class StatusLists:
    """The status lists of all configured issuers: a `StatusListSource`, and what fetches for it.

    Args:
        issuers: who has lists; one without `status_list` has none.
        fetch: the way out.
        keys: verify lists.
        clock: for ages and deadlines.
        on_fetch: called with issuer and outcome after every fetch; must not raise.
    """

    def __init__(
        self,
        issuers: Sequence[IssuerSettings],
        *,
        fetch: Fetch,
        keys: IssuerKeys,
        clock: Clock,
        on_fetch: Callable[[str, Fetched], None],
    ) -> None:
        self._kept: Answers[StatusList] = Answers(MAX_STATUS_LISTS_BYTES, lambda known: len(known.statuses))
        settings = {each.issuer: each for each in issuers}
        self._issuers = {
            each.issuer: _Lists(
                each.issuer,
                each.status_list,
                _signer_of(settings[each.status_list.issuer or each.issuer], each.status_list.max_bytes),
                fetch=fetch,
                keys=keys,
                clock=clock,
                on_fetch=on_fetch,
            )
            for each in issuers
            if each.status_list is not None and not each.status_list.ignored
        }

    def find_status_list(self, issuer: str, uri: str, at: Instant) -> StatusList | None:
        """Return the list, from memory; see `ports.StatusListSource`."""
        lists, known = self._issuers.get(issuer), self._kept.find(f"{issuer} {uri}")
        if lists is None or known is None or not known.fetched_at <= at < known.until:
            return None
        if at >= known.fetched_at + _AHEAD * (known.until - known.fetched_at):
            lists.refresh(uri, self._kept)
        return known

    def epoch(self, of: str) -> int:
        """Return the epoch of a list, by `ISSUER URI`; see `ports.EpochView`."""
        return self._kept.epoch(of)

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Fetch a list within `timeout` seconds; see `ports.EvidenceSource`."""
        lists = self._issuers.get(need.issuer) if isinstance(need, StatusListOf) else None
        if lists is None or not isinstance(need, StatusListOf):
            return Fetched.UNAVAILABLE
        return lists.fetch(need.uri, self._kept, timeout)

    def breakers(self) -> Mapping[str, State]:
        """Return whether each issuer's lists are fetched at this moment, for the metrics."""
        return {name: lists.breaker.state for name, lists in self._issuers.items()}


class _Lists:
    """The lists of one issuer."""

    def __init__(  # noqa: PLR0913 — what fetching lists takes
        self,
        issuer: str,
        settings: StatusListSettings,
        signer: Signer,
        *,
        fetch: Fetch,
        keys: IssuerKeys,
        clock: Clock,
        on_fetch: Callable[[str, Fetched], None],
    ) -> None:
        self._issuer = issuer
        self._settings = settings
        self._signer = signer
        self._fetch = fetch
        self._keys = keys
        self._clock = clock
        self.breaker = Breaker(clock)
        self._remote = Remote(
            f"status lists of {issuer}",
            clock=clock,
            slots=_SLOTS,
            breaker=self.breaker,
            on_fetch=lambda outcome: on_fetch(issuer, outcome),
        )

    def fetch(self, uri: str, kept: Answers[StatusList], timeout: float) -> Fetched:
        """Fetch a list, or join whoever does."""
        return self._remote.fetch(uri, lambda began: self._load(uri, kept, began), timeout)

    def refresh(self, uri: str, kept: Answers[StatusList]) -> None:
        """Have a list fetched without waiting for it."""
        self._remote.launch(uri, lambda began: self._load(uri, kept, began))

    def _load(self, uri: str, kept: Answers[StatusList], began: Instant) -> None:
        settings = self._settings
        errand = Errand(self._fetch, self._clock, settings.timeout, plain_http=settings.insecure_http)
        reply = self._fetch(
            Ask(
                url=uri,
                timeout=errand.left(),
                max_bytes=2 * settings.max_bytes + _TOKEN_BYTES,
                plain_http=settings.insecure_http,
                accept="application/statuslist+jwt",
            )
        )
        try:
            verified = self._verify(reply, uri)
        except UnknownKeyError:
            # Its signer may have a new key, as with tokens; one look, within the same deadline.
            self._keys.fetch(KeysOf(self._signer.issuer), errand.left())
            verified = self._verify(reply, uri)
        name = f"{self._issuer} {uri}"
        before = kept.find(name)
        now = self._clock.now()
        if before is not None and began < before.fetched_at <= now:
            return
        new = StatusList(
            bits=verified.bits,
            statuses=verified.statuses,
            fetched_at=began,
            until=lasts_until(verified, fresh_seconds(reply.headers), settings, began),
        )
        same = before is not None and (before.bits, before.statuses) == (new.bits, new.statuses)
        kept.keep(name, new, same=same)

    def _verify(self, reply: Reply, uri: str) -> VerifiedList:
        keys: KeySource = self._keys
        return verify_status_list(reply.body, uri, self._signer, keys, self._clock.now())


def lasts_until(
    verified: VerifiedList, http_fresh: float | None, settings: StatusListSettings, began: Instant
) -> Instant:
    """Return the first instant at which a list may not be used any more.

    Args:
        verified: what it says.
        http_fresh: seconds that HTTP gives it, which counts only where the list says nothing itself.
        settings: the operator's bounds.
        began: when its fetch began.
    """
    wanted = verified.ttl
    if wanted is None and verified.expires_at is None:
        wanted = http_fresh
    lasts = settings.longest if wanted is None else min(max(wanted, settings.shortest), settings.longest)
    return Instant(min(began + lasts, verified.expires_at if verified.expires_at is not None else began + lasts))


def _signer_of(settings: IssuerSettings, max_bytes: int) -> Signer:
    return Signer(issuer=settings.issuer, algorithms=settings.algorithms, leeway=settings.leeway, max_bytes=max_bytes)
