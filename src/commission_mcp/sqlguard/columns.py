"""Checks of column references: ``a``, ``t.a``, ``s.t.a``, ``t.*``, ``(row).a``."""

from __future__ import annotations

from commission_mcp.errors import Code
from commission_mcp.sqlguard.findings import Findings
from commission_mcp.sqlguard.grammar import SYSTEM_COLUMNS
from commission_mcp.sqlguard.hints import column_fix, did_you_mean
from commission_mcp.sqlguard.relations import Relations
from commission_mcp.sqlguard.rows import Rows
from commission_mcp.sqlguard.scope import Scope, Source
from commission_mcp.sqlguard.tree import Node, strings, unwrap

_STAR = "*"


class ColumnChecks:
    """Holds column references against what their place can see."""

    def __init__(self, findings: Findings, relations: Relations, rows: Rows) -> None:
        self._findings = findings
        self._relations = relations
        self._rows = rows

    def reference(self, node: Node, scope: Scope) -> None:
        """Check a ColumnRef. A qualified name that is no column would be a function call on the row."""
        *qualifier, name = strings(node["fields"])
        location = node.get("location", 0)
        if not qualifier:
            if name != _STAR:
                self._bare(name, scope, location)
        elif len(qualifier) > 2:  # noqa: PLR2004 - schema and table
            message = f"`{'.'.join([*qualifier, name])}` names a database."
            self._findings.add(Code.SQL_FORM, message, "Write table.column.", location)
        else:
            source = self._source(qualifier, scope, location)
            if source is not None and source.columns is not None and name != _STAR:
                self._qualified(name, source, qualifier[-1], location)

    def selection(self, node: Node, scope: Scope) -> None:
        """Check an A_Indirection: every field that it selects must be a column of the row that it selects from."""
        location = _location(node)
        columns = self._rows.inner(node["arg"], scope)
        for part in node.get("indirection", ()):
            if "String" not in part:
                continue
            name = part["String"].get("sval", "")
            found = next((column for column in columns or () if column.name == name), None)
            if found is None and (columns is not None or name not in self._relations.column_names):
                known = [column.name for column in columns or ()]
                self._no_field(name, known, location)
            columns = found.inner if found else None

    def _no_field(self, name: str, known: list[str], location: int | None) -> None:
        message = f"`(...).{name}` selects no known column; PostgreSQL would call a function `{name}`."
        otherwise = f"Call a function as {name}(...); select columns as alias.column."
        self._findings.add(Code.SQL_FORM, message, lambda: did_you_mean(name, known, otherwise), location)

    def _bare(self, name: str, scope: Scope, location: int) -> None:
        if scope.column(name) is not None or scope.source(name) is not None:
            return
        if name in SYSTEM_COLUMNS:
            self._system_column(name, location)
        elif scope.is_certain and not scope.is_output(name):
            known = scope.column_names()
            otherwise = f"The columns here are: {', '.join(sorted(known)[:20])}." if known else "There is no FROM here."
            message = f"There is no column `{name}` here."
            self._findings.add(Code.SQL_COLUMN, message, lambda: column_fix(name, known, otherwise), location)

    def _qualified(self, name: str, source: Source, qualifier: str, location: int) -> None:
        if name in source.by_name:
            return
        if name in SYSTEM_COLUMNS:
            self._system_column(name, location)
            return
        otherwise = f"Its columns are: {', '.join(list(source.by_name)[:20])}."
        message = f"`{qualifier}` has no column `{name}`."
        self._findings.add(Code.SQL_COLUMN, message, lambda: column_fix(name, source.by_name, otherwise), location)

    def _source(self, qualifier: list[str], scope: Scope, location: int) -> Source | None:
        source = scope.qualified(qualifier)
        if source is None:
            known = scope.source_names()
            otherwise = f"The tables here are: {', '.join(sorted(known))}." if known else "There is no FROM here."
            message = f"There is no table or alias `{'.'.join(qualifier)}` in this FROM."
            fix = did_you_mean(qualifier[-1], known, otherwise)
            if scope.column(qualifier[-1]) is not None:
                fix = f"`{qualifier[-1]}` is a column: take a key of json as {qualifier[-1]} ->> 'key'."
            self._findings.add(Code.SQL_RELATION, message, fix, location)
        return source

    def _system_column(self, name: str, location: int) -> None:
        message = f"`{name}` is a system column, which shows physical storage."
        self._findings.add(Code.SQL_FORM, message, "Leave it out; identify rows by their keys.", location)


def _location(node: Node) -> int | None:
    """Where an A_Indirection begins: it has no place of its own, but what it selects from has."""
    while "location" not in node:
        inner = node.get("arg")
        if inner is None:
            return None
        _, node = unwrap(inner)
    return node["location"]
