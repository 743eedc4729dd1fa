"""When API keys were last used: noted in memory with each decision, written down now and then.

It is for people who look for keys that nobody needs any more. A crash loses at most what was noted since the last
writing, and a kept decision notes its uses like any other.
"""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Final

from extauthz.model.identity import Credential
from extauthz.state.apikeys import note_uses
from extauthz.state.store import connect, told
from extauthz.state.transaction import transaction

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.clock import Instant
    from extauthz.model.decision import Decision

WRITE_SECONDS: Final = 60.0
"""Between two writings; so a key costs at most one write in that time, however often it is used."""

_LOCK_SECONDS: Final = 1.0


class KeyUses:
    """Notes and writes. Use it from any thread.

    Args:
        path: of the state file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._uses: dict[str, Instant] = {}

    def note(self, decision: Decision, at: Instant) -> None:
        """Note the use of the key that proved the caller of a decision, if one did.

        Args:
            decision: made now, or kept from before.
            at: when it was given out.
        """
        identity = decision.identity
        if identity is not None and identity.credential is Credential.API_KEY:
            with self._lock:
                self._uses[identity.token_id] = at

    def write(self) -> None:
        """Write down what was noted since the last writing.

        Raises:
            StateError: it cannot be written; it is lost, and the next writing goes on.
        """
        with self._lock:
            uses, self._uses = self._uses, {}
        if not uses:
            return
        with closing(connect(self._path, wait=_LOCK_SECONDS)) as connection, told(self._path), transaction(connection):
            note_uses(connection, uses)
