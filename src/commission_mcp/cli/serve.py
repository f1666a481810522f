"""`commission-mcp serve`: the MCP server, over stdio or HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load


def serve(
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
    client_id: Annotated[str | None, typer.Option("--client", help="The client to serve.", show_default=False)] = None,
    http: Annotated[
        bool, typer.Option("--http", help="Serve many callers over HTTP instead of one over stdio.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that serve HTTP.", min=1, max=64, show_default=False)
    ] = None,
) -> None:
    """Serve one client over stdio, for Claude Desktop and other MCP hosts; with --http, many callers with tokens."""
    import gc
    import sys

    import anyio

    # What the imports make lives as long as the process: collecting among it would cost a seventh of the start, and a
    # pause now and then for ever.
    gc.disable()
    from commission_mcp.logs import configure_logs
    from commission_mcp.server import build_server, serve_stdio
    from commission_mcp.settings.telemetry import span_destination
    from commission_mcp.telemetry import exporting_spans, require_telemetry

    loaded = load(data_directory, env_file, client_id=client_id, http_workers=workers)
    configure_logs(loaded.settings.log_level)
    for warning in loaded.warnings:
        sys.stderr.write(f"{warning}\n")
    spans = span_destination()
    require_telemetry(spans)
    if http:
        from commission_mcp.serving.workers import serve_http

        gc.enable()
        serve_http(loaded.settings)
        return
    server = build_server(loaded.settings)
    gc.freeze()
    gc.enable()
    with exporting_spans(spans):
        anyio.run(serve_stdio, server)
