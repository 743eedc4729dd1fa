"""`extauthz config`."""

from __future__ import annotations

from typing import Annotated

import typer

from extauthz.cli.options import ConfigOption  # noqa: TC001 — typer reads annotations at run time
from extauthz.cli.problems import or_exit
from extauthz.config import show
from extauthz.config.insecure import cautions, weakenings
from extauthz.config.load import load_with_origins
from extauthz.config.metadata_document import to_routes_page
from extauthz.config.reference import reference_page
from extauthz.processes.clusters import to_clusters_page
from extauthz.server.issuer_rules import rules_of
from extauthz.server.pluginpins import offers_page

config_app = typer.Typer(add_completion=False)


@config_app.command()
def config(  # noqa: PLR0913 — each is an option of the command
    *,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, without origins.")] = False,
    reference: Annotated[bool, typer.Option("--reference", help="Print the reference page of all settings.")] = False,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Print Envoy routes that publish the resources' metadata (RFC 9728).")
    ] = False,
    envoy: Annotated[
        bool, typer.Option("--envoy", help="Print the clusters by which Envoy reaches every worker.")
    ] = False,
    plugins: Annotated[
        bool,
        typer.Option("--plugins", help="Print what installed plug-ins offer, with digests, as settings that pin it."),
    ] = False,
) -> None:
    """Print the settings in force, where each comes from, and what weakens the server. Secrets are masked."""
    if reference:
        typer.echo(reference_page(), nl=False)
        return
    if plugins:
        typer.echo(offers_page(), nl=False)
        return
    loaded = or_exit(lambda: load_with_origins(config))
    or_exit(lambda: [rules_of(issuer) for issuer in loaded.settings.issuers])
    if metadata:
        typer.echo(or_exit(lambda: to_routes_page(loaded.settings)), nl=False)
        return
    if envoy:
        typer.echo(or_exit(lambda: to_clusters_page(loaded.settings)), nl=False)
        return
    typer.echo(show.as_json(loaded) if as_json else show.as_yaml(loaded), nl=as_json)
    for sentence in weakenings(loaded.settings):
        typer.echo(f"WEAKENED: {sentence}", err=True)
    for sentence in cautions(loaded.settings):
        typer.echo(f"note: {sentence}", err=True)
