"""`commission-mcp run`: calculate a period and store the result."""

from __future__ import annotations

from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load, os_user


def run(
    period: Annotated[str, typer.Argument(help="Such as 2026-07, 2026-Q3.", metavar="PERIOD")],
    client_id: Annotated[str | None, typer.Option("--client", help="Whose period it is.", show_default=False)] = None,
    adjust: Annotated[bool, typer.Option("--adjust", help="Post the difference, for a period that is paid.")] = False,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Calculate what a period pays over all plans in force, and store result lines and draft payouts.

    The same inputs make no second run. The operator needs the role finance.
    """
    import anyio

    loaded = load(data_directory, env_file, client_id=client_id)

    async def calculate() -> None:
        from commission_mcp.app import open_storage, operator
        from commission_mcp.cli.progress import rows_progress
        from commission_mcp.storage.audit import Act, acting
        from commission_mcp.storage.runs.running import run_period

        caller = operator(loaded.settings)
        act = Act(os_user(), "run", [caller.client_id], {"period": period, "adjust": adjust})
        async with open_storage(loaded.settings) as storage, acting(storage.audit, act) as facts:
            with rows_progress(f"Running {period}") as bar:

                async def tell(done: float, doing: str) -> None:  # noqa: ARG001 - the signature of a progress
                    bar(round(done * 100), 100)

                ran = await run_period(storage.database, caller, period, adjust=adjust, progress=tell)
            facts |= {"run_id": ran.run_id, "outcome": str(ran.outcome), "lines": ran.lines}
        typer.echo(f"{period}: {ran.outcome}, run {ran.run_id}, {ran.lines} lines stored.", err=True)
        for payout in ran.payouts:
            typer.echo(f"{payout.payee}\t{payout.amount}\t{payout.currency}")
        problems = [*ran.settlement.problems, *(p for r in ran.settlement.results for p in r.outcome.problems)]
        for problem in problems:
            typer.echo(str(problem), err=True)

    anyio.run(calculate)
