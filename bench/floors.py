"""What the constant servers answer: the bytes of extauthz's own answer.

A constant server is the floor of an engine only when it sends as much as extauthz does. With a smaller answer the
distance to it would be made of bytes as well as of decisions.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from bench.configuration import write_settings
from bench.contestants import CACHED
from bench.instructions import ask

if TYPE_CHECKING:
    from bench.corpus import Corpus


def write_answer(corpus: Corpus) -> int:
    """Have extauthz answer the first `cached` question, keep the answer in the corpus, and return its bytes.

    Raises:
        RuntimeError: the answer was not an allow.
    """
    write_settings(corpus.folder, engine="grpcio", address="127.0.0.1:0", metrics=None, jwks=corpus.jwks)
    with redirect_stdout(sys.stderr):  # What the server logs is no result.
        answer = ask(corpus.folder, CACHED, 1)
    return corpus.answer.write_bytes(answer)
