"""Everything in memory that decisions look at, and who keeps it up to date: opened together, by settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extauthz.pipeline import Views
from extauthz.registry.index import Registry
from extauthz.registry.live import LiveRegistry
from extauthz.server.authorities import AuthorityFiles, authority_files
from extauthz.server.egress import egress_of
from extauthz.server.epochs import UNHELD, Epochs
from extauthz.server.evidence import IssuerEvidence
from extauthz.server.keeperspender import KeeperSpender
from extauthz.server.nonces import nonces_from
from extauthz.server.profiles import from_settings
from extauthz.server.stateholdings import StateHoldings

if TYPE_CHECKING:
    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.server.keeperspender import StateOwner
    from extauthz.telemetry.metrics import Metrics


_KEEPER_SOCKET: Final = "keeper.sock"
"""In `server.run_dir`: where whoever keeps the state is asked by those who decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What is held.

    Attributes:
        issuers: keys, introspection answers and status lists, and what fetches them.
        state: what rests on the state file: what was taken away, facts, API keys, and what can be used up.
        authorities: certificate authorities from files.
        registry: declared identities and role bindings.
        epochs: what counts their changes.
        views: all of it, as the core sees it.
    """

    issuers: IssuerEvidence
    state: StateHoldings
    authorities: AuthorityFiles
    registry: LiveRegistry
    epochs: Epochs
    views: Views


def open_holdings(  # noqa: PLR0913 — what somebody else has, and this process shares
    settings: Settings,
    clock: Clock,
    metrics: Metrics,
    spender: StateOwner | None = None,
    plugins: tuple[str, ...] = (),
    *,
    nonce_secret: bytes | None = None,
) -> Holdings:
    """Return what is held by these settings; nothing of it runs yet.

    Args:
        settings: in force.
        clock: wall clock, stopwatch, and the clock that counts from the machine's start.
        metrics: told of what is held.
        spender: who spends for us and keeps the state up; None for the keeper's process where there are workers, else
            for doing it here.
        plugins: kinds of requirements whose checks wait for others.
        nonce_secret: see `nonces.nonces_from`.

    Raises:
        ConfigError: a file that the settings name cannot be used.
    """
    issuers = IssuerEvidence(settings, egress_of(settings, clock).fetch, clock, metrics, plugins)
    authorities = AuthorityFiles(authority_files(settings))
    if spender is None and settings.server.workers and settings.state is not None:
        spender = KeeperSpender(settings.server.run_dir / _KEEPER_SOCKET)
    state = StateHoldings(settings, clock, spender, metrics.state.alarm)
    metrics.follow_state(state.counts)
    registry = LiveRegistry(None if settings.registry.paths else Registry())
    epochs = Epochs(
        {
            **UNHELD,
            **issuers.epochs,
            "registry": registry.epoch,
            "authorities": authorities.epoch,
            **state.epochs,
        },
        state.freshen,
    )
    views = Views(
        keys=issuers.keys,
        profiles=from_settings(settings),
        epochs=epochs,
        introspections=issuers.introspections,
        status_lists=issuers.status_lists,
        api_keys=state.api_keys,
        nonces=nonces_from(settings, nonce_secret),
        authorities=authorities,
        registry=registry,
        state=state.facts,
        answers=issuers.enquirers,
        restrictions=state.restrictions,
    )
    return Holdings(
        issuers=issuers, state=state, authorities=authorities, registry=registry, epochs=epochs, views=views
    )
