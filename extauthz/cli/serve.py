"""`extauthz serve`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from extauthz.cli.options import ConfigOption  # noqa: TC001 — typer reads annotations at run time
from extauthz.cli.problems import or_exit
from extauthz.clock import SystemClock
from extauthz.config.load import load_settings
from extauthz.config.settings import ServerSettings

if TYPE_CHECKING:
    from extauthz.config.settings import Settings

serve_app = typer.Typer(add_completion=False)


@serve_app.command()
def serve(
    *,
    config: ConfigOption = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, max=64, help="Processes that decide, instead of `server.workers`; 0: one for all."),
    ] = None,
) -> None:
    """Answer Envoy's questions until SIGTERM or SIGINT; SIGHUP reads policy again and reopens the record file."""
    settings = or_exit(lambda: load_settings(config))
    if workers is not None:
        settings = _with_workers(settings, workers)
    # The transport's own log tells of every failed handshake; what matters is in ours.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    sys.exit(or_exit(lambda: _run(settings)))


def _with_workers(settings: Settings, workers: int) -> Settings:
    server = ServerSettings.model_validate({**dict(settings.server), "workers": workers})
    return settings.model_copy(update={"server": server})


def _run(settings: Settings) -> int:
    if settings.server.workers:
        # A supervisor never loads gRPC; its children do.
        from extauthz.processes.supervisor import supervise  # noqa: PLC0415 — only one of the two is needed

        return supervise(settings, SystemClock(), os.environ)
    from extauthz.processes.single import run_alone  # noqa: PLC0415 — gRPC is loaded only to serve

    return run_alone(settings)
