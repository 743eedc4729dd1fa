"""Constant servers send what extauthz sends, and each server is compared with the floor of its own size."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from bench.contestants import CACHED, METADATA, Contestant, Place, contestants
from bench.corpus import Corpus, make_corpus
from bench.floors import write_answer
from bench.instructions import payloads
from bench.measure import Sample
from bench.programs import ROOT, Programs
from bench.references.constant_answer import METHOD, tiny_answer
from bench.report import Setting, Sizes, markdown
from bench.results import NOTHING, Results
from extauthz.demo.stage import find_free_port
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.server import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 60.0
EVERYBODY = {one.name: one for one in contestants(Programs())}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Return a small corpus with extauthz's own answer."""
    made = make_corpus(tmp_path_factory.mktemp("corpus"), time.time(), cold=1, fresh=1)
    write_answer(made)
    return made


@contextmanager
def _running(one: Contestant, folder: Path, corpus: Corpus) -> Iterator[grpc.Channel]:
    address, metrics = (f"127.0.0.1:{find_free_port()}" for _ in range(2))
    server = subprocess.Popen(one.command(Place(folder, address, metrics, corpus)), cwd=ROOT)
    try:
        with grpc.insecure_channel(address) as channel:
            grpc.channel_ready_future(channel).result(START_SECONDS)
            yield channel
    finally:
        server.terminate()
        server.wait(START_SECONDS)


def test_answer_of_the_floors_is_the_allow_of_extauthz(corpus: Corpus) -> None:
    """It allows, tells the upstream who asks, and is larger than the answer that nobody in earnest gives."""
    raw = corpus.answer.read_bytes()
    answer = CheckResponse.FromString(raw)
    assert answer.status.code == 0
    assert "pipeline-0" in [option.header.value for option in answer.ok_response.headers]
    assert len(raw) > 2 * len(tiny_answer())


def test_answer_of_the_floors_is_as_long_as_that_of_the_measured_server(tmp_path: Path, corpus: Corpus) -> None:
    """The server that is measured, asked over a connection, sends as many bytes, new and from what it keeps."""
    name, _, value = METADATA.partition("=")
    question = next(payloads(corpus.questions(CACHED)))
    with _running(EVERYBODY["extauthz-grpcio"], tmp_path, corpus) as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
        answers = [check(question, timeout=START_SECONDS, metadata=((name, value),)) for _ in range(2)]
    assert [len(answer) for answer in answers] == [corpus.answer.stat().st_size] * 2
    assert all(CheckResponse.FromString(answer).HasField("ok_response") for answer in answers)


def test_denial_is_no_floor(tmp_path: Path) -> None:
    """An answer to a token that has expired is not what the constant servers shall give; the engines are as before."""
    expired, usual = make_corpus(tmp_path, time.time() - 7200, cold=1, fresh=1), vars(app)["make_engine"]
    with pytest.raises(RuntimeError, match="token_expired"):
        write_answer(expired)
    assert not expired.answer.exists()
    assert vars(app)["make_engine"] is usual


@pytest.mark.parametrize("engine", ["native", "grpcio"])
def test_constant_server_sends_the_answer_that_its_row_promises(engine: str, tmp_path: Path, corpus: Corpus) -> None:
    """`constant` sends extauthz's bytes and `tiny` a tiny allow, whatever is asked."""
    for name, expected in ((f"constant-{engine}", corpus.answer.read_bytes()), (f"tiny-{engine}", tiny_answer())):
        with _running(EVERYBODY[name], tmp_path, corpus) as channel:
            check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
            assert check(b"anything", timeout=START_SECONDS) == expected


def test_ratios_compare_with_the_floor_of_the_same_size() -> None:
    """Our answers are as large as those of `constant`, those of the references as small as those of `tiny`."""
    rates = {"extauthz-native": 30, "constant-native": 50, "tiny-native": 60, "go-cache": 20, "tiny-go": 40}
    results = Results()
    for name, rate in rates.items():
        results.samples[name, CACHED][0] = Sample(rate, 10.0, 100.0, 900.0, 50.0)
    everybody = [EVERYBODY[name] for name in rates]
    report = markdown(results, everybody, Setting(1, 1.0, "2026-01-01", Sizes(1300, 2200, 60), shared_core=False))
    rows = [line.strip("| ").split(" | ") for line in report.splitlines()]
    shares = {title: [cell.split(" (")[0] for cell in cells[-2:]] for title, *cells in rows}
    assert {name: shares[EVERYBODY[name].title] for name in rates} == {
        "extauthz-native": ["0.60", "0.50"],
        "constant-native": [NOTHING, "0.83"],
        "tiny-native": [NOTHING, NOTHING],
        "go-cache": ["0.50", "0.50"],
        "tiny-go": [NOTHING, NOTHING],
    }
    assert "extauthz's answer 2,200, a tiny one 60" in report
