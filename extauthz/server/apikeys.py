"""The API keys in memory, with their epochs: the part of the view of the state that is small enough to be held whole.

Keys are put in place by one assignment before their epochs are raised. What `stateview.py` says about all parts holds
for this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from extauthz.server.nameepochs import NameEpochs
from extauthz.state.apikeys import read_api_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.ports import ApiKey
    from extauthz.state.follower import Query
    from extauthz.state.seal import Alarm, Seal

_log = structlog.get_logger(__name__)


class ApiKeys:
    """API keys by id. One thread changes them at a time; any may read.

    Attributes:
        keys: all of them, expired and revoked ones included.
        epochs: of each.
    """

    def __init__(self) -> None:
        self.keys: Mapping[str, ApiKey] = {}
        self.epochs = NameEpochs()

    def begin(self, query: Query, seal: Seal, on_alarm: Alarm, epoch: int) -> None:
        """Read all keys."""
        changes = read_api_keys(query, 0, seal, on_alarm=on_alarm)
        self.keys = {key_id: key for key_id, key in changes.keys.items() if key is not None}
        self.epochs.begin(changes.number, epoch)
        _log.info("API keys read", keys=len(self.keys), unusable=len(changes.keys) - len(self.keys))

    def go_on(self, query: Query, seal: Seal, on_alarm: Alarm, epoch: int) -> None:
        """Read those that have changed."""
        changes = read_api_keys(query, self.epochs.number, seal, on_alarm=on_alarm)
        fresh = {key_id: key for key_id, key in changes.keys.items() if key is not None}
        kept = {key_id: key for key_id, key in self.keys.items() if key_id not in changes.keys}
        self.keys = {**kept, **fresh}
        self.epochs.go_on(changes.number, tuple(changes.keys), epoch)
        _log.info("API keys changed", keys=len(changes.keys), unusable=len(changes.keys) - len(fresh))
