"""Master data: rows that are added, and updated where a file says something else.

A column that the file does not have stays as it is; a column that it has, with an empty cell, is emptied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import LiteralString

from psycopg import sql

from commission_mcp.storage.imports.header import Header
from commission_mcp.storage.imports.references import Scope, keys
from commission_mcp.storage.imports.spec import Kind, Refers
from commission_mcp.storage.imports.staging import STAGED, Connection


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table, the columns of the file that it is made from, and how."""

    name: LiteralString
    made_from: tuple[str, ...]
    expression: sql.SQL


@dataclass(frozen=True, slots=True)
class Table:
    """Where rows of a kind go: the table, its key, its other columns, and what cells may name."""

    name: LiteralString
    key: LiteralString
    fields: tuple[Field, ...]
    parents: Refers | None = None


def _same(*names: LiteralString) -> tuple[Field, ...]:
    """Columns that take a cell as it is."""
    return tuple(Field(name, (name,), sql.SQL("s." + name)) for name in names)


_PARENT = sql.SQL("(SELECT p.key FROM parents p WHERE p.name = s.parent)")
_TABLES: Mapping[Kind, Table] = MappingProxyType(
    {
        Kind.PAYEES: Table(
            "payee",
            "payee_id",
            (
                *_same("name", "email", "team", "job_role", "hired_on", "left_on", "bank_account", "salary", "tax_id"),
                *_same("user_id"),
                Field("currency", ("currency",), sql.SQL("coalesce(s.currency, %(base_currency)s)")),
            ),
        ),
        Kind.TERRITORIES: Table(
            "territory",
            "territory_id",
            (*_same("name"), Field("parent_id", ("parent",), _PARENT)),
            parents=Refers.TERRITORY,
        ),
        Kind.PRODUCTS: Table(
            "product",
            "product_id",
            (
                *_same("name"),
                Field("parent_id", ("parent",), _PARENT),
                Field("commissionable", ("commissionable",), sql.SQL("coalesce(s.commissionable, true)")),
            ),
            parents=Refers.PRODUCT,
        ),
        Kind.QUOTAS: Table(
            "quota",
            "source_key",
            (
                Field("payee_id", ("payee",), sql.SQL("s.payee")),
                *_same("measure", "amount", "currency"),
                Field("span", ("starts_on", "ends_on"), sql.SQL("daterange(s.starts_on, s.ends_on, '[]')")),
            ),
        ),
        Kind.UOMS: Table("uom", "uom", _same("name")),
        Kind.REPORTING_LINES: Table(
            "reports_to",
            "source_key",
            (
                Field("payee_id", ("payee",), sql.SQL("s.payee")),
                Field("manager_id", ("manager",), sql.SQL("s.manager")),
                Field("valid", ("valid_from", "valid_to"), sql.SQL("daterange(s.valid_from, s.valid_to, '[]')")),
            ),
        ),
    }
)
_INSERT = sql.SQL("""
WITH parents AS ({parents})
INSERT INTO {table} (client_id, {key}, {names})
SELECT %(client)s, s.{key}, {values} FROM {staged} s
WHERE NOT EXISTS (SELECT FROM {table} d WHERE d.client_id = %(client)s AND d.{key} = s.{key})
ORDER BY s.line
""")
_UPDATE = sql.SQL("""
WITH parents AS ({parents})
UPDATE {table} d SET ({names}) = ROW ({values})
FROM {staged} s
WHERE d.client_id = %(client)s AND d.{key} = s.{key} AND ({stored}) IS DISTINCT FROM ({values})
""")
_NO_PARENTS = sql.SQL("SELECT NULL AS name, NULL AS key WHERE false")


async def merge_masters(connection: Connection, header: Header, scope: Scope) -> tuple[int, int]:
    """Add what is new and update what is different; answers how many of each."""
    table = _TABLES[scope.kind]
    given = tuple(field for field in table.fields if all(header.has(name) for name in field.made_from))
    await connection.execute("SET CONSTRAINTS ALL DEFERRED")
    inserted = await connection.execute(_statement(_INSERT, scope.kind, table, table.fields), scope.values)
    updated = await connection.execute(_statement(_UPDATE, scope.kind, table, given), scope.values)
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return inserted.rowcount, updated.rowcount


def _statement(template: sql.SQL, kind: Kind, table: Table, fields: tuple[Field, ...]) -> sql.Composed:
    """Fill in a statement for these columns of the table."""
    parents = (
        _NO_PARENTS if table.parents is None else sql.SQL("SELECT * FROM {} known").format(keys(kind, table.parents))
    )
    return template.format(
        table=sql.Identifier("cm", table.name),
        key=sql.Identifier(table.key),
        names=sql.SQL(", ").join(sql.Identifier(field.name) for field in fields),
        stored=sql.SQL(", ").join(sql.Identifier("d", field.name) for field in fields),
        values=sql.SQL(", ").join(field.expression for field in fields),
        staged=STAGED,
        parents=parents,
    )
