"""The body of a denial: RFC 9457 problem details that a machine can act on.

`type` is `urn:extauthz:reason:<code>`; `reason`, `decision_id` and `remedies` are extension members. The texts are
ours: nothing that the client sent is echoed, and `inner` stays inside.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from extauthz.limits import MAX_PROBLEM_REMEDIES_BYTES, MAX_PROBLEM_TEXT
from extauthz.model.reason import REASONS, Reason
from extauthz.model.verdict import to_published
from extauthz.response.status import status_of

if TYPE_CHECKING:
    from extauthz.ids import DecisionId
    from extauthz.model.decision import Target
    from extauthz.model.verdict import Deny, Remedy

CONTENT_TYPE: Final = "application/problem+json"


def to_problem(deny: Deny, decision_id: DecisionId, target: Target | None = None) -> str:
    """Return the JSON text of a denial; bounded, ASCII only. `target` is what was asked for, if that is known."""
    detail = f',"detail":{_quoted(deny.detail)}' if deny.detail else ""
    remedies = _remedies(deny.remedies) if deny.remedies else "[]"
    opening = _opening(deny.reason, status_of(deny, target))
    return f'{opening}{detail},"decision_id":{json.dumps(decision_id)},"remedies":{remedies}}}'


@lru_cache(maxsize=256)
def _opening(reason: Reason, status: int) -> str:
    fixed = {
        "type": f"urn:extauthz:reason:{reason.value}",
        "title": REASONS[reason].title,
        "status": status,
        "reason": reason.value,
    }
    return json.dumps(fixed, separators=(",", ":"))[:-1]


@lru_cache(maxsize=1024)
def _quoted(text: str) -> str:
    return json.dumps(text[:MAX_PROBLEM_TEXT])


@lru_cache(maxsize=1024)
def _remedies(remedies: tuple[Remedy, ...]) -> str:
    """Return the remedies as a JSON array, empty when they are too many: half of them would not help."""
    text = json.dumps([to_published(remedy) for remedy in remedies], separators=(",", ":"))
    return text if len(text) <= MAX_PROBLEM_REMEDIES_BYTES else "[]"
