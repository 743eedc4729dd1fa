"""Finds kept decisions by sketch (`request/sketch.py`), without naming the question first. Part of `recall.py`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from extauthz.request.sketch import Sketches

if TYPE_CHECKING:
    from extauthz.policy.ruleset import Ruleset
    from extauthz.request.bounds import Proxy
    from extauthz.server.recall import Kept


class Sketchbook:
    """Sketches of the questions of one policy, each with the proxy that asked and the decision that was kept.

    It only says which kept decision is meant; whether that still holds is for `recall.py` to say.

    Args:
        ruleset: the policy; another one needs a book of its own.
        capacity: sketches at most; the oldest goes first.
    """

    def __init__(self, ruleset: Ruleset, capacity: int) -> None:
        self.ruleset = ruleset
        self._capacity = capacity
        self._sketches = Sketches(ruleset.headers_read)
        self._known: dict[bytes, tuple[Proxy, Kept]] = {}
        self._change = threading.Lock()

    def find(self, raw: bytes, proxy: Proxy) -> tuple[Kept, tuple[str, str]] | None:
        """Return the decision that was kept for a question, and the request id and trace id of this one."""
        for layout in self._sketches.layouts_for(raw):
            sketch = layout.read(raw)
            if sketch is None:
                continue
            digest, shown = sketch
            known = self._known.get(digest)
            if known is not None and known[0] is proxy:
                return known[1], layout.ids(shown)
        return None

    def learn(self, raw: bytes, proxy: Proxy, kept: Kept) -> bool:
        """Find `kept` by the sketch of this question from now on; return False when it has none."""
        with self._change:
            digest = self._sketches.learn(raw)
            if digest is None:
                return False
            while len(self._known) >= self._capacity and digest not in self._known:
                del self._known[next(iter(self._known))]
            self._known[digest] = proxy, kept
        return True
