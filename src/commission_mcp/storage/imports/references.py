"""Cells that name something: a territory, a payee, a currency. What they name must be there, and the client's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from anyio import to_thread
from psycopg import sql

from commission_mcp.errors import Code
from commission_mcp.storage.imports.cells import shown
from commission_mcp.storage.imports.header import Header
from commission_mcp.storage.imports.problems import LISTED_MAX, Finding, Findings
from commission_mcp.storage.imports.spec import Column, Kind, Refers
from commission_mcp.storage.imports.staging import STAGED, Connection

_NAMES_COMPARED_MAX = 5000
_SUGGESTED_MAX = 50

# Every name that a cell may use, and the key it stands for; a key goes before a name that is spelled the same.
_KNOWN: Mapping[Refers, sql.SQL] = MappingProxyType(
    {
        Refers.CURRENCY: sql.SQL("SELECT code AS name, code AS key, 0 AS rank FROM cm.currency"),
        Refers.UOM: sql.SQL("SELECT uom AS name, uom AS key, 0 AS rank FROM cm.uom WHERE client_id = %(client)s"),
        Refers.PAYEE: sql.SQL(
            "SELECT payee_id AS name, payee_id AS key, 0 AS rank FROM cm.payee WHERE client_id = %(client)s"
        ),
        Refers.USER: sql.SQL(
            "SELECT user_id AS name, user_id AS key, 0 AS rank FROM cm.app_user WHERE client_id = %(client)s"
        ),
        Refers.TERRITORY: sql.SQL(
            "SELECT territory_id AS name, territory_id AS key, 0 AS rank FROM cm.territory WHERE client_id = %(client)s"
            " UNION ALL SELECT name, territory_id, 3 FROM cm.territory WHERE client_id = %(client)s"
        ),
        Refers.PRODUCT: sql.SQL(
            "SELECT product_id AS name, product_id AS key, 0 AS rank FROM cm.product WHERE client_id = %(client)s"
            " UNION ALL SELECT name, product_id, 3 FROM cm.product WHERE client_id = %(client)s"
        ),
        Refers.SALE: sql.SQL(
            "SELECT source_key AS name, sale_id AS key, 0 AS rank FROM cm.sale "
            "WHERE client_id = %(client)s AND source_system = %(source_system)s"
        ),
    }
)
# What a file may name of its own rows: a parent that stands further down, a sale that a later row reverses.
_OWN: Mapping[Kind, tuple[Refers, sql.SQL]] = MappingProxyType(
    {
        Kind.TERRITORIES: (
            Refers.TERRITORY,
            sql.SQL(
                "SELECT territory_id, territory_id, 1 FROM pg_temp.import_staged "
                "UNION ALL SELECT name, territory_id, 2 FROM pg_temp.import_staged"
            ),
        ),
        Kind.PRODUCTS: (
            Refers.PRODUCT,
            sql.SQL(
                "SELECT product_id, product_id, 1 FROM pg_temp.import_staged "
                "UNION ALL SELECT name, product_id, 2 FROM pg_temp.import_staged"
            ),
        ),
        Kind.SALES: (
            Refers.SALE,
            sql.SQL(
                "SELECT source_key, coalesce(sale_id, %(source_system)s || ':' || source_key), 1 "
                "FROM pg_temp.import_staged"
            ),
        ),
    }
)
_GENERAL_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        Refers.CURRENCY: "Write an ISO 4217 code, such as USD",
        Refers.SALE: "Write the source_key of a sale in this file or imported before",
    }
)
_KEY_OF = sql.SQL(
    "(SELECT DISTINCT ON (names.name) names.name, names.key FROM ({known}) names "
    "WHERE names.name IS NOT NULL ORDER BY names.name, names.rank, names.key)"
)
_MARK_UNKNOWN = sql.SQL("""
WITH known AS MATERIALIZED {known},
unknown AS (
  SELECT DISTINCT s.line, v.name
  FROM {staged} s CROSS JOIN LATERAL unnest({named}) v (name) LEFT JOIN known k ON k.name = v.name
  WHERE v.name IS NOT NULL AND k.name IS NULL
),
marked AS (UPDATE {staged} s SET sound = false FROM unknown u WHERE u.line = s.line)
SELECT line, name, count(*) OVER () FROM unknown ORDER BY line, name LIMIT {listed}
""")


@dataclass(frozen=True, slots=True)
class Scope:
    """What is imported, whose it is, and where it comes from: what every statement of an import is bound to."""

    kind: Kind
    client_id: str
    source_system: str
    base_currency: str

    @property
    def values(self) -> dict[str, str]:
        """The values of the placeholders."""
        return {"client": self.client_id, "source_system": self.source_system, "base_currency": self.base_currency}


def keys(kind: Kind, refers: Refers) -> sql.Composed:
    """A subquery (name, key) of everything that a cell of this kind of file may name."""
    known: sql.Composable = _KNOWN[refers]
    own = _OWN.get(kind)
    if own is not None and own[0] is refers:
        known = sql.SQL("{known} UNION ALL {own}").format(known=known, own=own[1])
    return _KEY_OF.format(known=known)


async def check_references(connection: Connection, header: Header, scope: Scope, findings: Findings) -> None:
    """Find the cells that name nothing, and mark their rows unsound."""
    for column in header.columns:
        if column.refers is not None:
            known = keys(scope.kind, column.refers)
            await _check_column(connection, column, known, scope, findings)


async def _check_column(
    connection: Connection, column: Column, known: sql.Composed, scope: Scope, findings: Findings
) -> None:
    """Find the cells of one column that name nothing."""
    cell = sql.Identifier("s", column.name)
    named = cell if column.name == "credits" else sql.SQL("ARRAY[{}]").format(cell)
    statement = _MARK_UNKNOWN.format(known=known, staged=STAGED, named=named, listed=sql.Literal(LISTED_MAX))
    unknown = await (await connection.execute(statement, scope.values)).fetchall()
    if not unknown:
        return
    statement = sql.SQL("SELECT k.name FROM {known} k ORDER BY k.name LIMIT {most}").format(
        known=known, most=sql.Literal(_NAMES_COMPARED_MAX)
    )
    names = [name for (name,) in await (await connection.execute(statement, scope.values)).fetchall()]
    advice = await to_thread.run_sync(_advice, str(column.refers), [name for _, name, _ in unknown], names)
    page = [
        Finding(line, column.name, Code.IMPORT_REFERENCE, f"There is no {column.refers} {shown(name)}", advice[name])
        for line, name, _ in unknown
    ]
    findings.add_page(page, total=unknown[0][2])


def _advice(what: str, wrong: list[str], names: list[str]) -> dict[str, str]:
    """What to do about each unknown name; the likeness of only so many is worth the time."""
    by_folded = {name.casefold(): name for name in names}
    distinct = list(dict.fromkeys(wrong))
    advice = dict.fromkeys(distinct, _GENERAL_ADVICE.get(what, f"Add the {what} first, or write one that exists"))
    for name in distinct[:_SUGGESTED_MAX]:
        near = get_close_matches(name.casefold(), list(by_folded), n=3)
        if near:
            advice[name] = f"Did you mean {', '.join(by_folded[match] for match in near)}?"
    return advice
