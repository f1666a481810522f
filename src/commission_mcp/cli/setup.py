"""`commission-mcp setup`: prepare the database."""

from __future__ import annotations

from typing import Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load


def setup(
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
    print_script: Annotated[
        bool, typer.Option("--print", help="Print the SQL that needs a superuser, and change nothing.")
    ] = False,
) -> None:
    """Prepare a dedicated database: roles, rights and schema. Needs a superuser once; serving does not.

    The superuser creates six roles (cm_owner, cm_internal, cm_reader, cm_ops, cm_gate, cm_writer), revokes from PUBLIC
    what PostgreSQL grants to everybody in this database, and installs btree_gist. Adding clients needs it too.
    """
    import anyio

    from commission_mcp.storage import prepare_script

    if print_script:
        typer.echo(prepare_script())
        return
    loaded = load(data_directory, env_file)

    async def run() -> bool:
        from commission_mcp.app import reach
        from commission_mcp.storage import administration, prepare

        async with reach(loaded.settings) as reached, administration(reached.address) as connection:
            return await prepare(connection, reached.credentials)

    changed = anyio.run(run)
    typer.echo("The database is prepared." if changed else "The database was prepared already.", err=True)
    typer.echo("Next: `commission-mcp client add ID --name NAME`, then `commission-mcp doctor`.", err=True)
