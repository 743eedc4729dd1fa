"""`extauthz serve`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from extauthz.cli.problems import or_exit
from extauthz.config.load import load_settings

serve_app = typer.Typer(add_completion=False)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file (YAML). Environment variables EXTAUTHZ__… come on top."),
]


@serve_app.command()
def serve(config: ConfigOption = None) -> None:
    """Answer Envoy's questions until SIGTERM or SIGINT; SIGHUP reads policy again and reopens the record file."""
    from extauthz.server.lifecycle import run_until_told  # noqa: PLC0415 — gRPC is loaded only to serve

    settings = or_exit(lambda: load_settings(config))
    sys.exit(or_exit(lambda: run_until_told(settings)))
