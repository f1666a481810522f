"""The staging table: the rows of a file as they were read, in a table that lives as long as the transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from anyio import to_thread
from psycopg import AsyncConnection, sql

from commission_mcp.storage.imports.cells import Shares, Value
from commission_mcp.storage.imports.problems import Findings
from commission_mcp.storage.imports.rows import Reader, Staged
from commission_mcp.storage.imports.spec import Column, Spec

Connection: TypeAlias = AsyncConnection[Any]
Progress: TypeAlias = Callable[[int, int | None], None]

CHUNK_ROWS = 5000
STAGED = sql.Identifier("pg_temp", "import_staged")


async def stage(
    connection: Connection, path: Path, spec: Spec, findings: Findings, progress: Progress | None
) -> Reader:
    """Read a whole file into the staging table, chunk by chunk.

    Every column of the kind is there, null where the file has none, besides `line` and `sound`. Rows with a refused
    cell are staged too, so that their other cells are checked in the same pass.
    """
    reader = await to_thread.run_sync(Reader, path, spec, findings)
    try:
        await _create(connection, spec)
        await _fill(connection, reader, progress)
    finally:
        await to_thread.run_sync(reader.close)
    await connection.execute(sql.SQL("ANALYZE {}").format(STAGED))
    return reader


async def _create(connection: Connection, spec: Spec) -> None:
    """Make the empty staging table."""
    columns = sql.SQL(", ").join(_definition(column) for column in spec.columns)
    statement = sql.SQL("CREATE TEMPORARY TABLE import_staged (line int NOT NULL, sound boolean NOT NULL, {columns})")
    await connection.execute(statement.format(columns=columns))


async def _fill(connection: Connection, reader: Reader, progress: Progress | None) -> None:
    """Copy the rows of the file."""
    names = sql.SQL(", ").join(_target(column) for column in reader.header.columns)
    statement = sql.SQL("COPY {staged} (line, sound, {names}) FROM STDIN").format(staged=STAGED, names=names)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        while rows := await to_thread.run_sync(reader.chunk, CHUNK_ROWS):
            for row in rows:
                await copy.write_row((row.line, row.sound, *_copied(reader.header.columns, row)))
            if progress is not None:
                progress(reader.rows_read, None)
    if progress is not None:
        progress(reader.rows_read, reader.rows_read)


def _definition(column: Column) -> sql.Composable:
    """The columns in which a column of the file is staged: fractions lie beside the payees they belong to."""
    if column.name == "credits":
        return sql.SQL("credits text[], fractions numeric[]")
    return sql.SQL("{name} {type}").format(name=sql.Identifier(column.name), type=sql.SQL(column.sql_type))


def _target(column: Column) -> sql.Composable:
    return sql.SQL("credits, fractions") if column.name == "credits" else sql.Identifier(column.name)


def _copied(columns: Iterable[Column], row: Staged) -> Iterable[Value | list[str] | None]:
    """The values of a row as COPY takes them."""
    for column, value in zip(columns, row.values, strict=True):
        if isinstance(value, Shares):
            yield list(value.payees)
            yield list(value.fractions)
        elif column.name == "credits":
            yield None
            yield None
        else:
            yield value
