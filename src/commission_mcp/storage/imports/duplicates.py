"""One key on several lines: the same row again is one row, a different row is a conflict."""

from __future__ import annotations

from psycopg import sql

from commission_mcp.errors import Code
from commission_mcp.storage.imports.cells import shown
from commission_mcp.storage.imports.problems import LISTED_MAX, Finding, Findings
from commission_mcp.storage.imports.spec import Column, Spec
from commission_mcp.storage.imports.staging import STAGED, Connection

_FIND = sql.SQL("""
WITH repeated AS (
  SELECT {key} AS key, min(line) AS line FROM {staged} WHERE sound GROUP BY {key} HAVING count(*) > 1
)
SELECT later.line, first.line, later.{key}, {differing} AS differing, count(*) OVER ()
FROM repeated r
JOIN {staged} first ON first.line = r.line
JOIN {staged} later ON later.sound AND later.{key} = r.key AND later.line > r.line
WHERE cardinality({differing}) > 0
ORDER BY 1 LIMIT {listed}
""")
_KEEP_FIRST = sql.SQL("""
DELETE FROM {staged} later USING (
  SELECT {key} AS key, min(line) AS line FROM {staged} GROUP BY {key} HAVING count(*) > 1
) first
WHERE later.{key} = first.key AND later.line > first.line
""")


async def check_duplicates(connection: Connection, spec: Spec, findings: Findings) -> None:
    """Find the rows that repeat a key with other content."""
    statement = _FIND.format(
        staged=STAGED, key=sql.Identifier(spec.key), differing=_differing(spec), listed=sql.Literal(LISTED_MAX)
    )
    found = await (await connection.execute(statement)).fetchall()
    page = [
        Finding(
            line,
            spec.key,
            Code.IMPORT_CONFLICT,
            f"{shown(key)} stands on line {first} and line {line}, with different {', '.join(differing)}",
            "Keep one of the two lines, or give each its own key",
        )
        for line, first, key, differing, _ in found
    ]
    findings.add_page(page, total=found[0][4] if found else 0)


async def keep_first_lines(connection: Connection, spec: Spec) -> None:
    """Leave one row of each key; by now the others hold the same."""
    await connection.execute(_KEEP_FIRST.format(staged=STAGED, key=sql.Identifier(spec.key)))


def _differing(spec: Spec) -> sql.Composed:
    """The names of the columns in which two rows differ, as an array."""
    cases = sql.SQL(", ").join(_case(column) for column in spec.columns if column.name != spec.key)
    return sql.SQL("array_remove(ARRAY[{}], NULL)").format(cases)


def _case(column: Column) -> sql.Composed:
    name = sql.Identifier(column.name)
    compared = sql.SQL("later.{name} IS DISTINCT FROM first.{name}").format(name=name)
    if column.name == "credits":
        compared = sql.SQL("{} OR later.fractions IS DISTINCT FROM first.fractions").format(compared)
    return sql.SQL("CASE WHEN {compared} THEN {label} END").format(compared=compared, label=sql.Literal(column.name))
