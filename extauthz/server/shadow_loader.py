"""A shadow policy from the settings: its files, its rulesets, the thread that asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from extauthz.policy.live import LivePolicy
from extauthz.server.policy_loader import PolicyLoader
from extauthz.server.shadow import ShadowPolicy

if TYPE_CHECKING:
    from extauthz.config.settings import Settings
    from extauthz.pipeline import Answer
    from extauthz.policy.compile import PolicyContext
    from extauthz.ports import RestrictionSource, StateSource


class FollowedShadow(Protocol):
    """A shadow policy that follows its files, or none."""

    def look(self) -> None:
        """Read its files; a broken policy is kept out and told of in the log, and nothing else happens."""
        ...

    def watch(self, answer: Answer) -> Answer:
        """Return the answer with a place for what the shadow says to it; never waits."""
        ...

    def stop(self) -> None:
        """Ask it about nothing any more."""
        ...


class _Running:
    def __init__(self, loader: PolicyLoader, policy: ShadowPolicy) -> None:
        self._loader = loader
        self._policy = policy
        self.look = loader.look
        self.watch = policy.watch

    def stop(self) -> None:
        self._loader.stop()
        self._policy.stop()


class _NoShadow:
    def look(self) -> None:
        """Read nothing."""

    def watch(self, answer: Answer) -> Answer:
        return answer

    def stop(self) -> None:
        """There is nothing to stop."""


def open_shadow(
    settings: Settings, context: PolicyContext, state: StateSource, restrictions: RestrictionSource
) -> FollowedShadow:
    """Return the shadow policy of the settings, not read yet; one that does nothing when there is none.

    Args:
        settings: in force.
        context: what they say that policies refer to.
        state: changeable facts.
        restrictions: what was taken away after login.
    """
    if not settings.policy_shadow:
        return _NoShadow()
    live = LivePolicy()
    loader = PolicyLoader(settings.policy_shadow, context, live, noun="shadow policy", without="no shadow is asked")
    return _Running(loader, ShadowPolicy(live, state, restrictions))
