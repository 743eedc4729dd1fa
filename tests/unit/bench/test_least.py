"""The least Python server still checks what it is measured for: signature, claims, an answer to be read."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidSignature

from bench.corpus import Corpus, Issuer, make_corpus
from bench.floors import write_answer
from bench.instructions import payloads
from bench.references.least import Least
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Return questions, keys and extauthz's own answer."""
    made = make_corpus(tmp_path_factory.mktemp("corpus"), time.time(), cold=2, fresh=1)
    write_answer(made)
    return made


def _least(corpus: Corpus, jwks: dict[str, Any] | None = None) -> Least:
    written: list[bytes] = []
    keys = jwt.PyJWKSet.from_dict(jwks or json.loads(corpus.jwks.read_text("utf-8")))
    return Least(keys.keys[0].key, corpus.answer.read_bytes(), written.append)


def test_least_allows_with_the_bytes_of_extauthz_under_an_id_of_its_own(corpus: Corpus) -> None:
    """Two answers are as long as extauthz's, can be read, and differ."""
    least = _least(corpus)
    answers = [least.check(question) for question in payloads(corpus.questions("cold"))]
    assert {len(answer) for answer in answers} == {corpus.answer.stat().st_size}
    assert len(set(answers)) == len(answers)
    assert all(CheckResponse.FromString(answer).HasField("ok_response") for answer in answers)


def test_least_verifies_the_signature(corpus: Corpus) -> None:
    """A key that did not sign allows nothing."""
    with pytest.raises(InvalidSignature):
        _least(corpus, Issuer().jwks()).check(next(payloads(corpus.questions("cold"))))


def test_least_looks_at_the_claims(corpus: Corpus) -> None:
    """Tokens that have expired or are for somebody else are not allowed."""
    least = _least(corpus)
    for question in payloads(corpus.questions("refused")):
        with pytest.raises(ValueError, match="reports"):
            least.check(question)
