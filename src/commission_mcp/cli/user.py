"""`commission-mcp user set|list`: who may act for a client, and in which roles."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from commission_mcp.cli.options import ClientOption, DataDirectory, EnvFile, Roles, load, os_user, roles_of
from commission_mcp.cli.output import AsCsv, AsJson, form, print_rows

commands = typer.Typer(help="Add, change, list and disable the users of clients.", no_args_is_help=True)


_COLUMNS = {
    "client_id": "text",
    "user_id": "text",
    "issuer": "text",
    "subject": "text",
    "roles": "text",
    "active": "bool",
}


@commands.command("set")
def set_(
    user_id: Annotated[str, typer.Argument(help="The user's key within the client.", metavar="USER")],
    client_id: ClientOption = None,
    roles: Roles = "",
    subject: Annotated[
        str | None, typer.Option("--subject", help="The `sub` of its tokens; the key by default.", show_default=False)
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option("--issuer", help="The `iss` of its tokens; the settings' by default.", show_default=False),
    ] = None,
    disable: Annotated[bool, typer.Option("--disable", help="It may no longer act.")] = False,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Add a user, or change the one of this key. It counts from the next call on."""
    import anyio

    loaded = load(data_directory, env_file, client_id=client_id)

    async def run() -> None:
        from dataclasses import asdict

        from commission_mcp.app import open_operations, operator
        from commission_mcp.cli.token import token_issuer
        from commission_mcp.storage.audit import Act, on_record
        from commission_mcp.storage.users import User, set_user

        client = operator(loaded.settings).client_id
        of = issuer or token_issuer(loaded.settings)
        user = User(user_id, of, subject or user_id, roles_of(roles), active=not disable)
        facts: dict[str, object] = {**asdict(user), "roles": sorted(user.roles)}
        act = Act(os_user(), "user set", [client], facts)
        async with open_operations(loaded.settings) as connection, on_record(connection, act):
            await set_user(connection, client, user)
        typer.echo(f"{user_id} of {client}: {', '.join(sorted(user.roles))}", err=True)

    anyio.run(run)


@commands.command("list")
def list_(
    client_id: ClientOption = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """List the users of a client, or of all."""
    import anyio

    loaded = load(data_directory, env_file)

    async def run() -> None:
        from commission_mcp.app import open_operations
        from commission_mcp.client import Rows
        from commission_mcp.storage.users import list_users

        async with open_operations(loaded.settings) as connection:
            users = await list_users(connection, [client_id] if client_id else [])
        records = [
            {"client_id": client, **asdict(user), "roles": ",".join(sorted(user.roles))} for client, user in users
        ]
        print_rows([Rows.of_records(_COLUMNS, records)], form(as_json=as_json, as_csv=as_csv))

    anyio.run(run)
