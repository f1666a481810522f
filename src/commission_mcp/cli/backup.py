"""`commission-mcp backup` and `restore`: the embedded data directory as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commission_mcp.cli.options import DataDirectory, EnvFile, load, os_user
from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from commission_mcp.settings import Settings

File = Annotated[Path, typer.Argument(help="The backup.", metavar="FILE")]


def backup(file: File, data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """Write a backup of the data directory; its servers stand still while files are copied, for seconds.

    The file holds the directory's secrets: it is readable by you only, and whoever has it has the data.
    """
    import anyio

    settings = _embedded(load(data_directory, env_file).settings)

    async def run() -> None:
        from commission_mcp.cli.progress import bytes_progress
        from commission_mcp.embedded.backups import check_places, take_backup

        check_places(settings.data_directory, file.absolute())
        await _record(settings, "backup", {})  # before it, so that the backup knows of itself
        with bytes_progress("Compressing") as progress:
            made = await take_backup(settings.data_directory, file.absolute(), progress)
        typer.echo(f"{file}: {len(made.files)} files, {made.size_bytes / 2**20:.1f} MiB before compression.", err=True)

    anyio.run(run)
    for folder in (settings.documents_directory, settings.client_documents_directory):
        if not folder.is_relative_to(settings.data_directory):
            typer.echo(f"{folder} is not part of the data directory: back it up beside it.", err=True)


async def _record(settings: Settings, command: str, facts: dict[str, object]) -> None:
    """Put it on every client's trail, since a backup holds the data of all; nothing is brought up to date for it."""
    from commission_mcp.app import reach
    from commission_mcp.storage import operations
    from commission_mcp.storage.audit import Act, record_of_all

    async with reach(settings) as reached, operations(reached.address) as connection:
        await record_of_all(connection, Act(os_user(), command, [], facts))


def restore(file: File, data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """Make a data directory out of a backup. Nothing is overwritten, and every file's checksum is compared."""
    import anyio

    from commission_mcp.cli.progress import bytes_progress
    from commission_mcp.embedded.backups import restore_backup

    settings = _embedded(load(data_directory, env_file).settings)
    with bytes_progress("Restoring") as progress:
        made = restore_backup(file.absolute(), settings.data_directory, progress)
    told: dict[str, object] = {"made_at": made.made_at}
    anyio.run(_record, settings, "restore", told)
    typer.echo(f"{settings.data_directory}: as it was at {made.made_at}. Next: `commission-mcp doctor`.", err=True)


def _embedded(settings: Settings) -> Settings:
    if settings.postgres_url is None:
        return settings
    raise Refused(
        Problem(
            Code.SETTING,
            "The database is one of your own; this command is for the embedded one.",
            "Use its own means, such as pg_basebackup, and keep COMMISSION_MASTER_SECRET safe.",
            "COMMISSION_POSTGRES_URL",
        )
    )
