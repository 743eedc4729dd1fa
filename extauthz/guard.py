"""The single fail-closed boundary: whatever happens inside, a verdict comes out.

A `Refusal` keeps its reason. Anything else that is raised is our own failure: it becomes a denial with status 503, its
text goes to the log and the record, never to a client. Success is never the default: the only way to `Allow` is that
the steps return one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from extauthz.errors import Refusal
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny, Verdict
from extauthz.ports import NeedsEvidence

if TYPE_CHECKING:
    from collections.abc import Callable

_log = structlog.get_logger(__name__)


def decided(steps: Callable[[], Verdict | NeedsEvidence]) -> Verdict | NeedsEvidence:
    """Run the steps of a decision and return their verdict, or the denial that their failure means.

    Args:
        steps: returns a verdict, or asks for evidence; may raise anything.
    """
    try:
        verdict = steps()
    except Refusal as refusal:
        return Deny(
            reason=refusal.reason,
            detail=refusal.detail,
            inner=refusal.inner,
            remedies=refusal.remedies,
            schemes=refusal.schemes,
        )
    except Exception as error:  # noqa: BLE001 — the boundary: an unforeseen failure must become a denial, not an RPC error
        _log.exception("decision failed", error=type(error).__name__)
        return Deny(reason=Reason.INTERNAL_ERROR, inner=type(error).__name__)
    returned: object = verdict  # the types promise a verdict; here it is made sure
    if isinstance(returned, Allow | Deny | NeedsEvidence):
        return returned
    _log.error("steps returned no verdict", returned=type(returned).__name__)
    return Deny(reason=Reason.INTERNAL_ERROR, inner="no verdict")
