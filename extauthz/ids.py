"""Small named values, and the only place that makes random ones."""

from __future__ import annotations

import os
import secrets
from typing import NewType

DecisionId = NewType("DecisionId", str)
"""Names one decision in the record, in Envoy's dynamic metadata and in the answer to the client."""

PolicyRevision = NewType("PolicyRevision", str)
"""The first 16 hex digits of the SHA-256 over the canonical policy sources."""

RuleId = NewType("RuleId", str)
"""The `id` of a guard, forbid or permit as the policy author wrote it."""

_DECISION_ID_BYTES = 10
_BATCH = 400
"""Ids made from one reading of the system's random numbers, which costs as much for four thousand bytes as for ten."""

_unused: list[DecisionId] = []
os.register_at_fork(after_in_child=_unused.clear)  # A child must not give out its parent's ids.


def new_decision_id() -> DecisionId:
    """Return a fresh decision id: `d-` and 20 hex digits, 80 random bits: unique, and not to be guessed beforehand."""
    while True:
        try:
            return _unused.pop()  # One step of the interpreter, so no two threads get the same one.
        except IndexError:
            digits = secrets.token_hex(_DECISION_ID_BYTES * _BATCH)
            size = 2 * _DECISION_ID_BYTES
            _unused.extend([DecisionId(f"d-{digits[at : at + size]}") for at in range(0, len(digits), size)])


def new_random_bytes(size: int) -> bytes:
    """Return `size` bytes that nobody can guess: secrets, salts, names."""
    return secrets.token_bytes(size)
