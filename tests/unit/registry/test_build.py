"""Registry files: what they state, and what is wrong with them, by line and column."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from extauthz.errors import RegistryError
from extauthz.model.identity import Kind
from extauthz.model.registry import Registration, RoleBinding, Standing
from extauthz.registry.build import build_registry
from extauthz.registry.index import How, Match

WHOLE = """\
identities:
  - name: deployer
    match: {issuer: https://i.example, subject: deployer}
    owner: team-release
    purpose: deploys
    environment: production
    kind: ci
    networks: [192.0.2.0/24, "2001:db8::1"]
    expires: 2030-01-31
    review_by: 2030-01-31T18:00:00+01:00
    peer_group: deployers
    standing: quarantined
  - name: pipeline
    match: {issuer: https://i.example, client: pipeline}
bindings:
  - {who: deployer, role: releaser, where: {environment: staging, replicas: 3, canary: true}, until: 2030-01-01}
  - who: {issuer: https://i.example, workload: "https://i.example|repo"}
    role: reader
"""
ENTRY = "identities:\n  - name: a\n    match: {issuer: i, subject: s}\n"


def problems(*texts: str) -> list[str]:
    """Return what is wrong with files of these contents."""
    with pytest.raises(RegistryError) as raised:
        build_registry({f"{number}.yaml": text.encode() for number, text in enumerate(texts)})
    return [str(problem) for problem in raised.value.problems]


def test_everything_that_can_be_said() -> None:
    """Days are the first instant of the day in UTC; instants carry their offset; values under `where` keep types."""
    found = build_registry({"r.yaml": WHOLE.encode()})
    by_subject = Match("https://i.example", How.SUBJECT, "deployer")
    assert found.registrations[by_subject] == Registration(
        name="deployer",
        owner="team-release",
        purpose="deploys",
        environment="production",
        kind=Kind.CI,
        networks=(ip_network("192.0.2.0/24"), ip_network("2001:db8::1")),
        expires_at=datetime(2030, 1, 31, tzinfo=UTC).timestamp(),  # type: ignore[arg-type]  # an Instant is a float
        review_by=datetime(2030, 1, 31, 17, tzinfo=UTC).timestamp(),  # type: ignore[arg-type]  # likewise
        peer_group="deployers",
        standing=Standing.QUARANTINED,
    )
    assert found.bindings == {
        by_subject: (
            RoleBinding(
                role="releaser",
                where={"environment": "staging", "replicas": 3, "canary": True},
                until=datetime(2030, 1, 1, tzinfo=UTC).timestamp(),  # type: ignore[arg-type]  # likewise
            ),
        ),
        Match("https://i.example", How.WORKLOAD, "repo"): (RoleBinding(role="reader"),),
    }
    assert found.matches["pipeline"] == Match("https://i.example", How.CLIENT, "pipeline")
    assert found.summary == "2 identities, 2 bindings"


def test_empty_files_declare_nothing() -> None:
    """Also one whose sections are empty."""
    found = build_registry({"a.yaml": b"", "b.yaml": b"identities: []\n"})
    assert found.summary == "0 identities, 0 bindings"


def test_files_are_one_registry() -> None:
    """A binding can speak of an entry in another file, in whatever order they are read."""
    found = build_registry({"1.yaml": b"bindings: [{who: a, role: r}]\n", "2.yaml": ENTRY.encode()})
    assert found.bindings[Match("i", How.SUBJECT, "s")] == (RoleBinding(role="r"),)


def test_the_revision_names_the_content() -> None:
    """Another byte or another name is another revision."""
    names = {
        build_registry(files).revision
        for files in (
            {"a": ENTRY.encode()},
            {"b": ENTRY.encode()},
            {"a": ENTRY.encode() + b"\n"},
            {"a": ENTRY.encode()},
        )
    }
    assert len(names) == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "0.yaml:1:1: a registry file is a mapping — begin with `identities:` or `bindings:`"),
        ("identites: []\n", "0.yaml:1:1: unknown key `identites` — did you mean `identities`?"),
        ("identities: {}\n", "0.yaml:1:13: `identities` must be a list — write `- ` before each entry"),
        (ENTRY + "    ower: x\n", "0.yaml:4:5: unknown key `ower` — did you mean `owner`?"),
        (ENTRY.replace("subject", "subjekt"), "0.yaml:3:24: unknown key `subjekt` — did you mean `subject`?"),
        (ENTRY + "    kind: agnet\n", "0.yaml:4:11: there is no such kind of caller — did you mean `agent`?"),
        (ENTRY + "    kind: anonymous\n", "0.yaml:4:11: there is no such kind of caller — use one of: agent, ci, "),
        (ENTRY + "    standing: quarantine\n", "0.yaml:4:15: there is no such standing — did you mean `quarantined`?"),
        (ENTRY + "    networks: [10.0.0.1/8]\n", "0.yaml:4:16: this is not a network — write for example 192.0.2.0/24"),
        (ENTRY + "    networks: []\n", "0.yaml:4:15: `networks` must not be empty — name at least one"),
        (ENTRY + "    expires: 2030-02-30\n", "0.yaml:4:14: this is not a day or an instant — write for example 2030"),
        (ENTRY + "    expires: 2030-01-01T10:00\n", "0.yaml:4:14: this is not a day or an instant — write for"),
        (ENTRY + "    expires: 4102444800\n", "0.yaml:4:14: this is not a day or an instant — write for example"),
        (ENTRY + '    owner: " x"\n', "0.yaml:4:12: the text begins or ends with a space — remove it"),
        (ENTRY + '    owner: ""\n', "0.yaml:4:12: `owner` must not be empty"),
        ("identities: [{name: a}]\n", "0.yaml:1:14: `match` is missing — add it"),
        (ENTRY.replace(", subject: s", ""), "0.yaml:3:12: it must name exactly one of subject, client, workload"),
        (ENTRY.replace("s}", "s, client: c}"), "0.yaml:3:12: it must name exactly one of subject, client, workload"),
        (ENTRY + "bindings: [{who: b, role: r}]\n", "0.yaml:4:18: there is no identity `b` — use one of: a"),
        (ENTRY + "bindings: [{who: {issuer: i}, role: r}]\n", "0.yaml:4:18: it must name exactly one of subject"),
        (ENTRY + "bindings: [{who: a}]\n", "0.yaml:4:12: `role` is missing — add it"),
        (ENTRY + "bindings: [{role: r}]\n", "0.yaml:4:12: `who` is missing — add it"),
        (ENTRY + "bindings: [{who: a, role: r, untill: 2030-01-01}]\n", "0.yaml:4:30: unknown key `untill`"),
        (
            ENTRY + "bindings: [{who: a, role: r, where: {x: [y]}}]\n",
            "0.yaml:4:41: must be text, a whole number, true or false — quote it if it is text",
        ),
        (ENTRY + "bindings: 3\n", "0.yaml:4:11: `bindings` must be a list — write `- ` before each entry"),
        ("identities: [3]\n", "0.yaml:1:14: this must be a mapping — write `key: value` lines"),
        ("a: [\n", "0.yaml:2:1: not YAML"),
    ],
)
def test_mistake_is_found_where_it_is(text: str, problem: str) -> None:
    """One problem, by file, line and column, with what to write instead."""
    found = problems(text)
    assert len(found) == 1, found
    assert found[0].startswith(problem), found


def test_every_mistake_is_listed() -> None:
    """One entry that is wrong hides no other, and a binding to it is not called unknown."""
    text = ENTRY.replace("subject", "sub") + "  - {name: b}\nbindings:\n  - {who: a, role: r}\n  - {who: c, role: r}\n"
    assert [problem.split(": ")[0] for problem in problems(text)] == ["0.yaml:3:24", "0.yaml:4:5", "0.yaml:7:11"]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("  - {name: a, match: {issuer: i, subject: t}}\n", "0.yaml:4:12: the name `a` is taken at 0.yaml:2"),
        (
            "  - {name: b, match: {issuer: i, subject: s}}\n",
            "0.yaml:4:22: whoever this is about has an entry at 0.yaml:2",
        ),
    ],
)
def test_what_could_mean_two_things_is_refused(more: str, problem: str) -> None:
    """Two entries of one name, and two about the same party by the same sort of name."""
    assert problems(ENTRY + more)[0].startswith(problem)


def test_the_same_spelt_differently_is_the_same() -> None:
    """A workload key with and without its issuer, in different files."""
    entry = "identities: [{{name: {}, match: {{issuer: i, workload: '{}'}}}}]\n"
    found = problems(entry.format("a", "i|w"), entry.format("b", "w"))
    assert found == ["1.yaml:1:31: whoever this is about has an entry at 0.yaml:1 — keep one of them"]


def test_different_sorts_of_names_are_different_parties() -> None:
    """A subject and a client of the same name, and the same subject of two issuers."""
    text = ENTRY + (
        "  - {name: b, match: {issuer: i, client: s}}\n  - {name: c, match: {issuer: j, subject: s}}\n"
        "  - {name: d, match: {issuer: i, workload: s}}\n"
    )
    assert len(build_registry({"r": text.encode()}).registrations) == 4


def test_a_role_bound_twice_in_one_place_is_refused() -> None:
    """By name and by match alike: which end counts would be chance. Another value or type is another place."""
    same = "bindings:\n  - {who: a, role: r, where: {x: 1}, until: 2030-01-01}\n"
    again = "  - {who: {issuer: i, subject: s}, role: r, where: {x: 1}}\n"
    (problem,) = problems(ENTRY + same + again)
    assert problem.startswith("0.yaml:6:5: the same role is bound to the same party in the same place at 0.yaml:5")
    others = again.replace("x: 1", "x: true") + again.replace("x: 1", 'x: "1"') + again.replace("role: r", "role: q")
    assert len(build_registry({"r": (ENTRY + same + others).encode()}).bindings[Match("i", How.SUBJECT, "s")]) == 4
