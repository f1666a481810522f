"""`commission-mcp host-config`: the entry for an MCP host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load
from commission_mcp.hosts import (
    PLACES,
    Host,
    Variant,
    native_launch,
    reached_entry,
    started_entry,
    windows_launch,
    wsl2_launch,
)

if TYPE_CHECKING:
    from pathlib import Path

    from commission_mcp.hosts import Launch


def host_config(
    host: Annotated[Host, typer.Argument(help="The host.", metavar="HOST")],
    client_id: Annotated[
        str, typer.Option("--client", help="The client that the host's user works for.")
    ] = "client-abc",
    roles: Annotated[
        str | None, typer.Option("--roles", help="What that user may do; analyst,plan_author.", show_default=False)
    ] = None,
    variant: Annotated[
        Variant, typer.Option("--variant", help="native; wsl2: host on Windows, server here; windows: both there.")
    ] = Variant.NATIVE,
    distribution: Annotated[
        str | None,
        typer.Option("--distribution", envvar="WSL_DISTRO_NAME", help="For wsl2: which one.", show_default=False),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="A server over HTTP, instead of one to start.", show_default=False)
    ] = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Print the configuration for claude-desktop, claude-code, vscode or cursor; where it goes is said on stderr."""
    import json

    if url is not None:
        entry = reached_entry(host, url)
    else:
        entry = started_entry(host, _launch(variant, client_id, roles, distribution, data_directory, env_file))
    typer.echo(json.dumps(entry, indent=2))
    typer.echo(f"Put this into {PLACES[host]}.", err=True)
    if variant is Variant.WINDOWS:
        typer.echo("Change the paths to yours, and put the addresses and the secret into those files.", err=True)


def _launch(
    variant: Variant,
    client_id: str,
    roles: str | None,
    distribution: str | None,
    data_directory: Path | None,
    env_file: Path | None,
) -> Launch:
    if variant is Variant.WINDOWS:
        return windows_launch(client_id, roles)
    native = native_launch(load(data_directory, env_file).settings.data_directory, client_id, roles)
    return native if variant is Variant.NATIVE else wsl2_launch(native, distribution)
