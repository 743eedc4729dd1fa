"""`extauthz serve`."""

from __future__ import annotations

import os
import sys

import typer

from extauthz.cli.options import ConfigOption  # noqa: TC001 — typer reads annotations at run time
from extauthz.cli.problems import or_exit
from extauthz.config.load import load_settings

serve_app = typer.Typer(add_completion=False)


@serve_app.command()
def serve(config: ConfigOption = None) -> None:
    """Answer Envoy's questions until SIGTERM or SIGINT; SIGHUP reads policy again and reopens the record file."""
    settings = or_exit(lambda: load_settings(config))
    # The transport's own log tells of every failed handshake; what matters is in ours.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from extauthz.server.lifecycle import run_until_told  # noqa: PLC0415 — gRPC is loaded only to serve

    sys.exit(or_exit(lambda: run_until_told(settings)))
