"""Names of facts that change while we run: what decisions look up, and what their epochs count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StateName:
    """Names one changeable fact.

    Attributes:
        kind: what sort of fact. `keys` (of an issuer), `introspection` (of a token, by issuer and digest), `status_list`
            (by issuer and URI), `api_key` (by its public part), `authorities` (by file), `registry` (the whole of it),
            and the kinds of state that requirements ask for: `approval ticket posture task session risk familiar
            workflow budget freeze`.
        of: whose, or which one.
    """

    kind: str
    of: str
