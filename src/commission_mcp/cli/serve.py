"""`commission-mcp serve`: the MCP server over stdio."""

from __future__ import annotations

from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load


def serve(
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
    client_id: Annotated[
        str | None, typer.Option("--client", help="The client to serve.", show_default=False)
    ] = None,
) -> None:
    """Serve one client over stdio, for Claude Desktop and other MCP hosts."""
    import sys  # noqa: PLC0415 - imports of this command only

    import anyio  # noqa: PLC0415

    from commission_mcp.logs import configure_logs  # noqa: PLC0415

    loaded = load(data_directory, env_file, client_id=client_id)
    configure_logs(loaded.settings.log_level)

    from commission_mcp.server import build_server, serve_stdio  # noqa: PLC0415

    for warning in loaded.warnings:
        sys.stderr.write(f"{warning}\n")
    anyio.run(serve_stdio, build_server(loaded.settings))
