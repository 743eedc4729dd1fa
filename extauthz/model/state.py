"""Names of facts that change while we run: what decisions look up, and what their epochs count."""

from __future__ import annotations

from typing import Final, NamedTuple

STANDING: Final = ("approval", "ticket", "posture", "task", "session", "risk", "familiar", "workflow")
"""The kinds of facts that requirements ask for (`model/standing_facts.py`)."""


class StateName(NamedTuple):
    """Names one changeable fact.

    Attributes:
        kind: what sort of fact. `keys` (of an issuer), `introspection` (of a token, by issuer and digest),
            `status_list` (by issuer and URI), `api_key` (by its public part), `authorities` (by file), `registry` (the
            whole of it), `answer` (to an enquiry, `model/enquiry.py`), `restriction` (of a target,
            `model/restriction.py`), `freshness` (of `state`, or of `signals ISSUER`), and those of `STANDING`.
        of: whose, or which one.
    """

    kind: str
    of: str


FRESH_STATE: Final = StateName("freshness", "state")
"""Whether what is known of the state is new enough."""


def fresh_signals(issuer: str) -> StateName:
    """Return the name of whether everybody who reports about callers of an issuer is heard."""
    return StateName("freshness", f"signals {issuer}")
