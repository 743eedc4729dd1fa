"""What workers tell the keeper fits into the frames that carry it."""

from __future__ import annotations

import pytest

from extauthz.clock import Instant
from extauthz.link.frames import MAX_FRAME, from_body, to_frame
from extauthz.server.keeperwire import read_seen, seen_messages
from extauthz.state.sessions import SessionSeen
from tests.simulators.tokens import ISSUER, NOW


@pytest.mark.parametrize("letter", ["a", "\x01", "é", "\N{KEY}"])
def test_uses_of_sessions_fit_into_frames_however_they_are_escaped(letter: str) -> None:
    """A batch that does not would be told again and again, and nothing else."""
    seen = [
        SessionSeen(issuer=ISSUER, session=f"{number} {letter * 500}", subject=letter * 500, at=Instant(NOW))
        for number in range(300)
    ]
    frames = [to_frame(message) for message in seen_messages(seen)]
    assert max(map(len, frames)) <= MAX_FRAME
    assert [use for frame in frames for use in read_seen(from_body(frame[4:]))] == seen
