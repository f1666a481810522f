"""`commission-mcp report`: what a period pays, as a table for people or for a spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load


def report(
    period: Annotated[str, typer.Argument(help="Such as 2026-07, 2026-Q3.", metavar="PERIOD")],
    csv: Annotated[bool, typer.Option("--csv", help="Every result line, as CSV on stdout.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file instead of stdout.")] = None,
    client_id: Annotated[str | None, typer.Option("--client", help="Whose period it is.", show_default=False)] = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Print what the runs that count for a period pay: payouts, or with --csv every line with its sale and arithmetic.

    The operator needs the role finance, analyst or admin.
    """
    import sys

    import anyio

    loaded = load(data_directory, env_file, client_id=client_id)

    async def print_report() -> None:
        from commission_mcp.app import open_storage, operator
        from commission_mcp.storage.runs.report import LINES, PAYOUTS, write_report

        async with open_storage(loaded.settings) as storage:
            what = LINES if csv else PAYOUTS
            if output is None:
                rows = await write_report(storage.database, operator(loaded.settings), period, what, sys.stdout)
            else:
                with output.open("w", encoding="utf-8", newline="") as file:
                    rows = await write_report(storage.database, operator(loaded.settings), period, what, file)
        typer.echo(f"{rows} rows of {period}.", err=True)

    anyio.run(print_report)
