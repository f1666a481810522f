"""Loading the demo's rows into a client that was just added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from anyio import to_thread
from psycopg import AsyncConnection, sql

from commission_mcp.storage.demo.abc_industries import ABC_INDUSTRIES
from commission_mcp.storage.demo.clients import DemoClient
from commission_mcp.storage.demo.company import Company
from commission_mcp.storage.demo.meridian_europe import MERIDIAN_EUROPE
from commission_mcp.storage.demo.paying import lines
from commission_mcp.storage.demo.plan_tables import plan_rows
from commission_mcp.storage.demo.result_tables import result_rows
from commission_mcp.storage.demo.sakura_trading import SAKURA_TRADING
from commission_mcp.storage.demo.selling import sales
from commission_mcp.storage.demo.tables import Rows, masters, sold

Connection: TypeAlias = AsyncConnection[Any]

_COMPANIES: Mapping[str, Company] = MappingProxyType(
    {company.client.client_id: company for company in (ABC_INDUSTRIES, MERIDIAN_EUROPE, SAKURA_TRADING)}
)


async def load_demo_rows(connection: Connection, client: DemoClient) -> dict[str, int]:
    """Fill a demo client; answers how many rows each table got.

    A client that has sales already is left as it is, and the answer is empty. The rows are written in the caller's
    transaction, or in one of their own: all of them or none.
    """
    async with connection.transaction():
        cursor = await connection.execute("SELECT FROM cm.sale WHERE client_id = %s LIMIT 1", [client.client_id])
        if await cursor.fetchone() is not None:
            return {}
        tables = await to_thread.run_sync(lambda: list(_tables(_COMPANIES[client.client_id])))
        return {rows.table: await _write(connection, client.client_id, rows) for rows in tables}


def _tables(company: Company) -> Iterator[Rows]:
    """All rows of a company."""
    made = sales(company)
    yield from masters(company)
    yield from sold(company, made)
    yield from plan_rows(company)
    yield from result_rows(company, list(lines(company, made)))


async def _write(connection: Connection, client_id: str, rows: Rows) -> int:
    """Write the rows of a table, in one statement as its triggers want it."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in ("client_id", *rows.columns))
    table = sql.Identifier("cm", rows.table)
    if rows.may_exist:
        return await _add_missing(connection, client_id, rows)
    async with connection.cursor() as cursor:
        statement = sql.SQL("COPY {table} ({columns}) FROM STDIN").format(table=table, columns=columns)
        async with cursor.copy(statement) as copy:
            for row in rows.rows:
                await copy.write_row((client_id, *row))
        return cursor.rowcount


async def _add_missing(connection: Connection, client_id: str, rows: Rows) -> int:
    """Write the rows that are not there yet."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in ("client_id", *rows.columns))
    values = sql.SQL(", ").join([sql.Placeholder()] * (len(rows.columns) + 1))
    statement = sql.SQL("INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING").format(
        table=sql.Identifier("cm", rows.table), columns=columns, values=values
    )
    async with connection.cursor() as cursor:
        await cursor.executemany(statement, [(client_id, *row) for row in rows.rows])
        return cursor.rowcount
