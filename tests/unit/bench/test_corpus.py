"""Questions say what they should, and the reference's lock file names no registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.corpus import make_corpus
from bench.instructions import payloads
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def _tokens(file: Path) -> list[str]:
    read = (CheckRequest.FromString(raw).attributes.request.http for raw in payloads(file))
    lines = ({line.key: line.raw_value.decode() for line in http.header_map.headers} for http in read)
    return [headers["authorization"] for headers in lines]


def test_questions_have_the_tokens_that_their_name_promises(tmp_path: Path) -> None:
    """One token when decisions can be remembered, a new one in every question when they cannot."""
    corpus = make_corpus(tmp_path, 1_790_000_000.0, cold=40, fresh=30)
    cold, fresh, cached = (_tokens(corpus.questions(name)) for name in ("cold", "fresh", "cached"))
    assert len(set(cached)) == 1
    assert len(set(cold) | set(fresh) | set(cached)) == 40 + 30 + 1


def test_no_question_is_the_same_bytes_twice(tmp_path: Path) -> None:
    """Comparing bytes gains a server nothing, as behind a real proxy."""
    corpus = make_corpus(tmp_path, 1_790_000_000.0, cold=1, fresh=1)
    asked = list(payloads(corpus.questions("cached")))
    assert len(set(asked)) == len(asked)


def test_questions_have_the_usual_size_and_headers(tmp_path: Path) -> None:
    """A question looks like an everyday API call."""
    corpus = make_corpus(tmp_path, 1_790_000_000.0, cold=1, fresh=1)
    first = next(payloads(corpus.questions("cached")))
    assert len(CheckRequest.FromString(first).attributes.request.http.header_map.headers) == 15
    assert 1100 <= len(first) <= 1600


def test_lock_file_names_no_registry() -> None:
    """The reference's packages are pinned by version and hash, not by where one machine found them."""
    lock = json.loads((ROOT / "bench/references/node/package-lock.json").read_text("utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if "resolved" in entry or "integrity" not in entry] == []
