"""Knowing our own records again: a MAC over whatever would let somebody do more, and the key that it is made with.

What narrows needs none: a row that takes something away may come from anybody who can write. What widens (a lifted
restriction, an API key, a grant) counts only with a MAC that holds: HMAC-SHA256 over the version of this layout, the
incarnation of the place that it is kept in, the kind of record and all of its fields, each with its type and length, so
that no two records share one.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections import Counter
from contextlib import suppress
from stat import S_IMODE
from typing import TYPE_CHECKING, Final, NamedTuple

from extauthz.errors import StateError
from extauthz.ids import new_random_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from extauthz.state.follower import Query

    Field = str | float | int | bytes | None
    Alarm = Callable[[str], None]
    """Told that a record was not written by us: in words that name the record, for the log and the metrics."""

KEY_BYTES: Final = 32

KEY_KIND: Final = "key file"
"""What a file is sealed as by which it is known with which key."""

_VERSION: Final = b"xaz-seal-1"
_PRIVATE: Final = 0o600
_OTHERS: Final = 0o007
_MOST: Final = 1024
"""Characters of a key file that are read; ours has 65."""


class Sealed(NamedTuple):
    """How many records need a MAC to count.

    Attributes:
        ours: those whose MAC holds.
        forged: the others.
    """

    ours: int
    forged: int


class Seal:
    """Makes MACs and compares them.

    Args:
        key: `KEY_BYTES` secret bytes.
        incarnation: of the place where the records are kept; those of another place do not hold here.
    """

    def __init__(self, key: bytes, incarnation: bytes) -> None:
        self._start = hmac.new(key, _VERSION, "sha256")
        self._start.update(_sized(incarnation))

    def seal(self, kind: str, *fields: Field) -> bytes:
        """Return the MAC of a record. Numbers of the same value and another type are other fields."""
        mac = self._start.copy()
        mac.update(_sized(kind.encode()))
        for value in fields:
            mac.update(_typed(value))
        return mac.digest()

    def holds(self, mac: object, kind: str, *fields: Field) -> bool:
        """Return whether `mac` is the MAC of this record; in a time that does not depend on how much of it fits."""
        return isinstance(mac, bytes) and hmac.compare_digest(mac, self.seal(kind, *fields))


def count_sealed(verdicts: Iterable[bool]) -> Sealed:
    """Return how many records are ours and how many are not."""
    counts = Counter(verdicts)
    return Sealed(ours=counts[True], forged=counts[False])


def open_seal(query: Query, key: bytes) -> Seal:
    """Return the seal of a state file, which contains its incarnation."""
    return Seal(key, read_incarnation(query))


def read_incarnation(query: Query) -> bytes:
    """Return what tells a state file from every other."""
    ((incarnation,),) = query("SELECT value FROM meta WHERE name = 'incarnation'", ())
    return incarnation if isinstance(incarnation, bytes) else b""


def default_key_file(path: Path) -> Path:
    """Return where the key of a state file is unless settings say otherwise: beside it."""
    return path.with_name(path.name + ".key")


def read_key(path: Path) -> bytes:
    """Return the key in a file.

    Raises:
        StateError: there is none, others may open it, or it holds no key of ours.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(_MOST)
    except OSError as error:
        message = f"{path}: {error.strerror}; it holds the key that our records are sealed with, restore it"
        raise StateError(message) from error
    if S_IMODE(status.st_mode) & _OTHERS:
        message = f"{path}: everybody on this machine may open it; run `chmod o= {path}`"
        raise StateError(message)
    with suppress(ValueError):
        key = bytes.fromhex(text.decode("ascii").strip())
        if len(key) == KEY_BYTES:
            return key
    message = f"{path}: it holds no key; write {2 * KEY_BYTES} hexadecimal digits, or restore it"
    raise StateError(message)


def ensure_key(path: Path) -> bytes:
    """Return the key in a file, which is made when there is none; of several who make it at once, one does.

    Raises:
        StateError: it can be neither read nor made.
    """
    if not path.exists():
        _make_key(path)
    return read_key(path)


def _make_key(path: Path) -> None:
    """Put a new key in place, whole and on disk, unless there is one."""
    draft = path.with_name(f"{path.name}.{new_random_bytes(8).hex()}")
    try:
        try:
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _PRIVATE), "w") as file:
                file.write(new_random_bytes(KEY_BYTES).hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        message = f"{path}: {error.strerror}; the key that our records are sealed with cannot be made there"
        raise StateError(message) from error


def _typed(value: Field) -> bytes:
    match value:
        case None:
            return b"n"
        case str():
            return b"s" + _sized(value.encode())
        case bytes():
            return b"b" + _sized(value)
        case int():
            return b"i" + _sized(str(value).encode())
        case _:
            return b"f" + struct.pack(">d", value)


def _sized(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part
