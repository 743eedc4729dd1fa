"""`extauthz policy explain`."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from extauthz.cli.policy_inputs import ConfigFileOption, load_ruleset, refuse_usage
from extauthz.cli.problems import or_exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.tree import Tree

    from extauthz.judge import Judged
    from extauthz.policytools.explain import Asked, Explained, Explanation

PolicyArgument = Annotated[list[Path] | None, typer.Option("--policy", "-p", help="Policy files or folders.")]
MethodOption = Annotated[str, typer.Option("--method", "-X", help="Method of the request.")]
UrlOption = Annotated[str | None, typer.Option("--url", help="The request: `https://host/path?query`.")]
HeaderOption = Annotated[list[str] | None, typer.Option("--header", "-H", help="`name: value`; may be repeated.")]
BodyOption = Annotated[str | None, typer.Option("--body", help="The body; JSON text is sent as JSON.")]
IdentityOption = Annotated[
    str | None, typer.Option("--identity", help="The caller as in a policy test: `{kind: ci, roles: [deployer]}`.")
]
StateOption = Annotated[
    str | None,
    typer.Option("--state", help="Changeable facts as in a policy test; what is not given is not known."),
]
AnswersOption = Annotated[
    str | None,
    typer.Option("--answers", help="What other decision points answer as in a policy test; the others do not answer."),
]
AtOption = Annotated[str | None, typer.Option("--at", help="Instant of the decision (RFC 3339).")]
CasesOption = Annotated[Path | None, typer.Option("--tests", help="Explain a test of this file.")]
NameOption = Annotated[str | None, typer.Option("--test", help="Which test: its name, or the beginning of it.")]
DecisionOption = Annotated[str | None, typer.Option("--decision", help="Explain the decision with this id.")]
LogOption = Annotated[Path | None, typer.Option("--log", help="Decision log that holds it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

_MARKS: Final = {
    "holds": "[green]✓[/]",
    "grants": "[green]✓[/]",
    "lifted": "[green]✓[/]",
    "unmet": "[yellow]✗[/]",
    "fires": "[red]✗[/]",
    "failed": "[red]![/]",
    "untold": "[magenta]?[/]",
    "does not apply": "[dim]-[/]",
}


def explain(  # noqa: PLR0913 — one for each option
    *,
    policy: PolicyArgument = None,
    config: ConfigFileOption = None,
    url: UrlOption = None,
    method: MethodOption = "GET",
    header: HeaderOption = None,
    body: BodyOption = None,
    identity: IdentityOption = None,
    state: StateOption = None,
    answers: AnswersOption = None,
    at: AtOption = None,
    tests: CasesOption = None,
    test: NameOption = None,
    decision: DecisionOption = None,
    log: LogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show why a request is answered as it is: what matched, what was required, what held, with the values read."""
    if sum([url is not None, tests is not None, decision is not None]) != 1:
        refuse_usage("Give one of --url, --tests with --test, or --decision with --log.")
    from extauthz.policytools.adhoc import to_case  # noqa: PLC0415 — loaded only when the command runs
    from extauthz.policytools.explain import explain as take_apart  # noqa: PLC0415 — see above
    from extauthz.policytools.suite import judge_case  # noqa: PLC0415 — see above

    if tests is not None:
        judged = _judge_test(tests, test, policy or [], config)
    elif url is not None:
        said = {"identity": identity, "state": state, "answers": answers, "at": at}
        asked = partial(to_case, url, method=method, headers=header or (), body=body, **said)
        judged = judge_case(or_exit(asked), load_ruleset(policy or [], config))
    else:
        judged = _judge_decision(decision or "", log, policy or [], config)
    explanation = take_apart(judged)
    if as_json:
        typer.echo(json.dumps(asdict(explanation), indent=2, default=str))
        return
    from extauthz.cli.terminal import terminal  # noqa: PLC0415 — see above

    terminal().print(to_tree(explanation))


def _judge_test(tests: Path, name: str | None, policy: list[Path], config: Path | None) -> Judged:
    from extauthz.cli.policy_inputs import context_from  # noqa: PLC0415 — see above
    from extauthz.policytools.suite import judge_case, load_suite  # noqa: PLC0415 — see above

    context = or_exit(lambda: context_from(config)) if config is not None else None
    suite = or_exit(lambda: load_suite(tests, context_from, policy, context))
    found = [case for case in suite.file.cases if case.name.startswith(name or "")]
    exact = [case for case in found if case.name == name]
    if len(exact or found) != 1:
        names = "\n".join(f"  {case.name}" for case in (found or suite.file.cases))
        refuse_usage(f"Name one test with --test; {tests} has:\n{names}")
    return judge_case((exact or found)[0], suite.ruleset)


def _judge_decision(decision: str, log: Path | None, policy: list[Path], config: Path | None) -> Judged:
    from extauthz.cli.policy_inputs import opened_log  # noqa: PLC0415 — see above
    from extauthz.judge import NotRecorded  # noqa: PLC0415 — see above
    from extauthz.policytools.records import find_decision  # noqa: PLC0415 — see above
    from extauthz.policytools.replay import judge_recorded  # noqa: PLC0415 — see above

    if log is None:
        refuse_usage("Name the decision log with --log.")
    ruleset = load_ruleset(policy, config)
    with opened_log(log) as lines:
        recorded = find_decision(lines, decision)
    if recorded is None:
        refuse_usage(f"{log} holds no decision {decision}; rotated logs can be named as well, also with .gz.")
    written = recorded.members.get("policy", "")
    if written != ruleset.revision:
        typer.echo(f"note: decided under policy {written or '(none)'}, explained under {ruleset.revision}", err=True)
    typer.echo(f"note: recorded as {recorded.outcome}", err=True)
    try:
        return judge_recorded(recorded, ruleset)
    except NotRecorded as missing:
        refuse_usage(f"It cannot be explained: the record does not hold {missing.what}.")


def to_tree(explanation: Explanation) -> Tree:
    """Return an explanation for a terminal."""
    from rich.markup import escape  # noqa: PLC0415 — see above
    from rich.tree import Tree  # noqa: PLC0415 — see above

    style = {"allow": "bold green", "deny": "bold red"}.get(explanation.outcome, "bold magenta")
    reason = "" if explanation.outcome == "allow" else f" {explanation.reason}"
    if explanation.missing:
        reason = f": cannot be told without {escape(explanation.missing)}"
    tree = Tree(f"{escape(explanation.request)} → [{style}]{explanation.outcome}[/]{reason}")
    tree.add(f"resource: {escape(explanation.target) or 'none'}")
    for title, values in (("caller", explanation.caller), ("attributes", explanation.attributes)):
        if values:
            tree.add(f"{title}: {escape(_listed(values.items()))}")
    for rule in explanation.rules:
        _add_rule(tree, rule)
    for title, text in (("detail", explanation.detail), ("inside", explanation.inner)):
        if text:
            tree.add(f"{title}: {escape(text)}")
    if explanation.outcome == "deny":
        branch = tree.add("remedies" if explanation.remedies else "remedies: none")
        for remedy in explanation.remedies:
            branch.add(escape(_listed(remedy.items())))
        if explanation.why_remedies:
            branch.add(f"[dim]{escape(explanation.why_remedies)}[/]")
    return tree


def _add_rule(tree: Tree, rule: Explained) -> None:
    from rich.markup import escape  # noqa: PLC0415 — see above

    decided = "  [bold]← decided[/]" if rule.decided else ""
    observe = " [dim](only observes)[/]" if rule.observe else ""
    mark = _MARKS.get(rule.state, "")
    branch = tree.add(f"{mark} {rule.effect} [bold]{escape(rule.id)}[/]: {rule.state}{observe}{decided}")
    for asked in rule.asked:
        _add_asked(branch, asked)


def _add_asked(branch: Tree, asked: Asked) -> None:
    from rich.markup import escape  # noqa: PLC0415 — see above

    text = f" [cyan]{escape(asked.text)}[/]" if asked.text else ""
    reason = f" ({asked.reason})" if asked.reason else ""
    inner = branch.add(f"{_MARKS.get(asked.found, '')} {asked.what}{text}: {asked.found}{reason}")
    for name, value in asked.values.items():
        inner.add(f"[dim]{escape(name)} = {escape(str(value))}[/]")
    if asked.detail:
        inner.add(escape(asked.detail))


def _listed(values: Iterable[tuple[str, object]]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values)
