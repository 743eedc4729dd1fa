"""Events about the stream itself (SSF 1.0): verification, and its status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extauthz.signals.event_token import refuse
from extauthz.signals.identifiers import COMPLEX, read_identifiers

if TYPE_CHECKING:
    from extauthz.signals.event_token import EventToken
    from extauthz.signals.rules import StreamRules

SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
VERIFICATION: Final = "verification"
STREAM_UPDATED: Final = "stream-updated"
KINDS: Final = {SSF + kind: kind for kind in (VERIFICATION, STREAM_UPDATED)}

STATUSES: Final = ("enabled", "paused", "disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamNews:
    """What a transmitter says about its stream.

    Attributes:
        state: of a verification event; None when it has none.
        status: of the stream, one of `STATUSES`; empty when it says nothing about that.
    """

    state: str | None = None
    status: str = ""


NO_NEWS: Final = StreamNews()


def read_stream_event(token: EventToken, rules: StreamRules) -> StreamNews:
    """Return what an event of `KINDS` says.

    Raises:
        SignalError: it is about another stream, or malformed.
    """
    identifiers = () if token.subject.get("format") == COMPLEX else read_identifiers(token.subject)
    if len(identifiers) != 1 or identifiers[0].format != "opaque":
        refuse("the subject of this event is not the opaque id of a stream")
    if rules.stream_id and identifiers[0].values != (rules.stream_id,):
        refuse("the event is about another stream than `stream_id`")
    if KINDS[token.event] == VERIFICATION:
        state = token.payload.get("state")
        if state is not None and not isinstance(state, str):
            refuse("`state` is no text")
        return StreamNews(state=state)
    status = token.payload.get("status")
    if status not in STATUSES:
        refuse(f"`status` is none of: {', '.join(STATUSES)}")
    return StreamNews(status=str(status))
