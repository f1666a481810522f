"""`commission-mcp serve`: the MCP server over stdio."""

from __future__ import annotations

from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load


def serve(
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
    client_id: Annotated[str | None, typer.Option("--client", help="The client to serve.", show_default=False)] = None,
) -> None:
    """Serve one client over stdio, for Claude Desktop and other MCP hosts."""
    import gc
    import sys

    import anyio

    # What the imports make lives as long as the process: collecting among it would cost a seventh of the start, and a
    # pause now and then for ever.
    gc.disable()
    from commission_mcp.logs import configure_logs
    from commission_mcp.server import build_server, serve_stdio

    loaded = load(data_directory, env_file, client_id=client_id)
    configure_logs(loaded.settings.log_level)
    for warning in loaded.warnings:
        sys.stderr.write(f"{warning}\n")
    server = build_server(loaded.settings)
    gc.freeze()
    gc.enable()
    anyio.run(serve_stdio, server)
