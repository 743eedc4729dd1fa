"""`extauthz demo`: the guided tour, and its issuer and upstream as processes of their own (docker-compose.yml)."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from extauthz.demo.loopback import LoopbackServer

demo_app = typer.Typer(help="See it work behind a real Envoy.", add_completion=False)

PortOption = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")]
HostOption = Annotated[str, typer.Option(help="Address to listen on.")]


@demo_app.callback(invoke_without_command=True)
def demo(  # noqa: PLR0913 — one for each option
    context: typer.Context,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running after the tour.")] = False,
    envoy_config: Annotated[
        Literal["minimal", "hardened"], typer.Option(help="Which file of envoy/ to run.")
    ] = "minimal",
    engine: Annotated[
        Literal["auto", "grpcio", "native"], typer.Option(help="Which gRPC engine serves, as in the settings.")
    ] = "auto",
    folder: Annotated[Path, typer.Option(help="Where logs and decision records go.")] = Path(".demo"),
    scenario: Annotated[
        str | None, typer.Option(help="Run a situation of examples/scenarios/ instead: its number, or `all`.")
    ] = None,
) -> None:
    """Start an issuer, an upstream, extauthz and a real Envoy, and send a tour of requests through them."""
    if context.invoked_subcommand is not None:
        return
    if scenario is not None:
        from extauthz.demo.scenario_show import show_scenario  # noqa: PLC0415 — see below

        signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
        raise typer.Exit(show_scenario(scenario, folder))
    from extauthz.demo.show import show  # noqa: PLC0415 — the demo's weight is for the demo alone

    # Told to end, the demo ends what it started.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    raise typer.Exit(show(envoy_config, folder, engine=engine, keep=keep))


@demo_app.command()
def issuer(
    host: HostOption = "127.0.0.1",
    port: PortOption = 9000,
    url: Annotated[
        str | None, typer.Option(help="Its name in tokens, when it is reached under another address.")
    ] = None,
) -> None:
    """Run the demo issuer until told to stop."""
    from extauthz.demo.issuer import Issuer  # noqa: PLC0415 — see above

    _run(Issuer(host, port, url=url))


@demo_app.command()
def upstream(host: HostOption = "127.0.0.1", port: PortOption = 9080) -> None:
    """Run the demo upstream until told to stop."""
    from extauthz.demo.upstream import Upstream  # noqa: PLC0415 — see above

    _run(Upstream(host, port))


def _run(server: LoopbackServer) -> None:
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: told.set())
    with server:
        typer.echo(f"listening on {server.url}")
        told.wait()
