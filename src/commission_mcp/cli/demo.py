"""`commission-mcp demo`: the whole way, on demo data, as an MCP host would go it."""

from __future__ import annotations

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load


def demo(data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """Start everything on demo data, ask questions over MCP, and check every answer.

    Uses a data directory of its own, beside the real one, unless --data-directory names another.
    """
    import anyio

    from commission_mcp.demonstration import demonstrate

    loaded = load(data_directory, env_file, client_id="client-abc")
    settings = loaded.settings
    if data_directory is None:
        beside = settings.data_directory.with_name(settings.data_directory.name + "-demo")
        settings = load(beside, env_file, client_id="client-abc").settings
    if not anyio.run(demonstrate, settings):
        raise typer.Exit(1)
