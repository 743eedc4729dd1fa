"""Impossible to get silently wrong: slips of one character in the example policies.

Every key, identifier and word of a vocabulary is edited in every place: a character deleted, doubled, or swapped with
the next. Each edited file must be refused, or the place be in the table of places where a slip is harmless, which says
why. Numbers and durations are not words: another one is another policy, and no reader could know.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from extauthz.errors import PolicyError
from extauthz.policy.compile import PolicyContext, ProfileFace, compile_policy
from extauthz.yamlfile import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.yamlfile import Place, YamlFile

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("policy.yaml"))
CONTEXT = PolicyContext(
    profiles={"default": ProfileFace("https://api.example.com")}, acr={"phishing-resistant": (), "multi-factor": ()}
)

DENIES: Final = "nobody has or sends the misspelt word, so requests that were meant are refused: it is noticed at once"
LABEL: Final = "a label for people: it stands in records and decides nothing"
OWN_DATA: Final = (
    "a name out of the protected system, which no file declares; the cases beside the policy (`policy test`) notice it"
)

NUMBER: Final = "a number within a time or an address: another one is another policy, or the same one"

HARMLESS: Final = {
    r"(guards|forbids|permits)\.\d+\.id": LABEL,
    r"resources\.\d+\.attributes\.\w+ \(key\)": "nothing reads the attribute but the record",
    r"resources\.\d+\.match\.host(\.\d+)?": DENIES,
    r"resources\.\d+\.match\.path": DENIES,
    r"resources\.\d+\.attributes\.\w+(\.from)?": DENIES,
    r"resources\.\d+\.attributes\.\w+\.one_of\.\d+": DENIES,
    r"(guards|permits)\.\d+\.require\.\d+\.(scopes|roles)\.\d+": DENIES,
    r"(guards|permits)\.\d+\.require\.\d+\.step_up\.acr\.\d+": DENIES,
    r"permits\.\d+\.who\.(roles|clients|subjects|issuers)\.\d+": DENIES,
    r"permits\.\d+\.when \(text\)": DENIES,
    r"resources\.\d+\.match\.body\.\w+": DENIES,
    r"resources\.\d+\.attributes\.ticket\.default": DENIES,
    r"(guards|permits)\.\d+\.require\.\d+\.approval\.by\.\d+": DENIES,
    r"guards\.\d+\.require\.\d+\.ticket\.state": DENIES,
    r"guards\.\d+\.require\.\d+\.environment": DENIES,
    r"guards\.\d+\.require\.\d+\.mcp\.tools\.\d+": DENIES,
    r"guards\.\d+\.require\.\d+\.workflow\.(name|step)": DENIES,
    r"forbids\.\d+\.when \(text\)": OWN_DATA,
    r"forbids\.\d+\.when\.involves\.(issuers|subjects)\.\d+": OWN_DATA,
    r"windows\.[\w-]+\.(starts|rules\.\d+)": NUMBER,
    r"guards\.\d+\.require\.\d+\.network\.\d+": NUMBER,
}
"""Where a slip may pass, as a pattern over the place, and why that does no harm."""

_NOT_A_WORD: Final = re.compile(r"[0-9.]+(ms|s|m|h|d)?")


_FEWEST: Final = 300
"""Slips that even the smallest of the example policies has."""


@dataclass(frozen=True)
class Word:
    """A word in a file: what it is for, and where its text begins and ends."""

    place: str
    start: int
    end: int


def words_of(file: YamlFile, text: str) -> Iterator[Word]:
    """Yield every key and every value that is a word; conditions are taken apart into names and texts."""
    starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def offset(place: Place) -> int:
        return starts[place.line - 1] + place.column - 1 + (1 if place.style in {'"', "'"} else 0)

    for path, place in file.keys.items():
        start = offset(place)
        yield Word(f"{'.'.join(map(str, path))} (key)", start, start + len(str(path[-1])))
    for path, place in file.places.items():
        value = file.data
        for step in path:
            value = value[step]
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, str) or _NOT_A_WORD.fullmatch(value):
            continue
        start, name = offset(place), ".".join(map(str, path))
        if path[-1] not in {"when", "cel"}:
            yield Word(name, start, start + len(value))
            continue
        for match in re.finditer(r'"([^"]*)"|[A-Za-z_][A-Za-z_.]*|==|!=|&&|\|\|', value):
            sort = "text" if match[0].startswith('"') else "name"
            yield Word(f"{name} ({sort})", start + match.start(), start + match.end())


def edits_of(text: str, word: Word) -> Iterator[str]:
    """Yield the file with one slip in the word, each different from the file."""
    for at in range(word.start, word.end):
        yield text[:at] + text[at + 1 :]
        yield text[:at] + text[at] + text[at:]
        if at + 1 < word.end and text[at] != text[at + 1]:
            yield text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def compiles(text: str) -> bool:
    """Return whether a policy is accepted."""
    try:
        compile_policy({"policy.yaml": text.encode()}, CONTEXT)
    except PolicyError:
        return False
    return True


def passed_in(text: str) -> tuple[Counter[str], int]:
    """Return how many slips are accepted at each place, and how many were made."""
    file = read_yaml("policy.yaml", text.encode())
    accepted: Counter[str] = Counter()
    made = 0
    for word in words_of(file, text):
        for edited in edits_of(text, word):
            made += 1
            accepted[word.place] += compiles(edited)
    return +accepted, made


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_slips_are_refused_or_harmless(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else passes."""
    text = example.read_text(encoding="utf-8")
    assert compiles(text)
    accepted, made = passed_in(text)
    reasons: Counter[str] = Counter()
    unexpected = []
    for place, count in accepted.items():
        reason = next((reason for pattern, reason in HARMLESS.items() if re.fullmatch(pattern, place)), None)
        if reason is None:
            unexpected.append(f"{place}: {count}")
        else:
            reasons[reason] += count
    with capsys.disabled():
        print(f"\n{example.parent.name}: {made} slips, {made - accepted.total()} refused")  # noqa: T201 — the figure is the point
        for reason, count in reasons.most_common():
            print(f"  {count:5} pass: {reason}")  # noqa: T201 — the figure is the point
    assert made > _FEWEST
    assert unexpected == []


def test_a_slip_that_passes_is_noticed() -> None:
    """The negative control: a vocabulary that is not closed lets slips through, and they are found."""
    text = """\
resources:
  - {name: r, action: a, match: {host: h, path: /, methods: [GET]}, attributes: {env: query.env}}
guards:
  - {id: g, on: r.a, when: 'resource.env == "prod"', require: [{roles: [x]}]}
"""
    accepted, _ = passed_in(text)
    assert accepted["guards.0.when (text)"] > 0
    assert accepted["guards.0.when (name)"] == 0
    closed, _ = passed_in(text.replace("query.env", "{from: query.env, one_of: [prod, dev]}"))
    assert closed["guards.0.when (text)"] == 0
