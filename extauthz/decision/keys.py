"""Keys of kept decisions: everything a decision depends on that is neither an epoch nor time.

A key is a tuple, compared member by member and never by hash alone, so two different keys are never taken for one. It
names the policy by its content, the proxy with all that it may ask about, and the question (`request/question.py`).
The verification profile is a function of policy and question, and settings do not change while the server runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from extauthz.ids import PolicyRevision

DecisionKey = tuple[object, ...]
"""Hashable; holds no secret, since credentials are named by digest."""


def decision_key(policy: PolicyRevision, proxy: Hashable, question: tuple[object, ...]) -> DecisionKey:
    """Return the key of a decision.

    Args:
        policy: revision of the ruleset that decides.
        proxy: who asks, with hosts and tenants.
        question: `Question.name`.
    """
    return (policy, proxy, question)
