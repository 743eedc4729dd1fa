"""The registry in force: readers take it by one attribute read, a loader replaces it by one assignment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.errors import Refusal
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from extauthz.model.identity import Identity
    from extauthz.model.registry import Declared
    from extauthz.registry.index import Registry


class LiveRegistry:
    """Holds the registry in force; `ports.RegistrySource`. Use it from any thread, but replace it from one.

    Args:
        current: the first registry; None while none could be read. Then nobody proven is let in, since who is
            quarantined is not known.
    """

    def __init__(self, current: Registry | None = None) -> None:
        self._current = current
        self._epoch = 0

    @property
    def current(self) -> Registry | None:
        """Return the registry in force, None while there is none."""
        return self._current

    def replace(self, registry: Registry) -> None:
        """Put another registry in force; then decisions that rest on the one before no longer hold."""
        self._current = registry
        self._epoch += 1

    def epoch(self, _of: str) -> int:
        """Return how often the registry was replaced; see `ports.EpochView`."""
        return self._epoch

    def find_declared(self, identity: Identity) -> tuple[Declared, ...]:
        """Return what is declared about everybody involved, all from one version.

        Raises:
            Refusal: `evidence_unavailable`: no registry could be read yet.
        """
        current = self._current
        if current is None:
            raise Refusal(Reason.EVIDENCE_UNAVAILABLE, "Try again shortly.", inner="no registry is loaded")
        return current.find_declared(identity)
