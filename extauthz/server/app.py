"""The composition root: settings in, a running server out. The only file that knows every part.

Order matters. Start: records first, since nothing may be decided without them; keys and policy next, so that the first
question finds both; the listeners last. Stop: health says so first, so that balancers look elsewhere; then no new
calls, and those under way end; records are written last.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

import structlog

from extauthz.audit.writer import RecordWriter
from extauthz.clock import Clock, SystemClock
from extauthz.errors import ConfigError, Problem
from extauthz.observing import Observing
from extauthz.policy.live import LivePolicy
from extauthz.server.banner import Serving, name_policy
from extauthz.server.bulkhead import Bulkhead
from extauthz.server.check import Checker, Rim
from extauthz.server.engines import make_engine
from extauthz.server.holdings import open_holdings
from extauthz.server.listen import judge_listeners
from extauthz.server.loaders import open_loaders
from extauthz.server.metrics_http import MetricsServer, Readiness
from extauthz.server.policyfaces import policy_context
from extauthz.server.probe import UNREACHABLE, find_health
from extauthz.server.proxies import ProxyRegistry
from extauthz.server.recall import Recall
from extauthz.server.shadow_loader import open_shadow
from extauthz.server.watch import Watcher
from extauthz.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.config.settings import Settings
    from extauthz.pipeline import Views
    from extauthz.registry.live import LiveRegistry
    from extauthz.server.engine import Engine
    from extauthz.server.holdings import Holdings
    from extauthz.server.keeperspender import StateOwner
    from extauthz.server.keys import IssuerKeys
    from extauthz.server.policy_loader import PolicyLoader
    from extauthz.server.registry_loader import RegistryLoader
    from extauthz.server.shadow_loader import FollowedShadow
    from extauthz.server.stateholdings import StateHoldings

_log = structlog.get_logger(__name__)

FIRST_KEYS_SECONDS: Final = 2.0
"""How long the start waits for issuers' keys; an issuer that is slower or down is asked again in the background."""

NOTICE_SECONDS: Final = 1.0
"""Longest time between saying NOT_SERVING and taking no more calls; at most a quarter of `server.drain`."""

RECORDS_SECONDS: Final = 5.0
"""How long the stop waits for the last records."""

HEALTH_SECONDS: Final = 0.5
"""How often the health that others ask for is brought in step with what may change by itself."""

LAST_RECORDS_SECONDS: Final = 1.0
"""How long the process waits for the last records when its engine can no longer answer; the sooner another process
takes its place, the better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    records: RecordWriter
    state: StateHoldings
    keys: IssuerKeys
    live: LivePolicy
    loader: PolicyLoader
    registry: LiveRegistry
    registry_loader: RegistryLoader
    shadow: FollowedShadow
    engine: Engine
    metrics_server: MetricsServer | None
    watcher: Watcher
    health: Watcher
    can_decide: Callable[[], str]


class Application:
    """A server. `start` once, then `stop` once; made by `build`.

    Args:
        settings: in force.
        parts: wired together.
    """

    def __init__(self, settings: Settings, parts: _Parts) -> None:
        self._settings = settings
        self._parts = parts
        self._draining = threading.Event()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the bound addresses in the order of the listeners."""
        return self._parts.engine.addresses

    @property
    def metrics_address(self) -> str | None:
        """Return the bound address of the metrics, None when they are off."""
        server = self._parts.metrics_server
        return server.address if server is not None else None

    @property
    def readiness(self) -> Readiness:
        """Return whether questions are answered on their merits."""
        return _readiness(self._parts, draining=self._draining.is_set())

    @property
    def state(self) -> StateHoldings:
        """Return what rests on the state."""
        return self._parts.state

    @property
    def streams(self) -> tuple[str, ...]:
        """Return the resources whose connections may outlive a decision, by the policy in force."""
        ruleset = self._parts.live.current
        return tuple(sorted(ruleset.streams)) if ruleset is not None else ()

    @property
    def serving(self) -> Serving:
        """Return what runs, for people."""
        engine = self._parts.engine
        return Serving(addresses=engine.addresses, engine=engine.name, policy=name_policy(self._parts.live.current))

    def is_answering(self, within: float) -> bool:
        """Return whether questions are answered, by having those who answer them do something.

        The threads that decide take a turn, and a listener, where it has no TLS, answers about its health.

        Args:
            within: seconds for each of that.
        """
        engine = self._parts.engine
        plain = [
            address
            for address, listener in zip(engine.addresses, self._settings.listeners, strict=True)
            if listener.tls is None
        ]
        return engine.is_deciding(within) and all(find_health(each, within) != UNREACHABLE for each in plain)

    def start(self) -> None:
        """Serve.

        Raises:
            ConfigError: an address cannot be bound, or TLS files are wrong. Nothing runs then.
        """
        parts = self._parts
        parts.state.start()
        parts.keys.start(wait=FIRST_KEYS_SECONDS)
        parts.registry_loader.look()
        parts.loader.look()
        parts.shadow.look()
        try:
            parts.engine.start()
        except ConfigError:
            self.stop()
            raise
        parts.engine.set_serving(not parts.can_decide())
        if parts.metrics_server is not None:
            parts.metrics_server.start()
        parts.watcher.start()
        parts.health.start()

    def reload(self) -> None:
        """Look at policy, registry and token files now, and open the record file by its name again."""
        self._parts.records.reopen()
        self._parts.watcher.wake()

    def stop(self) -> None:
        """Drain and end; returns when everything has ended."""
        parts, drain = self._parts, self._settings.server.drain
        self._draining.set()
        parts.loader.stop()
        parts.registry_loader.stop()
        parts.watcher.stop()
        parts.health.stop()
        parts.engine.set_serving(False)
        notice = min(NOTICE_SECONDS, drain / 4) if parts.engine.addresses else 0.0
        threading.Event().wait(notice)
        parts.engine.stop(drain - notice)
        parts.state.stop()
        parts.shadow.stop()
        parts.keys.stop()
        if parts.metrics_server is not None:
            parts.metrics_server.stop()
        parts.records.close(RECORDS_SECONDS)


def end_process() -> NoReturn:
    """End the process at once, without cleaning up: nothing in it can be trusted to do so any more."""
    os._exit(os.EX_SOFTWARE)


def build(  # noqa: PLR0913 — what a process may share with others
    settings: Settings,
    clock: Clock | None = None,
    *,
    on_death: Callable[[], object] = end_process,
    turn: int | None = None,
    spender: StateOwner | None = None,
    metrics: Metrics | None = None,
    nonce_secret: bytes | None = None,
) -> Application:
    """Return a server for `settings` that has not started yet.

    Args:
        settings: in force.
        clock: wall clock and stopwatch; the system's when None.
        on_death: called, after the records have been written, when questions can no longer be answered.
        turn: shared with other processes on the same standard output; see `audit/target.py`.
        spender: who spends for us and keeps the state up; None where nobody does.
        metrics: shared with other parts in this process; its own when None.
        nonce_secret: shared with the other workers; see `nonces.nonces_from`.

    Raises:
        ConfigError: the settings cannot be served: an address, a certificate, a token, or the record file.
    """
    judge_listeners(settings)
    with ExitStack() as undo:
        application = _build(
            settings,
            clock or SystemClock(),
            undo,
            on_death=on_death,
            turn=turn,
            spender=spender,
            metrics=metrics or Metrics(),
            nonce_secret=nonce_secret,
        )
        undo.pop_all()
    return application


def _build(  # noqa: PLR0913 — as `build`, and what closes it
    settings: Settings,
    clock: Clock,
    undo: ExitStack,
    *,
    on_death: Callable[[], object],
    turn: int | None,
    spender: StateOwner | None,
    metrics: Metrics,
    nonce_secret: bytes | None,
) -> Application:
    """Return the server; `undo` closes what was opened when something later fails."""
    application: Application
    metrics_server = _open_metrics(settings, metrics, lambda: application.readiness)
    if metrics_server is not None:
        undo.callback(metrics_server.stop)
    proxies = ProxyRegistry(settings)
    records = _open_records(settings, metrics, turn)
    undo.callback(records.close, 0.0)
    context = policy_context(settings)
    waiting = tuple(kind for kind, added in (context.plugins or {}).items() if added.waits)
    holdings = open_holdings(settings, clock, metrics, spender, waiting, nonce_secret=nonce_secret)
    live = LivePolicy()
    shadow = open_shadow(settings, context, holdings.state.facts, holdings.state.restrictions)
    undo.callback(shadow.stop)
    checker = _checker(settings, holdings, live=live, shadow=shadow, records=records, metrics=metrics, clock=clock)

    def died() -> None:
        with suppress(Exception):
            records.close(LAST_RECORDS_SECONDS)
        on_death()

    engine = make_engine(checker, proxies, settings, clock, on_death=died)
    metrics.engine_chosen(engine.name)

    def can_decide() -> str:
        holdings.state.freshen()  # Where nobody asks, nobody has looked for the newest beat.
        return _lack(live, holdings.registry, holdings.views, clock)

    def tell_health() -> None:
        engine.set_serving(not can_decide())

    loader, registry_loader = open_loaders(
        settings, context, live=live, registry=holdings.registry, metrics=metrics, on_change=tell_health
    )
    looks = (loader.look, registry_loader.look, holdings.authorities.look, proxies.reload, shadow.look)
    parts = _Parts(
        records=records,
        state=holdings.state,
        keys=holdings.issuers.keys,
        live=live,
        loader=loader,
        registry=holdings.registry,
        registry_loader=registry_loader,
        shadow=shadow,
        engine=engine,
        metrics_server=metrics_server,
        watcher=Watcher(settings.policy_reload, *looks),
        health=Watcher(HEALTH_SECONDS, tell_health),
        can_decide=can_decide,
    )
    application = Application(settings, parts)
    return application


def _checker(  # noqa: PLR0913 — the parts that a decision passes through
    settings: Settings,
    holdings: Holdings,
    *,
    live: LivePolicy,
    shadow: FollowedShadow,
    records: RecordWriter,
    metrics: Metrics,
    clock: Clock,
) -> Checker:
    recall = Recall(holdings.epochs.held, records, settings.cache.decisions, clock, holdings.state.freshen)
    metrics.follow_recall(recall.counts)
    rim = Rim(
        policy=live,
        views=holdings.views,
        evidence=holdings.issuers.desk,
        records=records,
        metrics=metrics,
        clock=clock,
        waiting=Bulkhead(settings.server.threads - 1),
        recall=recall,
        spender=holdings.state.spender,
        uses=holdings.state.uses,
        sessions=holdings.state.sessions,
        shadow=shadow,
        observing=_observing(settings),
    )
    return Checker(rim, deadline=settings.server.deadline, refuse_unrecorded=settings.records.overflow == "refuse")


def _observing(settings: Settings) -> Observing | None:
    if settings.mode == "enforce":
        return None
    return Observing(settings.enforced_hosts, settings.enforced_namespaces)


def _lack(live: LivePolicy, registry: LiveRegistry, views: Views, clock: Clock) -> str:
    """Return what is missing for deciding questions on their merits, in a sentence; empty when nothing is."""
    if live.current is None:
        return "no policy is in force"
    if registry.current is None:
        return "no registry is in force"
    if not views.restrictions.is_state_fresh(clock.now()):
        return "what has been revoked is not known: the state is too old; does the keeper run?"
    return ""


def _open_metrics(settings: Settings, metrics: Metrics, readiness: Callable[[], Readiness]) -> MetricsServer | None:
    address = settings.telemetry.metrics
    return MetricsServer(address, metrics.exposition, readiness) if address is not None else None


def _open_records(settings: Settings, metrics: Metrics, turn: int | None) -> RecordWriter:
    wanted = settings.records
    try:
        records = RecordWriter(
            wanted.path, queue=wanted.queue, overflow=wanted.overflow, sample=wanted.sample, turn=turn
        )
    except OSError as error:
        problem = Problem(str(wanted.path), 0, 0, f"the record file cannot be opened: {error.strerror}")
        raise ConfigError([problem]) from error
    metrics.follow_records(records.counts)
    return records


def _readiness(parts: _Parts, *, draining: bool) -> Readiness:
    missing = parts.keys.unavailable_issuers()
    why_not = "the server is stopping" if draining else parts.can_decide()
    view = parts.state.view
    silent = view.silent_streams() if view is not None else ()
    return Readiness(ready=not why_not, why_not=why_not, unavailable_issuers=missing, silent_streams=silent)
