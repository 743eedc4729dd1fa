"""`extauthz signals`: streams of security events, and what arrived by them."""

from __future__ import annotations

import typer

from extauthz.cli.signals_connect import CONNECT_EXAMPLES, connect, status
from extauthz.cli.signals_events import TAIL_EXAMPLES, admit, dismiss, held, tail

signals_app = typer.Typer(name="signals", help="Streams of security events.", no_args_is_help=True)

signals_app.command(epilog=CONNECT_EXAMPLES)(connect)
signals_app.command()(status)
signals_app.command(epilog=TAIL_EXAMPLES)(tail)
signals_app.command()(held)
signals_app.command()(admit)
signals_app.command()(dismiss)


@signals_app.callback()
def signals() -> None:
    """Agree on streams, show what was reported to us, and decide what waits for a person."""
