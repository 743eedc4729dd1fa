"""What carries changes to the keepers of other machines, as the keeper sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from extauthz.keeper.keeper import Keeper


class Replicas(NamedTuple):
    """How far a change has come.

    Attributes:
        in_force: how many other machines have said that they decide by it.
        of: how many there are.
    """

    in_force: int
    of: int


class Replicator(Protocol):
    """Carries what this machine was told to the others, and what they were told to this one.

    What arrives is applied by `Keeper.take_over`, and confirmed by `Keeper.confirm`.
    """

    def start(self, keeper: Keeper) -> None:
        """Begin to carry changes both ways."""
        ...

    def stop(self) -> None:
        """End it."""
        ...

    def publish(self, number: int) -> None:
        """Send what was changed here up to `number`, which is durable here; does not wait, never raises."""
        ...

    def wait_for_replicas(self, number: int, timeout: float) -> tuple[int, int]:
        """Return on how many other machines, of how many, all up to `number` is in force, after `timeout` at most."""
        ...

    def in_sync(self) -> bool:
        """Return whether all is known here that was told to any machine until now."""
        ...
