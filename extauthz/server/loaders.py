"""What puts policy and registry in force, and says so: counted, and told to whoever shows how we are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.server.policy_loader import PolicyLoader
from extauthz.server.registry_loader import RegistryLoader

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.config.settings import Settings
    from extauthz.policy.compile import PolicyContext
    from extauthz.policy.live import LivePolicy
    from extauthz.policy.ruleset import Ruleset
    from extauthz.registry.index import Registry
    from extauthz.registry.live import LiveRegistry
    from extauthz.telemetry.metrics import Metrics


def open_loaders(  # noqa: PLR0913 — what is loaded, where to, and who is told
    settings: Settings,
    context: PolicyContext,
    *,
    live: LivePolicy,
    registry: LiveRegistry,
    metrics: Metrics,
    on_change: Callable[[], object],
) -> tuple[PolicyLoader, RegistryLoader]:
    """Return what loads policy and registry, and tells when another one is in force."""

    def on_policy(ruleset: Ruleset | None) -> None:
        if ruleset is None:
            metrics.policy_rejected()
        else:
            metrics.policy_loaded(ruleset.revision)
            on_change()

    def on_registry(found: Registry | None) -> None:
        if found is None:
            metrics.registry_rejected()
        else:
            metrics.registry_loaded(found.revision)
            on_change()

    loader = PolicyLoader(settings.policy, context, live, on_load=on_policy)
    registry_loader = RegistryLoader(
        settings.registry.paths,
        registry,
        issuers={issuer.issuer for issuer in settings.issuers},
        ruleset=lambda: live.current,
        on_load=on_registry,
    )
    return loader, registry_loader
