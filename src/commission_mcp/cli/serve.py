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
    import sys

    import anyio

    from commission_mcp.logs import configure_logs

    loaded = load(data_directory, env_file, client_id=client_id)
    configure_logs(loaded.settings.log_level)

    from commission_mcp.server import build_server, serve_stdio

    for warning in loaded.warnings:
        sys.stderr.write(f"{warning}\n")
    anyio.run(serve_stdio, build_server(loaded.settings))
