"""How the tests of this folder expect a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.model.reason import Reason


def refusal_of(act: Callable[[], object]) -> Refusal:
    """Return the refusal that `act` ends in; fail when it ends in anything else."""
    with pytest.raises(Refusal) as caught:
        act()
    return caught.value


def reason_of(act: Callable[[], object]) -> Reason:
    """Return the reason of the refusal that `act` ends in."""
    return refusal_of(act).reason
