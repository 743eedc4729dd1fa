"""A shadow policy from the settings: its files, its rulesets, the thread that asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.policy.live import LivePolicy
from extauthz.server.policy_loader import PolicyLoader
from extauthz.server.shadow import ShadowPolicy

if TYPE_CHECKING:
    from extauthz.config.settings import Settings
    from extauthz.pipeline import Answer
    from extauthz.policy.compile import PolicyContext
    from extauthz.ports import StateSource


class RunningShadow:
    """A shadow policy that follows its files. Call `stop` when done.

    Args:
        loader: keeps it in step with the files.
        policy: asks it.
    """

    def __init__(self, loader: PolicyLoader, policy: ShadowPolicy) -> None:
        self._loader = loader
        self._policy = policy

    def look(self) -> None:
        """Read its files; a broken policy is kept out and told of in the log, and nothing else happens."""
        self._loader.look()

    def watch(self, answer: Answer) -> Answer:
        """Return the answer with a place for what the shadow says to it; never waits."""
        return self._policy.watch(answer)

    def stop(self) -> None:
        """Ask it about nothing any more."""
        self._loader.stop()
        self._policy.stop()


def open_shadow(settings: Settings, context: PolicyContext, state: StateSource) -> RunningShadow | None:
    """Return the shadow policy of the settings, not read yet; None when there is none.

    Args:
        settings: in force.
        context: what they say that policies refer to.
        state: changeable facts.
    """
    if not settings.policy_shadow:
        return None
    live = LivePolicy()
    return RunningShadow(PolicyLoader(settings.policy_shadow, context, live), ShadowPolicy(live, state))
