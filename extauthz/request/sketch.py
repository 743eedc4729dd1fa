"""Tells in a few steps that a question is, byte for byte, one that was named before.

Naming a question (`question.py`) parses it. Proxies send the same question time and again, though, and then everything
but a few values is the same bytes in the same order: stream id, time, the port of the connection, request id and trace.
A sketch is a digest of the message without those values, and equal sketches mean equal names. The argument:

1. How a message is laid out is learned once, from one that was named, by walking its frame and its header lines
   (`encode_raw_headers`; merged headers come in no fixed order and are not sketched): source, destination, time, stream
   id, the rest of the HTTP request, the tail. A message that is framed otherwise is not learned. The layout is tried on
   messages that are as long.
2. A message whose tags and lengths up to the stream id are those of the message that the layout was learned from, at
   the same places, is framed like it up to there. The digest covers every other byte outside the cut values, and the
   sizes of all parts. So a message with the same digest as *the one that its own layout was learned from* is framed
   alike throughout, and its cuts are the values of the same headers. By the layout of another message the cuts could be
   anything, a token too: such a digest must never be remembered, and `learn` returns the only one that may.
3. What is cut cannot matter to the name: nothing reads those values, except that an undecodable or unprintable one has
   no name. So port, stream id, time and cut values are held to the shape that they have in named questions, or there is
   no sketch.
4. The digest is SHA-256 over parts whose sizes it covers, so no two different questions share one, and no secret stays
   in memory. The same question has the same digest by layouts that differ in how long its stream id, time and port are.

`tests/property/test_sketch.py` holds sketches against names over changed, torn and hostile messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extauthz.request.layout import PASSING, learn_layout

if TYPE_CHECKING:
    from extauthz.request.layout import Layout

_MOST_LAYOUTS: Final = 2048
"""Layouts that are remembered; some 3 KiB each."""
_MOST_OF_A_LENGTH: Final = 32
"""Layouts for one length, the newest. A proxy frames one question in some six lengths, since its stream ids and times
have several, and in each of them it meets others that are a little longer or shorter."""


class Sketches:
    """Sketches questions by what was learned from those before.

    Args:
        values_read: lower-case names of headers whose values policy reads: those never count as passing.
    """

    def __init__(self, values_read: frozenset[str] = frozenset()) -> None:
        self._passing = PASSING - values_read
        self._layouts: dict[int, tuple[Layout, ...]] = {}
        self._learned = 0

    def layouts_for(self, raw: bytes) -> tuple[Layout, ...]:
        """Return the layouts that `raw` may have, by its length; usually a few or none."""
        return self._layouts.get(len(raw), ())

    def learn(self, raw: bytes) -> bytes | None:
        """Learn how a question that has a name is laid out, so that a layout fits its like.

        Returns:
            The one digest that may stand for its name: by its own layout. By another one of the same length the cuts
            would be anywhere in it. None when it has none.
        """
        layout = learn_layout(raw, self._passing)
        sketch = layout.read(raw) if layout is not None else None
        if layout is None or sketch is None:
            return None
        others = self.layouts_for(raw)
        if layout not in others:
            if self._learned >= _MOST_LAYOUTS:
                self._layouts, self._learned, others = {}, 0, ()
            self._layouts[len(raw)] = (layout, *others)[:_MOST_OF_A_LENGTH]
            self._learned += 1
        return sketch[0]
