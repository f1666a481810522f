"""What is inside an expression whose value is a row: the columns that ``(expression).name`` may select.

``(x).f`` calls the function `f` when the row type of `x` has no such column, and no parse tree shows it as a call. So
the guard must know the columns before it lets a name pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from commission_mcp.sqlguard.functions import PASSES_ARGUMENT, RESULT_COLUMNS
from commission_mcp.sqlguard.scope import Column, Columns, Scope
from commission_mcp.sqlguard.tree import Node, strings, unwrap


@dataclass(frozen=True, slots=True)
class Rows:
    """Looks into expressions; `query` gives the columns of a subquery (and checks it, if that was not done before)."""

    query: Callable[[Node, Scope], Columns | None]

    def inner(self, wrapped: Node, scope: Scope) -> Columns | None:
        """The columns of the row that the expression yields; None if it is no row, or none that can be looked into."""
        while True:
            kind, node = unwrap(wrapped)
            passed = _passed_on(kind, node)
            if passed is None:
                break
            wrapped = passed
        rule = self._RULES.get(kind)
        return rule(self, node, scope) if rule else None

    def _column_ref(self, node: Node, scope: Scope) -> Columns | None:
        names = strings(node["fields"])
        if len(names) == 1:
            column = scope.column(names[0])
            if column is not None:
                return column.inner
            source = scope.source(names[0])
            return source.row if source else None
        source = scope.qualified(names[:-1])
        column = source.by_name.get(names[-1]) if source else None
        return column.inner if column else None

    def _indirection(self, node: Node, scope: Scope) -> Columns | None:
        columns = self.inner(node["arg"], scope)
        for part in node.get("indirection", ()):
            if "String" in part and columns is not None:
                name = part["String"].get("sval", "")
                columns = next((column.inner for column in columns if column.name == name), None)
        return columns

    def _call(self, node: Node, scope: Scope) -> Columns | None:
        name = strings(node["funcname"])[-1]
        if name in PASSES_ARGUMENT and node.get("args"):
            return self.inner(node["args"][0], scope)
        if name in PASSES_ARGUMENT and node.get("agg_order"):  # mode() WITHIN GROUP (ORDER BY row)
            return self.inner(unwrap(node["agg_order"][0])[1]["node"], scope)
        columns = RESULT_COLUMNS.get(name, ())
        return tuple(map(Column, columns)) if len(columns) > 1 else None

    def _row(self, node: Node, scope: Scope) -> Columns | None:
        arguments: list[Node] = node.get("args", [])
        return tuple(Column(f"f{n}", self.inner(argument, scope)) for n, argument in enumerate(arguments, 1))

    def _subquery(self, node: Node, scope: Scope) -> Columns | None:
        columns = self.query(unwrap(node["subselect"])[1], scope)
        is_value = node.get("subLinkType") in {"EXPR_SUBLINK", "ARRAY_SUBLINK"}
        return columns[0].inner if is_value and columns else None

    _RULES: ClassVar[dict[str, Callable[[Rows, Node, Scope], Columns | None]]] = {
        "ColumnRef": _column_ref,
        "A_Indirection": _indirection,
        "FuncCall": _call,
        "RowExpr": _row,
        "SubLink": _subquery,
    }


def _passed_on(kind: str, node: Node) -> Node | None:
    """The part of an expression that has the same row type; None if there is none."""
    if kind == "CaseExpr":
        return unwrap(node["args"][0])[1].get("result")
    if kind == "A_ArrayExpr":
        return next(iter(node.get("elements", ())), None)
    if kind in {"CoalesceExpr", "MinMaxExpr"}:
        return next(iter(node["args"]), None)
    return None
