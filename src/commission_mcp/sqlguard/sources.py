"""FROM: what each source is called, what columns it has, and what the parts of the clause can see of each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from commission_mcp.errors import Code
from commission_mcp.sqlguard.findings import Findings
from commission_mcp.sqlguard.functions import RESULT_COLUMNS
from commission_mcp.sqlguard.hints import relation_fix
from commission_mcp.sqlguard.output_names import expression_name
from commission_mcp.sqlguard.relations import Relations
from commission_mcp.sqlguard.rows import Rows
from commission_mcp.sqlguard.scope import COLUMNS_MAX, Column, Columns, Scope, Source, merged, renamed
from commission_mcp.sqlguard.tree import Node, strings, unwrap


class Walker(Protocol):
    """Checks what the sources contain."""

    def expressions(self, values: Sequence[Node], scope: Scope) -> None:
        """Check expressions within a scope."""
        ...

    def fields(self, kind: str, node: Node, scope: Scope, handled: frozenset[str]) -> None:
        """Check every field of a node except those handled already."""
        ...

    def query(self, select: Node, scope: Scope) -> Columns | None:
        """Check a query inside `scope` and tell its columns."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A part of FROM: the sources that it makes visible, and the columns that ``*`` takes from it."""

    sources: tuple[Source, ...] = ()
    columns: Columns | None = None


_COLUMNS_MAX = 3 * COLUMNS_MAX
_REFUSED = Part((Source("", None),))


class Sources:
    """Checks the sources of one statement."""

    def __init__(self, findings: Findings, relations: Relations, rows: Rows, walker: Walker) -> None:
        self.read: set[str] = set()
        self._findings = findings
        self._relations = relations
        self._rows = rows
        self._walker = walker

    def clause(self, items: Sequence[Node], outer: Scope) -> Part:
        """Check a whole FROM clause; `outer` is what the query around sees, with the WITH queries in sight."""
        whole = Part((), ())
        for item in items:
            part = self._item(item, outer, whole.sources)
            whole = self._bounded(Part(whole.sources + part.sources, merged(whole.columns, part.columns, ())))
        return whole

    def _bounded(self, part: Part) -> Part:
        """The part, with its columns given up where they are too many to keep."""
        if part.columns is None or len(part.columns) <= _COLUMNS_MAX:
            return part
        message = f"More than {_COLUMNS_MAX:,} columns come together in FROM."
        self._findings.add(Code.SQL_COST, message, "Join fewer tables, or subqueries with fewer columns.", None)
        return Part(part.sources)

    def _item(self, wrapped: Node, outer: Scope, left: tuple[Source, ...]) -> Part:
        """One item; `left` are the sources on its left, which it sees if it is LATERAL."""
        kind, node = unwrap(wrapped)
        rule = self._RULES.get(kind)
        if rule is None:
            name = "TABLESAMPLE" if kind == "RangeTableSample" else kind
            message, fix = f"{name} is not offered in FROM.", "Name a table, a subquery, or a function."
            if kind == "RangeTableSample":
                fix = "Remove TABLESAMPLE; for a sample use ORDER BY random() LIMIT n."
            self._findings.add(Code.SQL_FORM, message, fix, node.get("location"))
            return _REFUSED
        return rule(self, node, outer, left)

    def _relation(self, node: Node, outer: Scope, left: tuple[Source, ...]) -> Part:
        del left  # a table sees nothing
        name, schema = node.get("relname", ""), node.get("schemaname")
        alias, names = _alias(node)
        if schema is None and "catalogname" not in node and name in outer.ctes:
            return _one(Source(alias or name, renamed(outer.ctes[name], names)))
        qualified = None if "catalogname" in node else self._relations.find(schema, name)
        if qualified is None:
            self._unknown_relation(node, outer)
            return Part((Source(alias or name, None),))
        self.read.add(qualified)
        columns = renamed(tuple(map(Column, self._relations.columns(qualified))), names)
        return _one(Source(alias or name, columns, None if alias else qualified, is_stored=True))

    def _unknown_relation(self, node: Node, outer: Scope) -> None:
        path = [node[part] for part in ("catalogname", "schemaname", "relname") if part in node]
        known = [*self._relations.names(), *outer.ctes]
        message = f"There is no table `{'.'.join(path)}` here."
        self._findings.add(
            Code.SQL_RELATION, message, lambda: relation_fix(".".join(path), known), node.get("location", 0)
        )

    def _subquery(self, node: Node, outer: Scope, left: tuple[Source, ...]) -> Part:
        scope = _lateral(outer, left) if node.get("lateral") else outer
        columns = self._walker.query(unwrap(node["subquery"])[1], scope)
        alias, names = _alias(node)
        return _one(Source(alias, renamed(columns, names)))

    def _function(self, node: Node, outer: Scope, left: tuple[Source, ...]) -> Part:
        scope = _lateral(outer, left)
        alias, names = _alias(node)
        columns: list[Column] | None = []
        calls: list[Node] = [call for item in node["functions"] for call in unwrap(item)[1]["items"][:1]]
        for item in node["functions"]:
            call, definitions = unwrap(item)[1]["items"]
            self._walker.expressions([call, definitions], scope)
            defined = unwrap(definitions)[1].get("items") or node.get("coldeflist", [])
            columns += self._function_columns(call, defined, alias if len(calls) == 1 else "", scope)
        self._walker.expressions(node.get("coldeflist", []), scope)
        is_scalar = len(columns) == 1 and not node.get("coldeflist") and not node.get("ordinality")
        if node.get("ordinality"):
            columns.append(Column("ordinality"))
        return _one(Source(alias or expression_name(calls[0]), renamed(tuple(columns), names), None, is_scalar))

    def _function_columns(self, call: Node, definitions: list[Node], alias: str, scope: Scope) -> list[Column]:
        """The columns of one function in FROM: defined with AS, its own, those of its rows, or one by its name."""
        if definitions:
            return [Column(unwrap(definition)[1].get("colname", "")) for definition in definitions]
        name = expression_name(call)
        _, node = unwrap(call)
        if name in RESULT_COLUMNS:
            return [Column(column) for column in RESULT_COLUMNS[name]]
        if name == "unnest" and len(node.get("args", ())) > 1:
            return [Column("unnest") for _ in node["args"]]
        inner = self._rows.inner(call, scope)
        return list(inner) if inner else [Column(alias or name)]

    def _join(self, node: Node, outer: Scope, left: tuple[Source, ...]) -> Part:
        chain = [node]  # joins chain to the left: walk down, then work upwards
        while "JoinExpr" in chain[-1]["larg"]:
            chain.append(chain[-1]["larg"]["JoinExpr"])
        part = self._item(chain[-1]["larg"], outer, left)
        for join in reversed(chain):
            right = self._item(join["rarg"], outer, left + part.sources)
            part = self._joined(join, part, right, outer)
        return part

    def _joined(self, join: Node, left: Part, right: Part, outer: Scope) -> Part:
        sources = left.sources + right.sources
        shared = strings(join.get("usingClause"))
        if join.get("isNatural") and left.columns is not None and right.columns is not None:
            on_the_right = {column.name for column in right.columns}
            shared = [column.name for column in left.columns if column.name in on_the_right]
        self._walker.fields("JoinExpr", join, Scope(sources, outer, outer.ctes), _JOIN_HANDLED)
        columns = merged(left.columns, right.columns, shared)
        part = self._bounded(Part(sources, columns))
        if "alias" in join:
            alias, names = _alias(join)
            return _one(Source(alias, renamed(part.columns, names)))
        if "join_using_alias" in join:
            sources += (Source(join["join_using_alias"]["aliasname"], tuple(map(Column, shared))),)
        return Part(sources, part.columns)

    def _xml_table(self, node: Node, outer: Scope, left: tuple[Source, ...]) -> Part:
        self._walker.fields("RangeTableFunc", node, _lateral(outer, left), frozenset({"alias"}))
        alias, names = _alias(node)
        columns = tuple(Column(unwrap(column)[1].get("colname", "")) for column in node.get("columns", ()))
        return _one(Source(alias or "xmltable", renamed(columns, names)))

    def _json_table(self, node: Node, outer: Scope, left: tuple[Source, ...]) -> Part:
        self._walker.fields("JsonTable", node, _lateral(outer, left), frozenset({"alias"}))
        alias, names = _alias(node)
        return _one(Source(alias or "json_table", renamed(tuple(_json_columns(node)), names)))

    _RULES: ClassVar[dict[str, Callable[[Sources, Node, Scope, tuple[Source, ...]], Part]]] = {
        "RangeVar": _relation,
        "RangeSubselect": _subquery,
        "RangeFunction": _function,
        "JoinExpr": _join,
        "RangeTableFunc": _xml_table,
        "JsonTable": _json_table,
    }


_JOIN_HANDLED = frozenset({"larg", "rarg", "alias", "join_using_alias"})


def _one(source: Source) -> Part:
    return Part((source,), source.columns)


def _alias(node: Node) -> tuple[str, list[str]]:
    """The alias of a source and the names it gives to columns."""
    alias = node.get("alias", {})
    return alias.get("aliasname", ""), strings(alias.get("colnames"))


def _lateral(outer: Scope, left: tuple[Source, ...]) -> Scope:
    return Scope(left, outer, outer.ctes)


def _json_columns(node: Node) -> list[Column]:
    """The columns of a JSON_TABLE, those of nested paths in their place."""
    columns: list[Column] = []
    pending = list(reversed(node.get("columns", [])))
    while pending:
        _, column = unwrap(pending.pop())
        if "columns" in column:
            pending += reversed(column["columns"])
        else:
            columns.append(Column(column.get("name", "")))
    return columns
