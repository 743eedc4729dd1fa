"""The YAML reader accepts one reading and knows where everything stands."""

from __future__ import annotations

import pytest

from extauthz.errors import FileError, Problem
from extauthz.limits import MAX_YAML_DEPTH
from extauthz.yamlfile import Place, read_yaml


def problems_of(raw: bytes) -> list[Problem]:
    """Return the problems of a file, which must have some."""
    with pytest.raises(FileError) as caught:
        read_yaml("f.yaml", raw)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("false", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("True", "True"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("0o660", 0o660),
        ("0x1f", 31),
        ("-7", -7),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("~", None),
        ("null", None),
        ("", None),
        ("'true'", "true"),
        ('"7"', "7"),
        ("<<", "<<"),
    ],
)
def test_scalars_are_read_by_yaml_1_2(text: str, expected: object) -> None:
    """Only `true` and `false` are booleans; what YAML 1.1 made of `on`, `no`, times and dates stays text."""
    value = read_yaml("f.yaml", f"a: {text}\n".encode()).data["a"]
    assert (value, type(value)) == (expected, type(expected))


def test_keys_are_text_as_written() -> None:
    """A key is never converted: `on`, `true` and `1` are the texts."""
    assert read_yaml("f.yaml", b"on: 1\ntrue: 2\n1: 3\n").data == {"on": 1, "true": 2, "1": 3}


def test_an_empty_file_is_nothing() -> None:
    """An empty file and one of comments have no data."""
    assert read_yaml("f.yaml", b"").data is None
    assert read_yaml("f.yaml", b"# nothing\n").data is None


def test_a_byte_order_mark_is_passed_over() -> None:
    """Editors on some systems put one before the text."""
    assert read_yaml("f.yaml", b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


def test_every_value_and_key_has_its_place() -> None:
    """Places are 1-based and those of the file."""
    file = read_yaml("f.yaml", b"top:\n  - {inner: [1, two]}\n")
    assert file.places["top", 0, "inner", 1] == Place(2, 17)
    assert file.keys["top", 0, "inner"] == Place(2, 6)


@pytest.mark.parametrize(
    ("raw", "line", "column", "message"),
    [
        (b"a: 1\na: 2\n", 2, 1, "stands twice"),
        (b"a: &x 1\n", 1, 4, "anchors"),
        (b"a: *x\n", 1, 4, "aliases"),
        (b"a: !!str 1\n", 1, 4, "tags"),
        (b"a: ! 1\n", 1, 4, "tags"),
        (b"? [a]\n: b\n", 1, 3, "key must be plain text"),
        (b"a: 1\n---\nb: 2\n", 2, 1, "several documents"),
        (b"a: 0660\n", 1, 4, "octal"),
        (b"a: 1234567890123456789\n", 1, 4, "too long"),
        (b"a: 1e999\n", 1, 4, "too large"),
        (b"a: b: c\n", 1, 5, "not YAML"),
        (b"a: \x00\n", 1, 4, "control character"),
        (b"a: 1\nb: \xff\n", 2, 1, "not UTF-8"),
    ],
)
def test_what_has_two_readings_is_refused_with_its_place(raw: bytes, line: int, column: int, message: str) -> None:
    """Each trick and slip is a problem with line, column and a fix."""
    (problem,) = problems_of(raw)
    assert (problem.line, problem.column) == (line, column)
    assert message in problem.message
    assert problem.fix


def test_every_problem_is_reported() -> None:
    """One slip does not hide the next."""
    assert len(problems_of(b"a: 1\na: 2\nb: &x 3\n")) == 2


def test_nesting_is_bounded() -> None:
    """As deep as the limit is read; deeper is refused without exhausting the stack."""
    fits = b"[" * MAX_YAML_DEPTH + b"]" * MAX_YAML_DEPTH
    assert read_yaml("f.yaml", fits).data
    assert "deeper" in problems_of(b"[" * 100_000)[0].message


def test_size_is_bounded() -> None:
    """A file longer than the limit is refused unread."""
    assert read_yaml("f.yaml", b"a: 1", max_bytes=4).data == {"a": 1}
    with pytest.raises(FileError, match="larger than 4 bytes"):
        read_yaml("f.yaml", b"a: 12", max_bytes=4)


def test_a_problem_points_at_the_nearest_value() -> None:
    """What is not there is shown at what holds it."""
    file = read_yaml("f.yaml", b"a:\n  b: 1\n")
    assert str(file.problem(("a", "c", 3), "wrong", "mend it")) == "f.yaml:2:3: wrong — mend it"
    assert str(file.problem_at_key(("a", "b"), "wrong")) == "f.yaml:2:3: wrong"
    assert str(file.problem_at_key(("a", "c"), "wrong")) == "f.yaml:2:3: wrong"
    assert str(read_yaml("f.yaml", b"").problem(("a",), "wrong")) == "f.yaml:1:1: wrong"


@pytest.mark.parametrize(
    ("raw", "offset", "place"),
    [
        (b"a: some text\n", (1, 6), (1, 9)),
        (b"a: 'some text'\n", (1, 6), (1, 10)),
        (b'a: "some text"\n', (1, 6), (1, 10)),
        (b"a: |\n  some\n  text\n", (2, 3), (3, 5)),
        (b"a: |\n\n  text\n", (2, 1), (3, 3)),
        (b"a: >\n  some\n  text\n", (1, 6), (1, 4)),
        (b"a: some\n  text\n", (2, 1), (1, 4)),
        (b"a: |\n", (1, 1), (2, 1)),
    ],
)
def test_a_problem_points_into_a_text(raw: bytes, offset: tuple[int, int], place: tuple[int, int]) -> None:
    """Line and column within a plain, quoted or literal text become those of the file; folded text shows its start."""
    problem = read_yaml("f.yaml", raw).problem_inside(("a",), offset, "wrong")
    assert (problem.line, problem.column) == place
