"""Everything that others are asked for: issuers' keys, their word about tokens, status lists, and whoever has a say.

One `EvidenceSource` for all.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from extauthz.ports import AnswerOf, Fetched, IntrospectionOf, KeysOf, StatusListOf
from extauthz.server.enquirers import Enquirers
from extauthz.server.introspect import Introspections
from extauthz.server.keys import IssuerKeys
from extauthz.server.statuslists import StatusLists

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.ports import EvidenceSource, Need
    from extauthz.server.fetch import Fetch
    from extauthz.telemetry.metrics import Metrics


class EvidenceDesk:
    """Hands each need to whoever fetches its kind.

    Args:
        fetchers: kind of need → who fetches it. Nobody fetches what is not here: it stays unavailable.
    """

    def __init__(self, fetchers: Mapping[type[Need], EvidenceSource]) -> None:
        self._fetchers = dict(fetchers)

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Fetch `need` within `timeout` seconds; see `ports.EvidenceSource`."""
        fetcher = self._fetchers.get(type(need))
        return fetcher.fetch(need, timeout) if fetcher is not None else Fetched.UNAVAILABLE


class IssuerEvidence:
    """What issuers and others are asked for, in memory, and what fetches it.

    Args:
        settings: in force.
        fetch: the way out.
        clock: for ages and deadlines.
        metrics: count fetches, and show who is left alone.
        plugins: kinds of requirements whose checks wait for others.

    Attributes:
        keys: issuers' public keys.
        introspections: issuers' word about tokens.
        status_lists: lists of revoked tokens.
        enquirers: other decision points, and plug-ins that wait.
        desk: fetches what is missing.
    """

    def __init__(
        self, settings: Settings, fetch: Fetch, clock: Clock, metrics: Metrics, plugins: tuple[str, ...] = ()
    ) -> None:
        self.keys = IssuerKeys(
            settings.issuers,
            fetch=fetch,
            clock=clock,
            fetch_slots=settings.server.fetch_slots,
            on_fetch=metrics.keys_fetched,
        )
        self.introspections = Introspections(
            settings.issuers, fetch=fetch, clock=clock, on_fetch=partial(metrics.evidence_fetched, "introspection")
        )
        self.status_lists = StatusLists(
            settings.issuers,
            fetch=fetch,
            keys=self.keys,
            clock=clock,
            on_fetch=partial(metrics.evidence_fetched, "status_list"),
        )
        self.enquirers = Enquirers(
            settings.decision_points, plugins, fetch=fetch, clock=clock, on_asked=metrics.evidence_fetched
        )
        self.desk = EvidenceDesk(
            {
                KeysOf: self.keys,
                IntrospectionOf: self.introspections,
                StatusListOf: self.status_lists,
                AnswerOf: self.enquirers,
            }
        )
        metrics.follow_breakers(
            lambda: {
                "introspection": {name: state.value for name, state in self.introspections.breakers().items()},
                "status_list": {name: state.value for name, state in self.status_lists.breakers().items()},
                "external": {name: state.value for name, state in self.enquirers.breakers().items()},
            }
        )

    @property
    def epochs(self) -> Mapping[str, Callable[[str], int]]:
        """Return who counts the changes of each kind of fact."""
        return {
            "keys": self.keys.epoch,
            "introspection": self.introspections.epoch,
            "status_list": self.status_lists.epoch,
            "answer": self.enquirers.epoch,
        }
