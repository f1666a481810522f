"""`commission-mcp audit verify|heads|export|prune`: is the trail whole, what does it say, and how long is it kept."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commission_mcp.cli.options import ClientOption, DataDirectory, EnvFile, load, os_user
from commission_mcp.errors import Code, Problem, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from commission_mcp.storage import Administration
    from commission_mcp.storage.audit import Head, Pruned, Verdict, Walk

commands = typer.Typer(help="Prove the audit trail whole, export it, remove old entries.", no_args_is_help=True)

_BROKEN_EXIT = 1


@commands.command("verify")
def verify(
    heads: Annotated[
        Path | None,
        typer.Option("--heads", help="A file that `audit heads` wrote earlier, kept elsewhere.", show_default=False),
    ] = None,
    archive: Annotated[
        list[Path] | None,
        typer.Option("--archive", help="A file that `audit prune` wrote; repeatable.", show_default=False),
    ] = None,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Read every trail from its first entry and check its chain of hashes; exit code 1 when one is broken.

    Where entries were removed, it goes on from their sealed checkpoint. With heads that were exported earlier it also
    shows when a whole trail was rewritten; heads of removed entries need their archive.
    """
    import anyio

    loaded = load(data_directory, env_file)
    kept = [] if heads is None else _read_heads(heads)

    async def run() -> int:
        from commission_mcp.app import open_trails
        from commission_mcp.storage.audit import SEALING
        from commission_mcp.storage.audit import verify as verify_trails

        async with open_trails(loaded.settings) as (connection, credentials):
            walks = [await _walk(connection, file, kept) for file in archive or ()]
            verdicts = await verify_trails(connection, credentials.sealing_key(SEALING), kept, walks)
        for file, walk in zip(archive or (), walks, strict=True):
            typer.echo(f"{file}: {_said_of_archive(walk)}")
        for verdict in verdicts:
            typer.echo(f"{verdict.client_id}: {_said(verdict)}")
        broken = any(verdict.fault for verdict in verdicts) or any(walk.fault for walk in walks)
        return _BROKEN_EXIT if broken else 0

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
        from commission_mcp.storage.audit import Act, export_entries, line_of, on_record

        client = operator(loaded.settings).client_id
        async with open_operations(loaded.settings) as connection:
            async for entry in export_entries(connection, client):
                sys.stdout.write(line_of(entry).decode())
            async with on_record(connection, Act(os_user(), "audit export", [client])):
                pass

    anyio.run(run)


@commands.command("prune")
def prune(
    before: Annotated[
        datetime | None,
        typer.Option(
            "--before", formats=["%Y-%m-%d"], help="Remove what is older than this day (UTC).", show_default=False
        ),
    ] = None,
    client_id: ClientOption = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", help="The folder for an archive of what is removed.", show_default=False),
    ] = None,
    discard: Annotated[bool, typer.Option("--discard", help="Keep no archive of what is removed.")] = False,
    data_directory: DataDirectory = None,
    env_file: EnvFile = None,
) -> None:
    """Remove old entries of a client's audit trail, or of all; what is left stays provable from a sealed checkpoint.

    Without --before, what the retention of each client says; clients without one keep their entries for good. The
    client's compliance level sets the least: standard a year, premium three, enterprise seven. A trail that is not
    whole is left as it is.
    """
    import anyio

    if (export is None) != discard:
        message = "Say what becomes of the entries that are removed."
        raise Refused(Problem(Code.ARGUMENT, message, "Give --export FOLDER, or --discard.", "--export"))
    loaded = load(data_directory, env_file)
    day = None if before is None else before.date()

    async def run() -> None:
        from commission_mcp.app import open_trails
        from commission_mcp.storage.audit import SEALING
        from commission_mcp.storage.audit import prune as prune_trail

        async with open_trails(loaded.settings) as (connection, credentials):
            key = credentials.sealing_key(SEALING)
            for cut in await _cuts(connection, client_id, day, loaded.settings.audit_retention_days):
                done = await prune_trail(connection, key, os_user(), cut, export)
                typer.echo(f"{cut[0]}: {_said_of_pruning(done, cut[1])}", err=True)

    anyio.run(run)


async def _cuts(
    connection: Administration, client_id: str | None, day: date | None, of_installation: int | None
) -> list[tuple[str, date]]:
    """Each client and the day before which its entries go; a refusal is on record."""
    from commission_mcp.storage.audit import Act, record_refusal, retentions, to_remove

    today, kept = await retentions(connection, client_id, of_installation)
    if client_id is not None and not kept:
        fix = "`commission-mcp client list` shows the clients."
        raise Refused(Problem(Code.CLIENT_UNKNOWN, f"There is no trail of {client_id!r}.", fix, "--client"))
    try:
        return to_remove(today, kept, day)
    except Refused as refused:
        act = Act(os_user(), "audit prune", [each.client_id for each in kept], {"before": day})
        await record_refusal(connection, act, refused)
        raise


async def _walk(connection: Administration, file: Path, kept: Sequence[Head]) -> Walk:
    """The way along an archive, beside the checkpoints and the heads that are known."""
    from commission_mcp.storage.audit import checkpoints, heads, read_archive

    begins: dict[tuple[str, int], bytes] = {}
    known: dict[str, dict[int, str]] = {}
    for client_id in {head.client_id for head in await heads(connection)}:
        cuts = await checkpoints(connection, client_id)
        begins |= {(client_id, cut.seq): cut.sha256 for cut in cuts}
        known[client_id] = {head.seq: head.sha256 for head in kept if head.client_id == client_id}
        known[client_id] |= {cut.seq: cut.sha256.hex() for cut in cuts}
    return read_archive(file, begins, known)


def _said(verdict: Verdict) -> str:
    if verdict.fault is not None:
        return f"BROKEN at entry {verdict.fault.seq}: {verdict.fault.reason}"
    removed = f", after {verdict.removed} that were removed" if verdict.removed else ""
    unproven = ", ".join(map(str, verdict.open_heads))
    further = f"; heads {unproven} are of removed entries: give their --archive" if unproven else ""
    return f"{verdict.entries} entries, whole{removed}{further}"


def _said_of_archive(walk: Walk) -> str:
    if walk.fault is not None:
        return f"BROKEN at entry {walk.fault.seq}: {walk.fault.reason}"
    return f"entries up to {walk.seq} of {walk.client_id}, whole"


def _said_of_pruning(done: Pruned | None, day: date) -> str:
    if done is None:
        return f"nothing before {day}"
    kept = "no archive" if done.archive is None else f"archive {done.archive.file}"
    return f"entries {done.checkpoint.first_seq} to {done.checkpoint.seq} removed, {kept}"


def _read_heads(path: Path) -> list[Head]:
    import orjson

    from commission_mcp.storage.audit import Head

    try:
        lines = path.read_text("utf-8").splitlines()
        return [Head(**orjson.loads(line)) for line in lines if line.strip()]
    except (OSError, ValueError, TypeError):
        fix = "Name a file that `commission-mcp audit heads` wrote."
        raise Refused(Problem(Code.ARGUMENT, f"No heads can be read from {str(path)!r}.", fix, "--heads")) from None
