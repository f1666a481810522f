"""`commission-mcp audit verify|heads|export`: is the trail whole, and what does it say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commission_mcp.cli.options import ClientOption, DataDirectory, EnvFile, load
from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from commission_mcp.storage.audit import Head, Recorded

commands = typer.Typer(help="Prove the audit trail whole, or export it.", no_args_is_help=True)

_BROKEN_EXIT = 1


@commands.command("verify")
def verify(
    heads: Annotated[
        Path | None,
        typer.Option("--heads", help="A file that `audit heads` wrote earlier, kept elsewhere.", show_default=False),
    ] = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Read every trail from its first entry and check its chain of hashes; exit code 1 when one is broken.

    With heads that were exported earlier it also shows when a whole trail was rewritten.
    """
    import anyio

    loaded = load(data_directory, env_file)
    kept = [] if heads is None else _read_heads(heads)

    async def run() -> int:
        from commission_mcp.app import open_operations
        from commission_mcp.storage.audit import verify as verify_trails

        async with open_operations(loaded.settings) as connection:
            counts, breaks = await verify_trails(connection, kept)
        broken = {each.client_id: each for each in breaks}
        for client_id, count in counts.items():
            if client_id in broken:
                typer.echo(f"{client_id}: BROKEN at entry {broken[client_id].seq}: {broken[client_id].reason}")
            else:
                typer.echo(f"{client_id}: {count} entries, whole")
        return _BROKEN_EXIT if breaks else 0

    sys.exit(anyio.run(run))


@commands.command("heads")
def heads(data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """Write the last number and hash of each trail, as JSON lines. Keep them away from its administrators."""
    import anyio
    import orjson

    loaded = load(data_directory, env_file)

    async def run() -> None:
        from commission_mcp.app import open_operations
        from commission_mcp.storage.audit import heads as read_heads

        async with open_operations(loaded.settings) as connection:
            for head in await read_heads(connection):
                typer.echo(orjson.dumps(head).decode())

    anyio.run(run)


@commands.command("export")
def export(client_id: ClientOption = None, data_directory: DataDirectory = None, env_file: EnvFile = None) -> None:
    """Write a client's trail as JSON lines, oldest first, each with its hash."""
    import anyio

    loaded = load(data_directory, env_file, client_id=client_id)

    async def run() -> None:
        from commission_mcp.app import open_operations, operator
        from commission_mcp.storage.audit import export_entries

        client = operator(loaded.settings).client_id
        async with open_operations(loaded.settings) as connection:
            async for entry in export_entries(connection, client):
                sys.stdout.write(_line(entry))

    anyio.run(run)


def _line(recorded: Recorded) -> str:
    from dataclasses import asdict

    import orjson

    content = {"seq": recorded.seq, "at": recorded.time, **asdict(recorded.entry), "sha256": recorded.sha256.hex()}
    return f"{orjson.dumps(content).decode()}\n"


def _read_heads(path: Path) -> list[Head]:
    import orjson

    from commission_mcp.storage.audit import Head

    try:
        lines = path.read_text("utf-8").splitlines()
        return [Head(**orjson.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, TypeError):
        fix = "Name a file that `commission-mcp audit heads` wrote."
        raise Refused(Problem(Code.ARGUMENT, f"No heads can be read from {str(path)!r}.", fix, "--heads")) from None
