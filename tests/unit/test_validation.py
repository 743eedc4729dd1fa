"""What pydantic finds becomes problems that people can act on."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, field_validator

from extauthz.validation import did_you_mean, problems_of, wrong
from extauthz.yamlfile import read_yaml


class Inner(BaseModel):
    """A part inside another."""

    model_config = ConfigDict(extra="forbid")
    colour: str = Field(default="", alias="color")
    flag: StrictBool = False


class Outer(BaseModel):
    """A part with parts inside."""

    model_config = ConfigDict(extra="forbid")
    name: str
    inner: Inner | None = None
    many: dict[str, Inner] = {}
    words: tuple[int, ...] = Field(default=(), min_length=1)

    @field_validator("name")
    @classmethod
    def _known(cls, value: str) -> str:
        if value == "bad":
            message, fix = "not this name", "write another"
            raise wrong(message, fix)
        if value == "plain":
            message = "this is why"
            raise ValueError(message)
        return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nnmae: b", "f:2:1: unknown key `nmae` — did you mean `name`?"),
        ("name: a\ninner: {colr: b}", "f:2:9: unknown key `colr` — did you mean `color`?"),
        ("name: a\nmany: {x: {colr: b}}", "f:2:12: unknown key `colr` — did you mean `color`?"),
        ("name: a\ninner: {zzz: b}", "f:2:9: unknown key `zzz` — use one of: color, flag"),
        ("words: [1]", "f:1:1: `name` is missing — add it"),
        ("name: 1", "f:1:7: `name` must be text — quote it"),
        ("name: a\ninner: {flag: 1}", "f:2:15: `flag` must be true or false"),
        ("name: a\nwords: []", "f:2:8: `words` must not be empty"),
        ("name: bad", "f:1:7: not this name — write another"),
        ("name: plain", "f:1:7: this is why"),
    ],
)
def test_a_fault_names_its_place_and_the_fix(text: str, expected: str) -> None:
    """The usual slips each become one sentence with the place in the file."""
    file = read_yaml("f", text.encode())
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(file.data)
    (problem,) = problems_of(caught.value, file, Outer)
    assert str(problem).startswith(expected)


def test_a_list_of_wrong_entries_is_not_called_empty() -> None:
    """Only the entries are reported; that none of them was left is a consequence."""
    file = read_yaml("f", b"name: a\nwords: [x]")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(file.data)
    (problem,) = problems_of(caught.value, file, Outer)
    assert (problem.line, problem.column) == (2, 9)


def test_advice_names_the_nearest_word_or_all() -> None:
    """A near miss gets one suggestion, a far one the list, an empty vocabulary says so."""
    assert did_you_mean("agnet", ["agent", "user"]) == "did you mean `agent`?"
    assert did_you_mean("prod", ["staging", "production"]) == "did you mean `production`?"
    assert did_you_mean("a", ["alphabet", "amplitude"]) == "use one of: alphabet, amplitude"
    assert did_you_mean("zzz", ["agent", "user"]) == "use one of: agent, user"
    assert did_you_mean("zzz", [f"w{number:02}" for number in range(20)]).endswith("w11, …")
    assert did_you_mean("zzz", []) == "none are declared"
