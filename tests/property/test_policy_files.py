"""Whatever stands in a file, it is read, or it is a problem; never anything else."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from extauthz.errors import FileError, PolicyError
from extauthz.policy.cel.compile import CelError, compile_condition
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.yamlfile import read_yaml
from tests.simulators.policies import surroundings

POLICY = b"""\
resources:
  - name: deployment
    action: deploy
    match: {host: api.example.com, path: "/projects/{project}", methods: [POST]}
    attributes:
      project: path.project
      environment: {from: body.environment, one_of: [staging, production]}
guards:
  - id: production
    on: deployment.deploy
    when: resource.environment == "production"
    require: [{identity: {kind: [ci]}}, {step_up: {acr: strong, max_age: 5m}}, {tenant: resource.project}]
forbids:
  - {id: f, on: "*", when: '"agent" in involved.kinds', unless: [{roles: {any_of: [a]}}]}
permits:
  - {id: p, who: {kind: ci}, may: deployment.*, require: [{scopes: ["d:{resource.project}"]}, {cel: identity.human}]}
"""
SNIPPETS = st.sampled_from(
    [b"", b" ", b"\n", b":", b"- ", b"[", b"{", b"'", b'"', b"&a", b"*a", b"!", b"x", b"\xff", b"\x00"]
)
AROUND = surroundings()


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"#,? \n0", max_size=60).map(str.encode))
@example(b"? - a\n: b")
@example(b"- - - a: |\n b")
def test_any_bytes_are_yaml_or_a_problem(raw: bytes) -> None:
    """Every problem has a place in the file; every value too."""
    try:
        file = read_yaml("f", raw)
    except FileError as error:
        problems = error.problems
    else:
        problems = []
        assert () in file.places or file.data is None
    assert all(problem.message for problem in problems)


@settings(max_examples=200)
@given(st.integers(0, len(POLICY)), st.integers(0, 12), SNIPPETS)
def test_a_damaged_policy_is_compiled_or_refused(position: int, removed: int, added: bytes) -> None:
    """Cuts and insertions anywhere end in a ruleset or in problems that point into the file."""
    raw = POLICY[:position] + added + POLICY[position + removed :]
    problems = []
    try:
        compile_policy({"p": raw}, PolicyContext())
    except PolicyError as error:
        problems = error.problems
    for problem in problems:
        assert problem.message
        assert problem.line <= raw.count(b"\n") + 2


@given(st.text(alphabet="abc.()[]'\"! &|=<>?:,+-{}\n1_", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_condition_or_a_problem(text: str) -> None:
    """No expression escapes as another exception, and what compiles reads something."""
    problems = []
    try:
        condition = compile_condition(text, AROUND)
    except CelError as error:
        problems = error.problems
    else:
        assert condition.reads
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)
