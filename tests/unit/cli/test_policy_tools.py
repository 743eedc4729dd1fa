"""`extauthz policy test`, `explain`, `diff` and `replay` as people and machines run them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING
from xml.etree.ElementTree import parse

import pytest
from typer.testing import CliRunner

from extauthz.cli.policy import policy_app
from tests.simulators.decision_logs import log_of, repeated
from tests.simulators.policy_cases import CASES, POLICY, suite_in, write_suite

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

WIDER = POLICY.replace("[user, ci]", "[user, ci, service]")
SETTINGS = """\
policy: [orders.yaml]
issuers:
  - {issuer: "https://issuer.example", keys: {file: keys.json}}
profiles:
  default: {issuers: ["https://issuer.example"], audience: "https://api.example.com"}
"""


def run(*arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(policy_app, [str(argument) for argument in arguments])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a decision log, written under the small policy; the policy stands beside it."""
    suite = suite_in(tmp_path)
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"".join(repeated(log_of(suite.file.cases, suite.ruleset), 600)))
    return path


def test_passing_tests_are_listed_and_counted(tmp_path: Path) -> None:
    """With exit code 0; quietly only the sum is shown."""
    write_suite(tmp_path)
    result = run("test", tmp_path)
    assert (result.exit_code, result.output.count("pass ")) == (0, 12)
    assert result.output.endswith("12 tests passed in 1 file\n")
    assert run("test", tmp_path, "--quiet").output == "12 tests passed in 1 file\n"


def test_a_failing_test_is_shown_and_written_for_machines(tmp_path: Path) -> None:
    """By file and line, what was expected and what came out; exit code 1, JUnit beside it."""
    path = write_suite(
        tmp_path, CASES.replace("identity: reader, expect: allow", "identity: reader, expect: forbidden")
    )
    result = run("test", path, "--junit", tmp_path / "junit.xml")
    assert result.exit_code == 1
    assert f"FAIL {path}: read" in result.output
    assert f"{path}:9: outcome\n" in result.output
    assert '- expected "deny"' in result.output
    assert '+ got      "allow"' in result.output
    assert "1 of 12 tests failed in 1 file" in result.output
    assert "\x1b" not in result.output
    root = parse(tmp_path / "junit.xml").getroot()  # noqa: S314 — our own text
    assert (root.get("tests"), root.get("failures")) == ("12", "1")
    assert run("test", path, "--junit", tmp_path / "no" / "where.xml").exit_code == 2


def test_strength_names_what_no_test_needs(tmp_path: Path) -> None:
    """And passes when every deletion is noticed; tests in several files count together."""
    write_suite(tmp_path)
    strong = run("test", tmp_path, "--strength", "-q")
    assert (strong.exit_code, "strong: each of" in strong.output) == (0, True)
    lines = CASES.splitlines(keepends=True)
    (audited,) = [line for line in lines if "name: audited" in line]
    path = write_suite(tmp_path, "".join(line for line in lines if line != audited))
    weak = run("test", tmp_path, "--strength", "-q")
    assert weak.exit_code == 1
    assert "orders.yaml:28: `roles` of `no-secret-orders` can be deleted and every test still passes" in weak.output
    head = CASES[: CASES.index("tests:")]
    (path.parent / "more_test.yaml").write_text(f"policy: orders.yaml\n{head}tests:\n{audited}")
    assert run("test", tmp_path, "--strength", "-q").exit_code == 0


def test_wrong_tests_settings_and_policies_exit_with_2(tmp_path: Path) -> None:
    """Told by file and line, before anything is run."""
    path = write_suite(tmp_path, CASES.replace("expect: no_resource", "expect: no_resorce"))
    result = run("test", path)
    assert (result.exit_code, "did you mean `no_resource`?" in result.output) == (2, True)
    assert run("test", tmp_path / "missing").exit_code == 2
    path = write_suite(tmp_path, policy=POLICY.replace("may: order.read", "may: order.reed"))
    result = run("test", path)
    assert (result.exit_code, "did you mean `order.read`?" in result.output) == (2, True)


def test_settings_can_be_given(tmp_path: Path) -> None:
    """Then names of profiles are checked, as they are where the tests name settings."""
    path = write_suite(tmp_path, policy=POLICY.replace("preflight: true", "verify: partners"))
    (tmp_path / "extauthz.yaml").write_text(SETTINGS)
    assert run("test", path).exit_code == 0
    result = run("test", path, "--config", tmp_path / "extauthz.yaml")
    assert (result.exit_code, "no verification profile `partners`" in result.output) == (2, True)


def test_the_schema_is_printed() -> None:
    """For editors."""
    assert json.loads(run("test", "--schema").output)["title"] == "Policy tests"


def test_a_request_is_explained(tmp_path: Path) -> None:
    """As a tree for people, as JSON for machines."""
    write_suite(tmp_path)
    asked = ("--policy", tmp_path / "orders.yaml", "--url", "https://api.example.com/orders/7", "--identity")
    result = run("explain", *asked, "{kind: user, scopes: [other]}")
    assert result.exit_code == 0
    for line in (
        "GET api.example.com/orders/7 → deny insufficient_scope",
        "resource: order.read",
        "permit readers: unmet",
        "scopes: unmet (insufficient_scope)",
        "identity.scopes = ['other']",
        "kind = scopes, scopes = ['orders.read']",
    ):
        assert line in result.output
    parsed = json.loads(run("explain", *asked, "{kind: user, scopes: [orders.read]}", "--json").output)
    assert (parsed["outcome"], [rule["state"] for rule in parsed["rules"]]) == ("allow", ["does not apply", "grants"])


def test_a_test_and_a_recorded_decision_are_explained(tmp_path: Path, log: Path) -> None:
    """By name, and by id; a decision under another policy says so, and what a record lacks is named."""
    tests, policy = tmp_path / "orders_test.yaml", tmp_path / "orders.yaml"
    assert "→ deny step_up_required" in run("explain", "--tests", tests, "--test", "old").output
    result = run("explain", "--policy", policy, "--decision", "d-7-7", "--log", log)
    assert "→ deny step_up_required" in result.output
    assert "recorded as deny step_up_required" in result.output
    assert "note: decided under policy" not in result.output
    (tmp_path / "wider.yaml").write_text(WIDER)
    other = run("explain", "--policy", tmp_path / "wider.yaml", "--decision", "d-3-3", "--log", log)
    assert "note: decided under policy" in other.output
    assert "→ allow" in other.output
    unreadable = run("explain", "--policy", policy, "--decision", "d-9-9", "--log", log).output
    assert "untold: cannot be told without body.speed" in unreadable


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (["explain"], "Give one of --url, --tests with --test, or --decision with --log."),
        (["explain", "--url", "https://a.example/"], "Name policy files or folders"),
        (["explain", "--decision", "d-1"], "Name the decision log with --log."),
        (["explain", "--tests", "orders_test.yaml", "--test", "no"], "Name one test with --test"),
        (["explain", "--policy", "orders.yaml", "--url", "/", "--header", "x"], "write `name: value`"),
        (
            ["explain", "--policy", "orders.yaml", "--url", "https://a/", "--identity", "{knd: ci}"],
            "did you mean `kind`?",
        ),
        (
            ["explain", "--policy", "orders.yaml", "--decision", "d-x", "--log", "decisions.jsonl"],
            "holds no decision d-x",
        ),
        (["replay", "missing.jsonl", "--policy", "orders.yaml"], "missing.jsonl: cannot be read"),
        (["replay", "broken.gz", "--policy", "orders.yaml"], "broken.gz: cannot be read"),
        (["diff", "orders.yaml", "orders.yaml"], "Name what to compare on"),
    ],
)
def test_what_is_missing_is_asked_for(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], fix: str
) -> None:
    """In a sentence that names the option, with exit code 2 and no traceback."""
    assert log.exists()
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b"{}\n" * 1000)[:-20])
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert (result.exit_code, fix in result.output) == (2, True), result.output


def test_a_replay_shows_what_would_change(tmp_path: Path, log: Path) -> None:
    """Grouped, counted, with examples and with what cannot be told; the exit code only when asked for."""
    new = tmp_path / "wider.yaml"
    new.write_text(WIDER)
    result = run("replay", log, "--policy", new)
    assert result.exit_code == 0
    assert "600 records in" in result.output
    assert "deny no_permit → allow" in result.output
    assert "body.speed" in result.output
    assert "600 decisions: 500 the same, 50 changed (50 deny → allow, 0 allow → deny, 0 other reason), 50 cannot" in (
        result.output
    )
    assert run("replay", log, "--policy", new, "--exit-code").exit_code == 1
    parsed = json.loads(run("replay", log, "--policy", new, "--json").stdout)
    assert (parsed["opened"], parsed["groups"][0]["kind"], parsed["groups"][0]["client"]) == (50, "service", "shop")
    packed = tmp_path / "old.jsonl.gz"
    packed.write_bytes(gzip.compress(log.read_bytes() + b"torn line\n"))
    assert json.loads(run("replay", packed, log, "--policy", new, "--json").stdout)["total"] == 1200
    assert "1 line without a decision record" in run("replay", packed, "--policy", new).output


def test_a_diff_is_over_tests_and_logs(tmp_path: Path, log: Path) -> None:
    """Effect, not text: the same policy with another comment differs in nothing."""
    (tmp_path / "wider.yaml").write_text(WIDER)
    (tmp_path / "same.yaml").write_text(f"# changed\n{POLICY}")
    policy, tests = tmp_path / "orders.yaml", tmp_path / "orders_test.yaml"
    result = run("diff", policy, tmp_path / "wider.yaml", "--tests", tests)
    assert "12 decisions: 11 the same, 1 changed (1 deny → allow" in result.output
    assert "no service" in result.output
    both = run("diff", policy, tmp_path / "wider.yaml", "--tests", tests, "--log", log, "--json")
    assert json.loads(both.stdout)["opened"] == 51
    assert run("diff", policy, tmp_path / "same.yaml", "--tests", tests, "--exit-code").exit_code == 0
    assert run("diff", policy, tmp_path / "wider.yaml", "--tests", tests, "--exit-code").exit_code == 1
