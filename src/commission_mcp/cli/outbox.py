"""`commission-mcp outbox set|list|retry`: where news of plans goes, and what has not arrived."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commission_mcp.cli.options import ClientOption, DataDirectory, EnvFile, load, os_user

commands = typer.Typer(help="News of plans for clients' backends and webhooks.", no_args_is_help=True)


@commands.command("set")
def set_(
    client_id: Annotated[str, typer.Argument(help="The client's id.", metavar="ID")],
    file: Annotated[Path, typer.Argument(help="JSON with url, format, token, ca, webhook.", metavar="FILE")],
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Say where a client's news goes; docs/wizard.md has the fields, and {} stops it."""
    import anyio

    loaded = load(data_directory, env_file)

    async def run() -> None:
        from commission_mcp.app import open_operations
        from commission_mcp.domain.money import loads
        from commission_mcp.storage.audit import Act, on_record
        from commission_mcp.storage.outbox import set_destinations

        entry = loads(await anyio.Path(file).read_text("utf-8"))
        act = Act(os_user(), "outbox set", [client_id])
        async with open_operations(loaded.settings) as connection, on_record(connection, act):
            await set_destinations(connection, client_id, entry)
        typer.echo(f"News of {client_id} goes where {file} says.", err=True)

    anyio.run(run)


@commands.command("list")
def list_(client_id: ClientOption = None, data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """List the messages that have not arrived."""
    import anyio

    loaded = load(data_directory, env_file)

    async def run() -> None:
        from commission_mcp.app import open_operations
        from commission_mcp.storage.outbox import undelivered

        async with open_operations(loaded.settings) as connection:
            for one in await undelivered(connection, client_id):
                state = "given up" if one.given_up else f"{one.attempts} attempts"
                failure = f": {one.last_failure}" if one.last_failure else ""
                typer.echo(f"{one.created_at:%Y-%m-%d %H:%M} {one.client_id} {one.target} {one.event} {state}{failure}")

    anyio.run(run)


@commands.command("retry")
def retry(client_id: ClientOption = None, data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """Make every message that has not arrived due now, those that were given up too."""
    import anyio

    loaded = load(data_directory, env_file)

    async def run() -> None:
        from commission_mcp.app import open_operations
        from commission_mcp.storage.audit import Act, on_record
        from commission_mcp.storage.outbox import retry as make_due
        from commission_mcp.storage.outbox import undelivered

        async with open_operations(loaded.settings) as connection:
            clients = sorted({one.client_id for one in await undelivered(connection, client_id)})
            async with on_record(connection, Act(os_user(), "outbox retry", clients)):
                count = await make_due(connection, client_id)
        typer.echo(f"{count} messages are due now; a running server delivers them.", err=True)

    anyio.run(run)
