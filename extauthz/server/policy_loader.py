"""Policy from disk into force (`follower.py`).

While there has never been a good policy everything is denied, which is better than not answering, since no answer is an
error and errors may let through.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog

from extauthz.config.policyfiles import load_policy_files
from extauthz.policy.compile import compile_policy
from extauthz.policy.ruleset import Ruleset
from extauthz.server.follower import SETTLE_SECONDS, Follower

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from extauthz.policy.compile import PolicyContext
    from extauthz.policy.live import LivePolicy

_log = structlog.get_logger(__name__)


class PolicyLoader(Follower[Ruleset]):
    """Keeps `live` in step with the files.

    Args:
        paths: files and folders, as in the settings.
        context: what the settings say about profiles and authentication contexts.
        live: what decisions read.
        noun: what the policy is called in the log.
        without: what happens while there is no policy, for the log.
        on_load: told after each attempt: the new ruleset, or None when the policy was kept out.
        settle: seconds between two reads that must agree.
    """

    def __init__(  # noqa: PLR0913 — what it reads, what it fills, and whom it tells
        self,
        paths: Sequence[Path],
        context: PolicyContext,
        live: LivePolicy,
        *,
        noun: str = "policy",
        without: str = "everything is denied",
        on_load: Callable[[Ruleset | None], object] = lambda _: None,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        def build(files: Mapping[str, bytes]) -> Ruleset:
            ruleset = compile_policy(files, context)
            for warning in ruleset.warnings:
                _log.warning(noun, problem=str(warning))
            return ruleset

        super().__init__(
            noun,
            partial(load_policy_files, tuple(paths)),
            build,
            live,
            declares=lambda ruleset: str(ruleset.counts),
            without=without,
            on_load=on_load,
            settle=settle,
        )
