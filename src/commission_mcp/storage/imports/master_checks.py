"""Rules over master data as it will stand: names once, trees without a circle, quotas without overlap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from psycopg import sql

from commission_mcp.errors import Code
from commission_mcp.storage.imports.cells import shown
from commission_mcp.storage.imports.problems import LISTED_MAX, Finding, Findings
from commission_mcp.storage.imports.references import Scope, keys
from commission_mcp.storage.imports.spec import Kind, Refers
from commission_mcp.storage.imports.staging import STAGED, Connection


@dataclass(frozen=True, slots=True)
class Check:
    """A statement that answers (line, cell, other, total), and what its rows mean."""

    statement: sql.Composed
    column: str
    message: str
    fix: str


# The rows of the file, and the stored rows that the file does not replace, by line or as 'stored'.
_NAME_TAKEN = sql.SQL("""
WITH future AS (
  SELECT DISTINCT ON (s.{key}) s.line, s.{key} AS key, s.name FROM {staged} s WHERE s.sound ORDER BY s.{key}, s.line
),
named AS (
  SELECT f.line, f.key, f.name FROM future f
  UNION ALL
  SELECT NULL, d.{key}, d.name FROM {table} d
  WHERE d.client_id = %(client)s AND d.{key} NOT IN (SELECT f.key FROM future f)
)
SELECT a.line, a.name, min(b.key), count(*) OVER ()
FROM future a JOIN named b ON b.name = a.name AND b.key <> a.key
GROUP BY a.line, a.name ORDER BY a.line LIMIT {listed}
""")
_CIRCLE = sql.SQL("""
WITH RECURSIVE future AS MATERIALIZED (
  SELECT s.line, s.{key} AS key, p.key AS parent
  FROM (SELECT DISTINCT ON ({key}) * FROM {staged} WHERE sound ORDER BY {key}, line) s
  LEFT JOIN {parents} p ON p.name = s.parent
  UNION ALL
  SELECT NULL, d.{key}, d.parent_id FROM {table} d
  WHERE d.client_id = %(client)s AND NOT EXISTS (SELECT FROM {staged} s WHERE s.sound AND s.{key} = d.{key})
),
climb AS (
  SELECT line, key AS start, key, parent FROM future WHERE line IS NOT NULL
  UNION
  SELECT c.line, c.start, f.key, f.parent FROM climb c JOIN future f ON f.key = c.parent
)
SELECT line, start, min(key), count(*) OVER () FROM climb WHERE parent = start
GROUP BY line, start ORDER BY line LIMIT {listed}
""")
_OVERLAP = sql.SQL("""
WITH future AS MATERIALIZED (
  SELECT DISTINCT ON (s.source_key) s.line, s.source_key, s.payee, s.measure,
         daterange(s.starts_on, s.ends_on, '[]') AS span
  FROM {staged} s WHERE s.sound ORDER BY s.source_key, s.line
),
all_quotas AS (
  SELECT f.line, f.source_key, f.payee, f.measure, f.span FROM future f
  UNION ALL
  SELECT NULL, d.source_key, d.payee_id, d.measure, d.span FROM cm.quota d
  WHERE d.client_id = %(client)s AND NOT EXISTS (SELECT FROM future f WHERE f.source_key = d.source_key)
)
SELECT a.line, a.source_key, min(b.source_key), count(*) OVER ()
FROM future a
JOIN all_quotas b ON b.payee = a.payee AND b.measure = a.measure AND b.span && a.span AND b.source_key <> a.source_key
GROUP BY a.line, a.source_key ORDER BY a.line LIMIT {listed}
""")
_TWO_MANAGERS = sql.SQL("""
{lines}
SELECT a.line, a.payee, min(b.manager), count(*) OVER ()
FROM future a JOIN lines b ON b.payee = a.payee AND b.valid && a.valid AND b.source_key IS DISTINCT FROM a.source_key
GROUP BY a.line, a.payee ORDER BY a.line LIMIT {listed}
""")
# A chain holds on the days on which all of its lines do.
_OWN_MANAGER = sql.SQL("""
{lines},
climb AS (
  SELECT f.line, f.payee AS start, f.manager AS at, f.valid FROM future f
  UNION
  SELECT c.line, c.start, l.manager, c.valid * l.valid FROM climb c
  JOIN lines l ON l.payee = c.at AND l.valid && c.valid WHERE c.at <> c.start
)
SELECT line, start, min(lower(valid))::text, count(*) OVER () FROM climb WHERE at = start
GROUP BY line, start ORDER BY line LIMIT {listed}
""")
_REPORTING_LINES = sql.SQL("""
WITH RECURSIVE future AS MATERIALIZED (
  SELECT DISTINCT ON (s.source_key) s.line, s.source_key, s.payee, s.manager,
         daterange(s.valid_from, s.valid_to, '[]') AS valid
  FROM {staged} s WHERE s.sound ORDER BY s.source_key, s.line
),
lines AS MATERIALIZED (
  SELECT f.line, f.source_key, f.payee, f.manager, f.valid FROM future f
  UNION ALL
  SELECT NULL, d.source_key, d.payee_id, d.manager_id, d.valid FROM cm.reports_to d
  WHERE d.client_id = %(client)s AND NOT EXISTS (SELECT FROM future f WHERE f.source_key = d.source_key)
)""").format(staged=STAGED)


def _tree_checks(kind: Kind, refers: Refers, table: sql.Identifier, key: sql.Identifier) -> tuple[Check, ...]:
    """The checks of a tree of named things."""
    listed = sql.Literal(LISTED_MAX)
    return (
        Check(
            _NAME_TAKEN.format(key=key, table=table, staged=STAGED, listed=listed),
            "name",
            "The name {cell} is also that of {other}",
            "Give each its own name",
        ),
        Check(
            _CIRCLE.format(key=key, table=table, staged=STAGED, listed=listed, parents=keys(kind, refers)),
            "parent",
            "{cell} is above itself, by way of {other}",
            "Leave the parent of one of them empty",
        ),
    )


_CHECKS: Mapping[Kind, tuple[Check, ...]] = MappingProxyType(
    {
        Kind.TERRITORIES: _tree_checks(
            Kind.TERRITORIES, Refers.TERRITORY, sql.Identifier("cm", "territory"), sql.Identifier("territory_id")
        ),
        Kind.PRODUCTS: _tree_checks(
            Kind.PRODUCTS, Refers.PRODUCT, sql.Identifier("cm", "product"), sql.Identifier("product_id")
        ),
        Kind.QUOTAS: (
            Check(
                _OVERLAP.format(staged=STAGED, listed=sql.Literal(LISTED_MAX)),
                "starts_on",
                "Quota {cell} covers days of quota {other} of the same payee and measure",
                "Let them cover different days",
            ),
        ),
        Kind.REPORTING_LINES: (
            Check(
                _TWO_MANAGERS.format(lines=_REPORTING_LINES, listed=sql.Literal(LISTED_MAX)),
                "valid_from",
                "{cell} has another manager, {other}, on some of these days",
                "One manager at a time: end the other line on the day before",
            ),
            Check(
                _OWN_MANAGER.format(lines=_REPORTING_LINES, listed=sql.Literal(LISTED_MAX)),
                "manager",
                "{cell} would be above himself from {other} on",
                "Correct who is above whom",
            ),
        ),
    }
)


async def check_masters(connection: Connection, scope: Scope, findings: Findings) -> None:
    """Find the rows that break a rule over the table as a whole."""
    for check in _CHECKS.get(scope.kind, ()):
        statement = check.statement
        found = await (await connection.execute(statement, scope.values)).fetchall()
        page = [
            Finding(
                line,
                check.column,
                Code.IMPORT_CONFLICT,
                check.message.format(cell=shown(cell), other=shown(other)),
                check.fix,
            )
            for line, cell, other, _ in found
        ]
        findings.add_page(page, total=found[0][3] if found else 0)
