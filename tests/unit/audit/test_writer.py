"""The record writer: nothing lost, nothing torn, nothing blocked."""

from __future__ import annotations

import errno
import json
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.audit import writer as module
from extauthz.audit.target import FileTarget, LineTarget, StdoutTarget
from extauthz.audit.writer import RecordWriter
from extauthz.model.reason import Reason
from tests.simulators.decisions import ALLOW, decision_of, denial

if TYPE_CHECKING:
    from pathlib import Path

DECISION = decision_of(ALLOW)
WRONG: Any = {1}
"""A value of a type that stands nowhere in a decision, has no JSON form, and is no number of bytes."""
LONG = 10.0
"""Seconds; no test waits for it unless it fails."""


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the records in a file, each of which must be a whole line."""
    text = path.read_bytes()
    assert not text or text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


class Gate(LineTarget):
    """A file whose writing a test can stop, and fail in any place."""

    def __init__(self, path: Path) -> None:
        self.file = FileTarget(path)
        self.open = threading.Event()
        self.reached = threading.Event()
        self.script: list[int | OSError] = []

    def append(self, lines: memoryview) -> int:
        """Wait for the gate; then do what the script says: a number of bytes, or an error."""
        self.reached.set()
        assert self.open.wait(LONG)
        step = self.script.pop(0) if self.script else len(lines)
        if isinstance(step, OSError):
            raise step
        return self.file.append(lines[:step])

    def recover(self, torn: int) -> bool:
        """Recover as a file does."""
        return self.file.recover(torn)

    def reopen(self) -> None:
        """Reopen as a file does."""
        self.file.reopen()

    def close(self) -> None:
        """Close the file."""
        self.file.close()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Return the gate that the next writer writes through."""
    gate = Gate(tmp_path / "records")
    monkeypatch.setattr(module, "FileTarget", lambda _: gate)
    return gate


def test_records_are_written_in_order(tmp_path: Path) -> None:
    """Whatever was taken is in the file after `close`, whole and in order."""
    writer = RecordWriter(tmp_path / "records", queue=5000)
    for number in range(2000):
        assert writer.offer(DECISION, number / 1_000_000)
    assert writer.close(LONG) == 0
    assert [record["latency_us"] for record in lines_of(tmp_path / "records")] == list(range(2000))
    counts = writer.counts()
    assert (counts.written, counts.refused, counts.dropped, counts.waiting, counts.failing) == (2000, 0, 0, 0, False)


def test_many_threads_may_offer(tmp_path: Path) -> None:
    """No record is lost or mixed up when several threads offer."""
    writer = RecordWriter(tmp_path / "records")
    threads = [threading.Thread(target=lambda: [writer.offer(DECISION, 0.001) for _ in range(250)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.close(LONG) == 0
    assert len(lines_of(tmp_path / "records")) == 1000


def test_standard_output_takes_records(capfd: pytest.CaptureFixture[str]) -> None:
    """`-` writes to standard output, which `reopen` leaves alone."""
    writer = RecordWriter("-")
    writer.reopen()
    writer.offer(DECISION, 0.001)
    assert writer.close(LONG) == 0
    assert json.loads(capfd.readouterr().out)["outcome"] == "allow"


def test_a_file_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    """A writer without a place to write to does not come up."""
    with pytest.raises(OSError, match="No such file"):
        RecordWriter(tmp_path / "no-folder" / "records")


def test_a_full_queue_refuses(gate: Gate, tmp_path: Path) -> None:
    """With `overflow: refuse` the server learns that there is no room, at once, and nothing taken is lost."""
    writer = RecordWriter(tmp_path / "records", queue=3)
    assert writer.offer(DECISION, 0.001)
    assert gate.reached.wait(LONG)
    assert [writer.offer(DECISION, 0.001) for _ in range(4)] == [True, True, False, False]
    assert (writer.counts().refused, writer.counts().dropped, writer.counts().waiting) == (2, 0, 3)
    gate.open.set()
    assert writer.close(LONG) == 0
    assert len(lines_of(tmp_path / "records")) == 3


def test_a_full_queue_may_drop(gate: Gate, tmp_path: Path) -> None:
    """With `overflow: drop` the offer succeeds and the loss is counted."""
    writer = RecordWriter(tmp_path / "records", queue=1, overflow="drop")
    assert writer.offer(DECISION, 0.001)
    assert gate.reached.wait(LONG)
    assert writer.offer(DECISION, 0.001)
    assert (writer.counts().refused, writer.counts().dropped) == (0, 1)
    gate.open.set()
    assert writer.close(LONG) == 0
    assert len(lines_of(tmp_path / "records")) == 1


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("taken", [0, 1, 300, 2000])
def test_a_failing_write_loses_and_tears_nothing(gate: Gate, tmp_path: Path, fault: int, taken: int) -> None:
    """After a failure in any place of a line the rest follows, each line once and whole."""
    writer = RecordWriter(tmp_path / "records", first_pause=0.001)
    gate.script = [0, OSError(fault, "x"), taken, OSError(fault, "x"), OSError(fault, "x"), 10, 20]
    for number in range(5):
        assert writer.offer(DECISION, number / 1_000_000)
    gate.open.set()
    assert writer.close(LONG) == 0
    assert [record["latency_us"] for record in lines_of(tmp_path / "records")] == list(range(5))
    assert writer.counts().written == 5
    assert not writer.counts().failing


def test_a_full_disk_is_waited_out(tmp_path: Path) -> None:
    """Records taken while the disk is full are written once the file can be: it is opened anew by its name."""
    path = tmp_path / "records"
    path.symlink_to("/dev/full")
    writer = RecordWriter(path, first_pause=0.001, longest_pause=0.01)
    assert writer.offer(DECISION, 0.001)
    assert writer.offer(DECISION, 0.002)
    path.unlink()
    assert writer.close(LONG) == 0
    assert len(lines_of(path)) == 2


def test_closing_gives_up_in_time(tmp_path: Path) -> None:
    """When the disk stays full `close` says how many records are lost instead of waiting for ever."""
    path = tmp_path / "records"
    path.symlink_to("/dev/full")
    writer = RecordWriter(path, first_pause=0.001, longest_pause=0.001)
    assert writer.offer(DECISION, 0.001)
    assert writer.close(0.05) == 1
    writer._thread.join(LONG)
    assert not writer._thread.is_alive()
    assert writer.counts().failing


def test_after_closing_nothing_is_taken(tmp_path: Path) -> None:
    """An offer after `close` is refused, so nothing can be allowed without a record."""
    writer = RecordWriter(tmp_path / "records")
    writer.close(LONG)
    assert not writer.offer(DECISION, 0.001)
    assert writer.counts().refused == 1


def test_a_writer_that_dies_takes_nothing_any_more(gate: Gate, tmp_path: Path) -> None:
    """A fault in the thread itself closes the writer: offers are refused and the failure shows."""
    writer = RecordWriter(tmp_path / "records")
    gate.script = [WRONG]
    gate.open.set()
    writer.offer(DECISION, 0.001)
    writer._thread.join(LONG)
    assert not writer.offer(DECISION, 0.001)
    assert writer.counts().failing


def test_rotation_by_renaming(tmp_path: Path) -> None:
    """After `reopen` records go to a new file of the old name; none is lost in between."""
    path = tmp_path / "records"
    writer = RecordWriter(path)
    writer.offer(DECISION, 0.001)
    path.rename(tmp_path / "old")
    writer.reopen()
    writer.offer(DECISION, 0.002)
    assert writer.close(LONG) == 0
    records = lines_of(tmp_path / "old") + lines_of(path)
    assert [record["latency_us"] for record in records] == [1000, 2000]
    assert path.exists()


def test_a_rotation_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    """When the name cannot be opened the file that is open goes on taking records."""
    folder = tmp_path / "logs"
    folder.mkdir()
    writer = RecordWriter(folder / "records")
    folder.rename(tmp_path / "moved")
    writer.reopen()
    writer.offer(DECISION, 0.001)
    assert writer.close(LONG) == 0
    assert len(lines_of(tmp_path / "moved" / "records")) == 1


def test_a_line_left_unfinished_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    """The first record after a crash starts on a line of its own."""
    path = tmp_path / "records"
    path.write_bytes(b'{"time":"20')
    writer = RecordWriter(path)
    writer.offer(DECISION, 0.001)
    writer.close(LONG)
    torn, whole = path.read_bytes().splitlines()
    assert torn == b'{"time":"20'
    assert json.loads(whole)["outcome"] == "allow"


def test_an_unfinished_line_is_taken_back(tmp_path: Path) -> None:
    """`recover` cuts the piece off, and the line starts again."""
    path = tmp_path / "records"
    target = FileTarget(path)
    target.append(memoryview(b"one\ntw"))
    assert target.recover(2)
    target.append(memoryview(b"two\n"))
    target.close()
    assert path.read_bytes() == b"one\ntwo\n"


def test_what_cannot_be_taken_back_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A pipe takes nothing back; while it cannot be opened anew the line is continued."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    target = FileTarget(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    target.append(memoryview(b"one\ntw"))
    path.rename(tmp_path / "moved")
    path.mkdir()
    assert not target.recover(2)
    target.append(memoryview(b"o\n"))
    assert os.read(reader, 100) == b"one\ntwo\n"
    os.close(reader)
    target.close()


def test_standard_output_goes_on_where_it_stopped() -> None:
    """What is written to standard output cannot be taken back, so a line is not started again."""
    target = StdoutTarget()
    assert not target.recover(3)
    target.close()


def test_a_file_that_cannot_be_looked_at_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the end of a file cannot be read nothing is appended to it, and no descriptor stays behind."""
    path = tmp_path / "records"
    path.write_bytes(b"torn")

    def descriptors() -> list[str]:
        """Return those of the file; whoever else has threads here opens and closes others."""
        found = []
        for each in os.listdir("/proc/self/fd"):  # noqa: PTH208 — names of descriptors, not paths
            with suppress(FileNotFoundError):
                found.append(os.readlink(f"/proc/self/fd/{each}"))  # noqa: PTH115 — as above
        return [each for each in found if each == str(path)]

    def unreadable(*_: object) -> bytes:
        raise OSError(errno.EIO, "x")

    monkeypatch.setattr(os, "pread", unreadable)
    with pytest.raises(OSError, match="x"):
        FileTarget(path)
    assert descriptors() == []
    with path.open("rb"):
        assert len(descriptors()) == 1, "the control"


def test_the_file_is_not_for_everybody(tmp_path: Path) -> None:
    """Records name people and what they did: others on the machine cannot read them."""
    RecordWriter(tmp_path / "records").close(LONG)
    assert not (tmp_path / "records").stat().st_mode & 0o007


def test_a_record_that_cannot_be_built_is_written_in_short(tmp_path: Path) -> None:
    """A fault in recording costs details, not the record, and never reaches the caller."""
    writer = RecordWriter(tmp_path / "records")
    assert writer.offer(decision_of(denial(Reason.NO_PERMIT), request=WRONG), 0.001)
    assert writer.offer(decision_of(ALLOW, attributes={"x": WRONG}), 0.001)
    assert writer.offer(DECISION, 0.001)
    writer.close(LONG)
    first, second, third = lines_of(tmp_path / "records")
    assert (first["reason"], second["reason"], third["reason"]) == ("no_permit", "allowed", "allowed")
    assert first["inner"] == "the record could not be built in full: AttributeError"
    assert second["inner"] == "the record could not be built in full: TypeError"
    assert "inner" not in third


def test_repetitions_of_what_cannot_be_recorded_in_full_are_recorded_in_short(tmp_path: Path) -> None:
    """Outcome and reason are there, and why the rest is not."""
    writer = RecordWriter(tmp_path / "records")
    common = writer.prepare(decision_of(denial(Reason.NO_PERMIT), request=WRONG))
    assert writer.offer_again(common, (DECISION.decision_id, DECISION.at, 0.001, "", ""))
    writer.close(LONG)
    (line,) = lines_of(tmp_path / "records")
    assert (line["outcome"], line["reason"], line["cached"]) == ("deny", "no_permit", True)
    assert line["inner"] == "the record could not be built in full: AttributeError"
