"""`commission-mcp mask set|clear|list`: which readers of a client see its personal columns."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import typer

from commission_mcp.cli.options import ClientOption, DataDirectory, EnvFile, load, os_user

commands = typer.Typer(help="Which readers see a client's personal columns.", no_args_is_help=True)

Column: TypeAlias = Annotated[str, typer.Argument(help="Such as payees.email.", metavar="COLUMN")]
Readers: TypeAlias = Annotated[
    Literal["masked", "clear"],
    typer.Option("--for", help="masked: readers without the role finance; clear: those with it."),
]


@commands.command("set")
def set_(
    column: Column,
    readers: Readers,
    show: Annotated[bool, typer.Option("--show/--hide", help="Whether they see the values.")],
    client_id: ClientOption = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Show a column to a class of readers, or hide it from them, whatever the default. Counts from the next call on."""
    import anyio

    loaded = load(data_directory, env_file, client_id=client_id)

    async def run() -> None:
        from commission_mcp.app import open_operations, operator
        from commission_mcp.domain.caller import MaskingClass
        from commission_mcp.storage.audit import Act, on_record
        from commission_mcp.storage.masks import MaskRule, set_mask_rule

        client = operator(loaded.settings).client_id
        rule = MaskRule(client, column, MaskingClass(readers), show)
        act = Act(os_user(), "mask set", [client], {"column": column[:128], "for": readers, "visible": show})
        async with open_operations(loaded.settings) as connection, on_record(connection, act):
            await set_mask_rule(connection, rule)
        typer.echo(f"{column} of {client}: {'shown to' if show else 'hidden from'} the class {readers}", err=True)

    anyio.run(run)


@commands.command("clear")
def clear(
    column: Column,
    readers: Readers,
    client_id: ClientOption = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Drop a client's own rule, so that the default counts: hidden from the class masked, shown to clear."""
    import anyio

    loaded = load(data_directory, env_file, client_id=client_id)

    async def run() -> None:
        from commission_mcp.app import open_operations, operator
        from commission_mcp.domain.caller import MaskingClass
        from commission_mcp.storage.audit import Act, on_record
        from commission_mcp.storage.masks import clear_mask_rule

        client = operator(loaded.settings).client_id
        act = Act(os_user(), "mask clear", [client], {"column": column[:128], "for": readers})
        async with open_operations(loaded.settings) as connection, on_record(connection, act):
            found = await clear_mask_rule(connection, client, column, MaskingClass(readers))
        typer.echo(f"{column} of {client}: {'the default counts' if found else 'there was no rule'}", err=True)

    anyio.run(run)


@commands.command("list")
def list_(client_id: ClientOption = None, data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """List a client's own rules."""
    import anyio

    loaded = load(data_directory, env_file, client_id=client_id)

    async def run() -> None:
        from commission_mcp.app import open_operations, operator
        from commission_mcp.storage.masks import mask_rules

        async with open_operations(loaded.settings) as connection:
            for rule in await mask_rules(connection, operator(loaded.settings).client_id):
                typer.echo(f"{rule.column} {'shown to' if rule.visible else 'hidden from'} {rule.masking}")

    anyio.run(run)
