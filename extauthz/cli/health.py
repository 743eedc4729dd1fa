"""`extauthz health`: for container health checks and for people."""

from __future__ import annotations

from typing import Annotated

import typer

health_app = typer.Typer(add_completion=False)


@health_app.command()
def health(
    address: Annotated[
        str, typer.Argument(help="`host:port` or `unix:/path` of a plaintext listener, or an `http://` URL.")
    ] = "127.0.0.1:9191",
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds to wait.")] = 2.0,
) -> None:
    """Exit with 0 when the server at ADDRESS serves: it is up, has a policy, and is not draining."""
    from extauthz.server.probe import find_health  # noqa: PLC0415 — gRPC is loaded only to ask

    found = find_health(address, timeout)
    typer.echo(found)
    if found != "SERVING":
        raise typer.Exit(1)
