"""What an allow uses up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.ids import RuleId
    from extauthz.model.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Something that can be used only so often, taken when the request is otherwise allowed.

    Attributes:
        kind: what sort, for metrics and records (`dpop_proof`).
        key: names it; a digest, never a secret.
        member: when not empty, different members are counted instead of uses (the addresses of a session): one that is
            there already takes nothing more, and each is forgotten at the last `until` that was given for it.
        limit: how often it may be used, or how many members it may have, until `until`.
        until: first instant at which it can be forgotten.
        refused: the reason when it is used up.
        detail: the sentence for the client then.
        again_at: the first instant at which it can be used again; None when that is never, or not known.
        rule: the rule that asks for it; None when it is no rule, as with proofs of possession.
    """

    kind: str
    key: bytes
    member: bytes = b""
    limit: int = 1
    until: Instant
    refused: Reason
    detail: str = ""
    again_at: Instant | None = None
    rule: RuleId | None = None
