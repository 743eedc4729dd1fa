"""`extauthz policy propose`: from what was observed to a policy that permits it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extauthz.cli.policy_compare import LogsArgument, over_lines
from extauthz.cli.policy_inputs import refuse_usage

MinUsesOption = Annotated[int, typer.Option(min=1, help="Callers who used something less often get no permit.")]
SinceOption = Annotated[
    str | None, typer.Option(help="Leave out older records: `2030-01-01T12:00:00Z`, or `-7d` from now.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write; it must not exist yet. Standard output if unset.")
]


def propose(
    logs: LogsArgument, *, min_uses: MinUsesOption = 1, since: SinceOption = None, output: OutputOption = None
) -> None:
    """Write a least-privilege policy for what decision logs show, with the evidence and open questions in it."""
    from extauthz.clock import SystemClock  # noqa: PLC0415 — loaded only when the command runs
    from extauthz.policytools.moments import parse_moment  # noqa: PLC0415 — see above
    from extauthz.policytools.propose import Evidence  # noqa: PLC0415 — see above
    from extauthz.policytools.propose_text import to_policy  # noqa: PLC0415 — see above

    try:
        oldest = parse_moment(since, SystemClock().now()) if since is not None else None
    except ValueError as error:
        refuse_usage(f"--since: {error}")
    evidence = Evidence()
    over_lines(logs, lambda lines, progress: evidence.read(lines, since=oldest, progress=progress))
    text = to_policy(evidence, min_uses=min_uses)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        refuse_usage(f"{output}: cannot be written: {error.strerror}")
    typer.echo(f"{output} written; next: extauthz policy replay {logs[0]} --policy {output}", err=True)
