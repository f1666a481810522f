"""`commission-mcp mask set|clear|list`: which readers of a client see its personal columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from commission_mcp.cli.options import ClientOption, DataDirectory, EnvFile, load, os_user

if TYPE_CHECKING:
    from commission_mcp.settings import Settings

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
    _change(column, readers, visible=show, settings=load(data_directory, env_file, client_id=client_id).settings)


@commands.command("clear")
def clear(
    column: Column,
    readers: Readers,
    client_id: ClientOption = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Drop a client's own rule, so that the default counts: hidden from the class masked, shown to clear."""
    _change(column, readers, visible=None, settings=load(data_directory, env_file, client_id=client_id).settings)


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


def _change(column: str, readers: str, *, visible: bool | None, settings: Settings) -> None:
    """Set the rule, or drop it where `visible` is None, on record."""
    import anyio

    async def run() -> str:
        from commission_mcp.app import open_operations, operator
        from commission_mcp.domain.caller import MaskingClass
        from commission_mcp.storage.audit import Act, on_record
        from commission_mcp.storage.masks import MaskRule, clear_mask_rule, set_mask_rule

        client, masking = operator(settings).client_id, MaskingClass(readers)
        facts: dict[str, object] = {"column": column[:128], "for": readers}
        command = "mask clear" if visible is None else "mask set"
        act = Act(os_user(), command, [client], facts if visible is None else {**facts, "visible": visible})
        async with open_operations(settings) as connection, on_record(connection, act):
            if visible is None:
                found = await clear_mask_rule(connection, client, column, masking)
                return f"{column} of {client}: {'the default counts' if found else 'there was no rule'}"
            await set_mask_rule(connection, MaskRule(client, column, masking, visible))
        return f"{column} of {client}: {'shown to' if visible else 'hidden from'} the class {readers}"

    typer.echo(anyio.run(run), err=True)
