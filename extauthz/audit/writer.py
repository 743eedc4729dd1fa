"""Decision records to a file or to standard output: a bounded queue and one thread.

**Overflow.** `offer` never blocks. When `queue` records wait, it returns False, and the server then refuses instead of
allowing without a record (`overflow: refuse`); with `overflow: drop` the record is counted and lost, and `offer`
returns True.

**Failure.** A record that was taken is not lost while the process lives. When a write fails (disk full, file gone, I/O
error) the batch is kept, the file is opened anew, and the rest is tried again with growing pauses; meanwhile the queue
fills and the overflow rule holds. A line is finished or taken back, so none is torn and none is written twice.

**Durability.** A written line is with the operating system; there is no fsync per record. A crash of the process loses
what waits in the queue, a power cut what the system had not flushed.

**Samples.** Of allows that the policy marks `sampled` a share is recorded, chosen by the decision id alone, so every
node chooses alike; the others are counted. Each record of a sample names the share.

Records are made by `offer` in the caller's thread: the queue then holds small bounded lines, not requests with bodies
and tokens.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import structlog

from extauthz.audit.record import close_line, open_common, open_line, to_repeated_line
from extauthz.audit.target import FileTarget, LineTarget, StdoutTarget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from extauthz.ids import DecisionId
    from extauthz.model.decision import Decision
    from extauthz.model.shadow import Shadow
    from extauthz.ports import Occurrence

Repetition = tuple[bytes, "Occurrence"]
"""A kept decision's common part and what is its own; the line is made in the writer's thread."""


class Unfinished(NamedTuple):
    """What `close_line` makes a line of, in the writer's thread: by then the shadow may have said something."""

    opened: str
    shadow: Shadow
    mark: str


Entry = bytes | Unfinished | Repetition
"""A line, or what one is made of."""

_log = structlog.get_logger(__name__)

_DIGEST_BYTES: Final = 8

_BATCH: Final = 512
"""Records that are written in one system call at most."""

_GATHERING: Final = 0.01
"""Seconds that the first of several records waits for others, so that one system call writes them all."""


@dataclass(frozen=True, slots=True)
class RecordCounts:
    """How the writer fares.

    Attributes:
        written: records handed to the operating system whole.
        refused: records that found no room and were refused.
        dropped: records that found no room and were lost (`overflow: drop`).
        waiting: records taken and not written yet.
        sampled_out: allows that are not in the sample.
        failing: whether the last attempt to write failed.
    """

    written: int
    refused: int
    dropped: int
    waiting: int
    failing: bool
    sampled_out: int = 0


class RecordWriter:
    """Writes decision records; implements `ports.RecordSink`. Call `close` when done.

    Args:
        path: file to append to, or `-` for standard output.
        queue: records that may wait.
        overflow: what `offer` does when they do.
        sample: the share of allows marked `sampled` that is recorded, from 0 to 1.
        first_pause: seconds before the second attempt after a failed write; each further pause is twice as long.
        longest_pause: seconds, the most that a pause grows to.

    Raises:
        OSError: the file cannot be opened. The server must not start without its records.
    """

    def __init__(  # noqa: PLR0913 — each is a setting of its own
        self,
        path: Path | Literal["-"],
        *,
        queue: int = 10_000,
        overflow: Literal["refuse", "drop"] = "refuse",
        sample: float = 1.0,
        first_pause: float = 0.1,
        longest_pause: float = 5.0,
        turn: int | None = None,
    ) -> None:
        self._target: LineTarget = StdoutTarget(turn) if path == "-" else FileTarget(path)
        self._capacity = queue
        self._overflow = overflow
        self._sample = sample
        self._mark = f',"sample":{json.dumps(sample)}'  # The last member, where `offer_again` looks for it.
        self._marked_end = close_line("", None, self._mark)
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._queue: deque[Entry] = deque()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)  # Entering it is a call more than entering its lock.
        self._idle = False
        self._closing = False
        self._abandoned = False
        self._reopen_wanted = False
        self._in_hand = 0
        self._written = self._refused = self._dropped = self._sampled_out = 0
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="extauthz-records", daemon=True)
        self._thread.start()

    def offer(self, decision: Decision, latency: float) -> bool:
        """Take one decision for the record without blocking; return False when there is no room, or after `close`."""
        mark = self._mark_of(decision)
        if mark and self._is_left_out(decision.decision_id):
            return True
        opened, shadow = _open(open_line, decision, latency), decision.shadow
        return self._take(close_line(opened, None, mark) if shadow is None else Unfinished(opened, shadow, mark))

    def prepare(self, decision: Decision) -> bytes:
        """Return what the records of all repetitions of a decision have in common."""
        return close_line(_open(open_common, decision), decision.shadow, self._mark_of(decision))

    def offer_again(self, common: bytes, occurrence: Occurrence) -> bool:
        """Take a repetition of a kept decision like `offer` takes a decision."""
        if common.endswith(self._marked_end) and self._is_left_out(occurrence[0]):
            return True
        return self._take((common, occurrence))

    def _mark_of(self, decision: Decision) -> str:
        """Return the member that names the share of the sample that a decision is of; empty for those of none."""
        return self._mark if self._sample < 1 and decision.sampled else ""

    def _is_left_out(self, decision_id: DecisionId) -> bool:
        digest = hashlib.blake2b(decision_id.encode(), digest_size=_DIGEST_BYTES).digest()
        if int.from_bytes(digest, "big") < self._sample * 2 ** (8 * _DIGEST_BYTES):
            return False
        with self._changed:
            self._sampled_out += 1
        return True

    def _take(self, entry: Entry) -> bool:
        with self._lock:
            if self._closing:
                self._refused += 1
                return False
            if len(self._queue) + self._in_hand >= self._capacity:
                return self._overflowed()
            self._queue.append(entry)
            if self._idle:
                self._idle = False  # Once told, the thread will come.
                self._changed.notify_all()
        return True

    def counts(self) -> RecordCounts:
        """Return how the writer fares now."""
        with self._changed:
            waiting = len(self._queue) + self._in_hand
            return RecordCounts(self._written, self._refused, self._dropped, waiting, self._failing, self._sampled_out)

    def reopen(self) -> None:
        """Open the file by its name again, soon; for log rotation by renaming."""
        with self._changed:
            self._reopen_wanted = True
            self._changed.notify_all()

    def close(self, timeout: float) -> int:
        """Write what waits, then stop.

        Args:
            timeout: seconds for that.

        Returns:
            Records that could not be written; they are lost.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        lost = self.counts().waiting
        if lost:
            _log.error("decision records lost", records=lost)
        return lost

    def _overflowed(self) -> bool:
        if self._overflow == "drop":
            self._dropped += 1
            return True
        self._refused += 1
        return False

    def _run(self) -> None:
        try:
            while self._take_turn():
                pass
        except Exception:  # noqa: BLE001 — a thread that dies unseen would leave records waiting for ever
            _log.exception("decision records stopped")
            self._failing = True
        finally:
            with self._changed:
                self._closing = True  # Nothing is taken any more, so nothing is allowed without a record.
            self._target.close()

    def _take_turn(self) -> bool:
        """Wait for work and do it; return False when there will be none any more."""
        with self._changed:
            self._idle = True
            while not (self._queue or self._closing or self._reopen_wanted):
                self._changed.wait()
            self._idle = False
            if len(self._queue) < _BATCH and not self._closing:
                self._changed.wait(_GATHERING)  # Woken for each record, this thread would hold the deciding ones up.
            reopen, self._reopen_wanted = self._reopen_wanted, False
            batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
            self._in_hand = len(batch)
        if reopen:
            self._try_reopen()
        if not batch:
            return reopen
        return self._write([_to_line(entry) for entry in batch])

    def _try_reopen(self) -> None:
        try:
            self._target.reopen()
        except OSError as error:
            # The old file stays open and goes on taking records.
            _log.error("record file could not be opened anew", errno=error.errno)

    def _write(self, lines: list[bytes]) -> bool:
        """Write `lines` however many attempts it takes; return False when `close` gave up on them."""
        text = memoryview(b"".join(lines))
        done = told = 0
        pause = self._first_pause
        while done < len(text):
            try:
                done += self._target.append(text[done:])
            except OSError as error:
                whole = bytes(text[:done]).count(b"\n")
                self._count_written(whole - told)
                told = whole
                if not self._pause_after(error, pause):
                    return False
                pause = min(pause * 2, self._longest_pause)
                done = self._recover(text, done)
            else:
                pause = self._first_pause
                self._failing = False
        self._count_written(len(lines) - told)
        return True

    def _count_written(self, lines: int) -> None:
        with self._changed:
            self._written += lines
            self._in_hand -= lines

    def _pause_after(self, error: OSError, pause: float) -> bool:
        """Say once that writing fails and wait; return False when `close` gave up."""
        if not self._failing:
            _log.error("decision records cannot be written", errno=error.errno)
        with self._changed:
            self._failing = True
            self._changed.wait(0 if self._abandoned else pause)
            return not self._abandoned

    def _recover(self, text: memoryview, done: int) -> int:
        """Ready the target for another attempt; return where in `text` it starts."""
        start = _line_start(text, done)
        return start if self._target.recover(done - start) else done


def _open(make: Callable[..., str], *known: object) -> str:
    """Return what `make` makes. What cannot be recorded in full is recorded in short rather than not at all."""
    try:
        return make(*known)
    except Exception as error:  # noqa: BLE001 — a fault in recording must not become the caller's
        return make(*known, fault=f"the record could not be built in full: {type(error).__name__}")


def _to_line(entry: Entry) -> bytes:
    if isinstance(entry, bytes):
        return entry
    return close_line(*entry) if isinstance(entry, Unfinished) else to_repeated_line(*entry)


def _line_start(text: memoryview, done: int) -> int:
    """Return where the line that position `done` is in starts."""
    return bytes(text[:done]).rfind(b"\n") + 1
