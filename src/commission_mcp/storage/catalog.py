"""The views that readers have, as the database describes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import psycopg

from commission_mcp.domain.caller import Role
from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.example_queries import EXAMPLES
from commission_mcp.storage.gate import Admission

_KEY = re.compile(r" Key: ([a-z_, ]+)\.$")
_REFERENCE = re.compile(r"\b([a-z_]+)\.([a-z_]+)\b")
_MASK = re.compile(r"sees\('([a-z_]+)\.([a-z_]+)'")


# Whoever works with the data may know its shape; payees ask fixed questions only.
SCHEMA_ROLES = (Role.ANALYST, Role.FINANCE, Role.ADMIN, Role.PLAN_AUTHOR, Role.MANAGER)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view.

    Attributes:
        name: Its name.
        type: Its PostgreSQL type.
        meaning: What it holds.
        references: The view and column that it points to, as ``view.column``.
        maskable: Whether some readers see a mask in place of its values.
    """

    name: str
    type: str
    meaning: str
    references: str | None
    maskable: bool


@dataclass(frozen=True, slots=True)
class View:
    """A view that readers have.

    Attributes:
        name: Its name.
        meaning: What it shows.
        key: The columns that name one row.
        columns: Its columns.
        tables: The tables whose rows it shows; None when changes of one of them are not counted in the data versions.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    tables: frozenset[str] | None

    @property
    def examples(self) -> tuple[str, ...]:
        """Queries that work on it as they are."""
        return EXAMPLES.get(self.name, ())

    def text(self, masked: Mapping[str, str]) -> str:
        """The view in words; `masked` says, by ``view.column``, what the reader does not see, and why."""
        lines = [f"{self.name}: {self.meaning}"]
        if self.key:
            lines.append(f"Key: {', '.join(self.key)}")
        for column in self.columns:
            why = masked.get(f"{self.name}.{column.name}")
            lines.append(f"- {column.name} {column.type}: {column.meaning}{f' [{why}]' if why else ''}")
        lines += [f"Example: {example}" for example in self.examples]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All views that readers have, by name."""

    views: Mapping[str, View]

    def find(self, name: str) -> View:
        """The view of this name, with or without its schema.

        Raises:
            Refused: with `E_SQL_RELATION` and the nearest names.
        """
        wanted = name.lower().removeprefix("commission.")
        view = self.views.get(wanted)
        if view is None:
            near = get_close_matches(wanted, self.views, n=3)
            suggestion = f"Did you mean {', '.join(near)}? " if near else ""
            raise Refused(
                Problem(
                    Code.SQL_RELATION,
                    f"There is no view {name[:80]!r}.",
                    f"{suggestion}Call `schema` without arguments to see all views.",
                    "table",
                )
            )
        return view

    def masked_for(self, admission: Admission) -> Mapping[str, str]:
        """The columns, as ``view.column``, whose values this caller does not see, and why; see `why_masked`."""
        maskable = (
            f"{view.name}.{column.name}" for view in self.views.values() for column in view.columns if column.maskable
        )
        reasons = {name: admission.why_masked(name) for name in maskable}
        return {name: why for name, why in reasons.items() if why is not None}

    def tables_behind(self, relations: Iterable[str]) -> frozenset[str] | None:
        """The tables whose rows these views, as ``schema.view``, show; None when not all changes are counted."""
        behind: frozenset[str] = frozenset()
        for relation in relations:
            tables = self.views[relation.removeprefix("commission.")].tables
            if tables is None:
                return None
            behind |= tables
        return behind

    @property
    def relations(self) -> dict[str, dict[str, str]]:
        """For the guard: ``schema.view`` to its columns and their types."""
        return {
            f"commission.{view.name}": {column.name: column.type for column in view.columns}
            for view in self.views.values()
        }

    @property
    def names(self) -> frozenset[str]:
        """Every name of a view or column, for suggestions."""
        return frozenset(self.views) | {column.name for view in self.views.values() for column in view.columns}


_QUERY = """
SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class'), ''), pg_get_viewdef(c.oid),
       array_agg(a.attname::text ORDER BY a.attnum),
       array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum),
       array_agg(coalesce(col_description(c.oid, a.attnum), '') ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'commission'::regnamespace AND c.relkind = 'v'
GROUP BY c.oid, c.relname
ORDER BY c.relname
"""

# The tables behind each view, through views of views, and whether every kind of change to their rows bumps a version.
_TABLES = """
WITH RECURSIVE behind (view, relation) AS (
  SELECT c.oid, c.oid FROM pg_class c WHERE c.relnamespace = 'commission'::regnamespace AND c.relkind = 'v'
  UNION
  SELECT b.view, d.refobjid
  FROM behind b
  JOIN pg_rewrite r ON r.ev_class = b.relation
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
)
SELECT v.relname, array_agg(t.relname::text), bool_and(
  3 = (SELECT count(*) FROM pg_trigger g
       WHERE g.tgrelid = t.oid AND g.tgfoid = 'cm_priv.bump_version()'::regprocedure AND g.tgenabled IN ('O', 'A')))
FROM behind b JOIN pg_class v ON v.oid = b.view JOIN pg_class t ON t.oid = b.relation AND t.relkind <> 'v'
GROUP BY v.relname
"""


async def read_catalog(connection: psycopg.AsyncConnection) -> Catalog:
    """Read the views, their columns and comments; any login with the catalogs may ask."""
    rows = await (await connection.execute(_QUERY)).fetchall()
    keys = {name: frozenset(names) for name, _, _, names, _, _ in rows}
    behind = await (await connection.execute(_TABLES)).fetchall()
    tables = {str(view): frozenset[str](names) for view, names, counted in behind if counted}
    return Catalog({str(row[0]): _view(row, keys, tables.get(str(row[0]))) for row in rows})


def _view(
    row: tuple[str, str, str, list[str], list[str], list[str]],
    columns_of: Mapping[str, frozenset[str]],
    tables: frozenset[str] | None,
) -> View:
    name, comment, definition, names, types, comments = row
    key = _KEY.search(comment)
    masked = {column for view, column in _MASK.findall(definition) if view == name}
    return View(
        name,
        _KEY.sub("", comment),
        tuple(key.group(1).split(", ")) if key else (),
        tuple(
            Column(column, type_, meaning, _reference(meaning, columns_of), column in masked)
            for column, type_, meaning in zip(names, types, comments, strict=True)
        ),
        tables,
    )


def _reference(meaning: str, columns_of: Mapping[str, frozenset[str]]) -> str | None:
    for view, column in _REFERENCE.findall(meaning):
        if column in columns_of.get(view, ()):
            return f"{view}.{column}"
    return None
