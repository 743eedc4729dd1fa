"""MACs: of every field with its type and length, of one place only; and key files that nobody else may open."""

from __future__ import annotations

from stat import S_IMODE
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.errors import StateError
from extauthz.state.seal import KEY_BYTES, Seal, default_key_file, ensure_key, open_seal, read_key

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.state.seal import Field
    from tests.simulators.barestate import BareState

KEY = b"k" * KEY_BYTES
FIELDS = st.lists(
    st.none() | st.text(max_size=3) | st.binary(max_size=3) | st.integers() | st.floats(allow_nan=False), max_size=4
)


def test_a_seal_holds_for_its_record_only() -> None:
    """Another kind, key, place, field or number of fields is another record."""
    seal = Seal(KEY, b"here")
    mac = seal.seal("key", "a", 1, None, b"x", 2.5)
    assert seal.holds(mac, "key", "a", 1, None, b"x", 2.5)
    assert not seal.holds(mac, "fact", "a", 1, None, b"x", 2.5)
    assert not seal.holds(mac, "key", "a", 1, None, b"x")
    assert not Seal(b"K" * KEY_BYTES, b"here").holds(mac, "key", "a", 1, None, b"x", 2.5)
    assert not Seal(KEY, b"there").holds(mac, "key", "a", 1, None, b"x", 2.5)
    assert not any(seal.holds(other, "key", "a", 1, None, b"x", 2.5) for other in (None, "", b"", mac[:-1], mac.hex()))


@given(FIELDS, FIELDS)
def test_no_two_records_share_a_seal(one: list[Field], other: list[Field]) -> None:
    """Neither by moving bytes from one field to the next nor by another type of the same value."""
    same = [(type(field), repr(field)) for field in one] == [(type(field), repr(field)) for field in other]
    assert Seal(KEY, b"").holds(Seal(KEY, b"").seal("x", *one), "x", *other) is same


@pytest.mark.parametrize(
    ("one", "other"), [(("ab", "c"), ("a", "bc")), ((1,), ("1",)), ((1,), (1.0,)), ((None,), ("",)), (("a",), (b"a",))]
)
def test_neighbours_are_told_apart(one: tuple[Field, ...], other: tuple[Field, ...]) -> None:
    """The cases that a join of texts would mix up."""
    assert Seal(KEY, b"").seal("x", *one) != Seal(KEY, b"").seal("x", *other)


def test_incarnation_and_kind_do_not_run_into_each_other() -> None:
    """Each has its length."""
    assert Seal(KEY, b"ab").seal("c") != Seal(KEY, b"a").seal("bc")


def test_the_seal_of_a_file_is_that_of_its_incarnation(state: BareState) -> None:
    """What was sealed in one file does not hold in another one, with the same key."""
    mac = state.seal.seal("x")
    assert state.seal.holds(mac, "x")
    state.forge("meta", "value = randomblob(16) WHERE name = 'incarnation'")
    assert not state.seal.holds(mac, "x")
    assert open_seal(lambda *_: [("text",)], KEY).seal("x") == Seal(KEY, b"").seal("x")


def test_a_key_is_made_once_and_private(tmp_path: Path) -> None:
    """32 random bytes in hexadecimal, for its owner only, and nothing else is left in the folder."""
    path = default_key_file(tmp_path / "state.db")
    assert path.name == "state.db.key"
    key = ensure_key(path)
    assert len(key) == KEY_BYTES
    assert ensure_key(path) == read_key(path) == key
    assert ensure_key(tmp_path / "other.key") != key
    assert S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == key.hex() + "\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["other.key", "state.db.key"]


def test_of_many_who_make_a_key_at_once_one_does(tmp_path: Path) -> None:
    """And all have that one: nobody reads half a key."""
    keys: list[bytes] = []
    threads = [Thread(target=lambda: keys.append(ensure_key(tmp_path / "key"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert set(keys) == {read_key(tmp_path / "key")}


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666, 0o607])
def test_a_key_that_everybody_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    """A group may share it, others never."""
    ensure_key(path := tmp_path / "key")
    path.chmod(mode)
    with pytest.raises(StateError, match="chmod o= "):
        read_key(path)
    path.chmod(0o640)
    read_key(path)


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33, "zz" * 32, "é" * 64, "00" * 600])
def test_a_file_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever is in it; the message says what belongs there and nothing of what was found."""
    (path := tmp_path / "key").write_text(text)
    path.chmod(0o600)
    with pytest.raises(StateError, match="holds no key; write 64 hexadecimal digits"):
        ensure_key(path)


def test_a_key_that_cannot_be_read_or_made_is_refused(tmp_path: Path) -> None:
    """With the place and the fix."""
    with pytest.raises(StateError, match="No such file or directory; it holds the key"):
        read_key(tmp_path / "key")
    with pytest.raises(StateError, match="cannot be made there"):
        ensure_key(tmp_path / "nowhere" / "key")
