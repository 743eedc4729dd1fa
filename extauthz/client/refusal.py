"""A refusal as values: what was wrong, and what would help."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from extauthz.client.challenge import Challenge, parse_challenges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.client.transport import Response

_REFUSALS: Final = frozenset({400, 401, 403, 405, 413, 429, 503})
_PROBLEM: Final = "application/problem+json"
_MAX_PROBLEM_BYTES: Final = 65_536
_MAX_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody has to approve the request first.

    Attributes:
        id: names what is to be approved.
        where: where to follow it; empty when the answer does not say.
    """

    id: str
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a refused client was told.

    Attributes:
        challenges: of `WWW-Authenticate`; none when the header is not well-formed.
        reason: extauthz's code; empty when the answer is not extauthz's.
        detail: a sentence for people.
        decision_id: to ask the operators about.
        remedies: how to become allowed, each with its `kind`.
        retry_after: seconds to wait; None when the answer does not say.
        nonce: for the next DPoP proof; empty when there is none.
    """

    status: int
    challenges: tuple[Challenge, ...] = ()
    reason: str = ""
    detail: str = ""
    decision_id: str = ""
    remedies: tuple[Mapping[str, Any], ...] = field(default=())
    retry_after: float | None = None
    nonce: str = ""

    def challenge_for(self, scheme: str) -> Challenge | None:
        """Return the challenge of this scheme, else the first one that is about tokens at all, else None.

        A client whose token is refused listens to its own scheme first; the other one may be the only one spoken here.
        """
        spoken = [challenge for challenge in self.challenges if challenge.scheme in {"bearer", "dpop"}]
        return next((challenge for challenge in spoken if challenge.scheme == scheme), spoken[0] if spoken else None)

    @property
    def approval(self) -> Approval | None:
        """Return the approval that is asked for, None when none is."""
        for remedy in self.remedies:
            name, where = remedy.get("id"), remedy.get("where", "")
            if remedy.get("kind") == "approval" and isinstance(name, str) and isinstance(where, str):
                return Approval(name, where)
        return None


def read_refusal(answer: Response, now: float) -> Refusal | None:
    """Return what a refused client was told, None when `answer` is no refusal; never raises.

    Args:
        answer: whatever came back, also hostile bytes.
        now: seconds since 1970, for a `Retry-After` that is a date.
    """
    if answer.status not in _REFUSALS:
        return None
    try:
        challenges = parse_challenges(answer.headers.get("www-authenticate", ""))
    except ValueError:
        challenges = ()
    problem = _read_problem(answer)
    remedies = problem.get("remedies")
    return Refusal(
        status=answer.status,
        challenges=challenges,
        reason=_text(problem, "reason"),
        detail=_text(problem, "detail"),
        decision_id=_text(problem, "decision_id"),
        remedies=tuple(each for each in remedies if isinstance(each, dict)) if isinstance(remedies, list) else (),
        retry_after=_read_retry(answer.headers.get("retry-after", ""), now),
        nonce=answer.headers.get("dpop-nonce", ""),
    )


def _read_problem(answer: Response) -> dict[str, Any]:
    media_type = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != _PROBLEM or len(answer.body) > _MAX_PROBLEM_BYTES:
        return {}
    try:
        problem = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _text(problem: dict[str, Any], name: str) -> str:
    value = problem.get(name)
    return value if isinstance(value, str) else ""


def _read_retry(text: str, now: float) -> float | None:
    """Return the seconds that `Retry-After` asks for (RFC 9110 section 10.2.3), as a number or as a date."""
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= _MAX_DIGITS else None
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
