"""`commission-mcp report`: what a period pays, as a table for people or for a spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load, os_user
from commission_mcp.errors import Code, Problem, Refused


def report(
    period: Annotated[str, typer.Argument(help="Such as 2026-07, 2026-Q3.", metavar="PERIOD")],
    csv: Annotated[bool, typer.Option("--csv", help="Every result line, as CSV on stdout.")] = False,
    payroll: Annotated[bool, typer.Option("--payroll", help="Only what is approved and not paid yet.")] = False,
    output: Annotated[Path | None, typer.Option("--output", help="Write to this file instead of stdout.")] = None,
    client_id: Annotated[str | None, typer.Option("--client", help="Whose period it is.", show_default=False)] = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Print what the runs that count for a period pay: payouts, or with --csv every line with its sale and arithmetic.

    With --payroll it lists what is to be paid now; `commission-mcp payouts PERIOD pay` then notes that it was.
    The operator needs the role finance, analyst or admin.
    """
    import sys

    import anyio

    if csv and payroll:
        problem = Problem(Code.ARGUMENT, "Lines and payroll are two reports.", "Pass --csv or --payroll.", "--payroll")
        raise Refused(problem)
    loaded = load(data_directory, env_file, client_id=client_id)

    async def print_report() -> None:
        from commission_mcp.app import open_storage, operator
        from commission_mcp.storage.audit import Act, acting
        from commission_mcp.storage.runs.report import LINES, PAYOUTS, PAYROLL, write_report

        caller = operator(loaded.settings)
        what = PAYROLL if payroll else LINES if csv else PAYOUTS
        act = Act(os_user(), "report", [caller.client_id], {"period": period, "csv": csv, "payroll": payroll})
        async with open_storage(loaded.settings) as storage, acting(storage.audit, act) as facts:
            if output is None:
                rows = await write_report(storage.database, caller, period, what, sys.stdout)
            else:
                with output.open("w", encoding="utf-8", newline="") as file:
                    rows = await write_report(storage.database, caller, period, what, file)
            facts["rows"] = rows
        typer.echo(f"{rows} rows of {period}.", err=True)

    anyio.run(print_report)
