"""Importing a file: read, check everything, then write everything or nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from psycopg import errors, sql

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.imports.duplicates import check_duplicates, keep_first_lines
from commission_mcp.storage.imports.header import Header
from commission_mcp.storage.imports.master_checks import check_masters
from commission_mcp.storage.imports.masters import merge_masters
from commission_mcp.storage.imports.problems import Findings
from commission_mcp.storage.imports.references import Scope, check_references
from commission_mcp.storage.imports.sales import check_sales, merge_sales
from commission_mcp.storage.imports.spec import SPECS, Kind, Spec
from commission_mcp.storage.imports.staging import STAGED, Connection, Progress, stage

_SOURCE_SYSTEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_DROP = sql.SQL("DROP TABLE IF EXISTS pg_temp.import_staged, pg_temp.import_sale, pg_temp.import_stored")

_FILL_KEY = sql.SQL("UPDATE {} SET {key} = {made} WHERE {key} IS NULL")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        kind: The kind of rows.
        rows_read: Rows of the file, without the header and empty lines; a line that stands there twice counts twice.
        inserted: Rows that are new.
        updated: Rows that were there and are different now; of sales, where it is known now what was collected.
        unchanged: Rows that were there as they are.
    """

    kind: Kind
    rows_read: int
    inserted: int
    updated: int
    unchanged: int


async def import_rows(
    connection: Connection,
    client_id: str,
    kind: Kind,
    path: Path,
    *,
    source_system: str = "import",
    progress: Progress | None = None,
) -> Imported:
    """Import a file of one client's own data, all of it or, when anything in it is wrong, nothing.

    Importing the same file again changes nothing. Sales are facts: one that is there already may not change.

    Args:
        connection: A connection that may write the tables of every client.
        client_id: Whose rows they are.
        kind: What the rows are; `COLUMNS` says which columns each kind has.
        path: A .csv, .tsv, .txt or .xlsx file; of a workbook, the first sheet.
        source_system: Where sales come from: their source keys are unique within it.
        progress: Told the rows read so far, and of how many once that is known.

    Raises:
        Refused: Everything that is wrong with the file, each with its line, column and remedy.
    """
    spec, findings = SPECS[kind], Findings()
    async with connection.transaction():
        scope = await _scope(connection, kind, client_id, source_system)
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"commission-mcp import {client_id}"]
        )
        await connection.execute(_DROP)
        # Every question here is about whole files. Before the tables have statistics the planner takes them for small
        # and would look rows up one by one.
        await connection.execute("SET LOCAL enable_nestloop = off")
        await connection.execute("SET LOCAL work_mem = '64MB'")
        reader = await stage(connection, path, spec, findings, progress)
        if spec.default_key is not None:
            await connection.execute(
                _FILL_KEY.format(STAGED, key=sql.Identifier(spec.key), made=sql.SQL(spec.default_key))
            )
        await _check(connection, spec, reader.header, scope, findings)
        findings.refuse_if_any()
        imported = await _merge(connection, spec, reader.header, scope, reader.rows_read)
        await connection.execute(_DROP)
    return imported


async def _scope(connection: Connection, kind: Kind, client_id: str, source_system: str) -> Scope:
    """Whose data it is; refused when there is no such client."""
    if _SOURCE_SYSTEM.fullmatch(source_system) is None:
        fix = "Use up to 63 letters, digits, dots, hyphens and underscores, such as crm-eu."
        raise Refused(Problem(Code.ARGUMENT, "This is not the name of a source system.", fix, path="source_system"))
    cursor = await connection.execute("SELECT base_currency FROM cm.client WHERE client_id = %s", [client_id])
    row = await cursor.fetchone()
    if row is None:
        raise Refused(Problem(Code.CLIENT_UNKNOWN, "There is no such client.", "Add the client first.", "client_id"))
    return Scope(kind, client_id, source_system, row[0])


async def _check(connection: Connection, spec: Spec, header: Header, scope: Scope, findings: Findings) -> None:
    """Find everything that is wrong with the staged rows."""
    await check_references(connection, header, scope, findings)
    await check_duplicates(connection, spec, findings)
    if spec.kind is Kind.SALES:
        await check_sales(connection, scope, findings)
    else:
        await check_masters(connection, scope, findings)


async def _merge(connection: Connection, spec: Spec, header: Header, scope: Scope, rows_read: int) -> Imported:
    """Write the staged rows."""
    await keep_first_lines(connection, spec)
    cursor = await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(STAGED))
    distinct = await cursor.fetchone()
    try:
        if spec.kind is Kind.SALES:
            inserted, updated = await merge_sales(connection, scope)
        else:
            inserted, updated = await merge_masters(connection, header, scope)
    except (errors.UniqueViolation, errors.ExclusionViolation) as error:
        raise _passing_conflict(spec.kind) from error
    rows = 0 if distinct is None else int(distinct[0])
    return Imported(spec.kind, rows_read, inserted, updated, rows - inserted - updated)


def _passing_conflict(kind: Kind) -> Refused:
    """Rows that fit when all is done, but not one after the other: two of them exchange a name or their days."""
    message = f"Some {kind} take over a name or days that another row of the same file gives up."
    return Refused(
        Problem(Code.IMPORT_CONFLICT, message, "Import them in two files, one after the other.", path="file")
    )
