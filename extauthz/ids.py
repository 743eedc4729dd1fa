"""Small named values, and the only place that makes random ones."""

from __future__ import annotations

import secrets
from typing import NewType

DecisionId = NewType("DecisionId", str)
"""Names one decision in the record, in Envoy's dynamic metadata and in the answer to the client."""

PolicyRevision = NewType("PolicyRevision", str)
"""The first 16 hex digits of the SHA-256 over the canonical policy sources."""

RuleId = NewType("RuleId", str)
"""The `id` of a guard, forbid or permit as the policy author wrote it."""

_DECISION_ID_BYTES = 10


def new_decision_id() -> DecisionId:
    """Return a fresh decision id: `d-` and 20 hex digits, 80 random bits: unique, and not to be guessed beforehand."""
    return DecisionId(f"d-{secrets.token_hex(_DECISION_ID_BYTES)}")
