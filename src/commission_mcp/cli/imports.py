"""`commission-mcp import`: a client's own data from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load, os_user
from commission_mcp.errors import Code, Problem, Refused

_KINDS = ("sales", "payees", "territories", "products", "quotas", "uoms", "reporting-lines")


def import_file(
    kind: Annotated[str, typer.Argument(help="sales, payees, reporting-lines, territories, ...", metavar="KIND")],
    file: Annotated[Path, typer.Argument(help="A CSV or XLSX file with a header line.", metavar="FILE")],
    client_id: Annotated[str | None, typer.Option("--client", help="Whose data it is.", show_default=False)] = None,
    source_system: Annotated[str, typer.Option("--source", help="The system that sales come from.")] = "import",
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Import a file, all of it or nothing: every line that cannot be taken is listed with the reason.

    Importing the same file again changes nothing. The columns of each kind are in docs/importing.md.
    """
    import anyio

    if kind not in _KINDS:
        raise Refused(
            Problem(Code.ARGUMENT, f"{kind!r} cannot be imported.", f"Import one of {', '.join(_KINDS)}.", "KIND")
        )
    loaded = load(data_directory, env_file, client_id=client_id)

    async def run() -> None:
        from dataclasses import asdict

        from commission_mcp.app import open_operations, operator
        from commission_mcp.cli.progress import rows_progress
        from commission_mcp.storage.audit import Act, on_record
        from commission_mcp.storage.imports import Kind, import_rows

        client = operator(loaded.settings).client_id
        act = Act(os_user(), "import", [client], {"kind": kind, "source_system": source_system[:63]})
        async with open_operations(loaded.settings) as connection, on_record(connection, act) as facts:
            with rows_progress(f"Importing {kind}") as progress:
                done = await import_rows(
                    connection, client, Kind(kind), file, source_system=source_system, progress=progress
                )
            facts |= {name: count for name, count in asdict(done).items() if name != "kind"}
        counts = f"{done.inserted} new, {done.updated} changed, {done.unchanged} as they were"
        typer.echo(f"{kind}: {done.rows_read} read, {counts}.", err=True)

    anyio.run(run)
