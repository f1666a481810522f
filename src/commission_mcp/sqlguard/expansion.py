"""How large a statement becomes while PostgreSQL plans it.

A subquery in FROM without grouping, DISTINCT or LIMIT is no step of its own: each use of one of its columns becomes a
copy of the column's expression. A query of WITH is treated so where it is used once or is NOT MATERIALIZED. A short
text can thus become an expression, or a number of tables, that fills the memory before any time limit counts
(PostgreSQL's `pull_up_subqueries` and `inline_cte`).

What is counted here is a bound from above: every query of WITH counts as copied unless it says MATERIALIZED, and every
column of a query as being as large as its largest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from commission_mcp.sqlguard.cte_order import by_need, tables
from commission_mcp.sqlguard.tree import Node, nodes_of, strings, unwrap

NODES_MAX = 2_000_000.0
"""Parts of expressions, of some hundred bytes each; a table counts as a thousand."""

_TABLE_NODES = 1_000.0
_TABLE_COLUMNS = 30.0
_STEPS = ("groupClause", "distinctClause", "havingClause", "limitCount", "limitOffset")
_QUERIES = ("withClause", "fromClause", "larg", "rarg")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a query is once names are replaced.

    Attributes:
        column: The parts of its largest column, of which each use is a copy.
        row: Those of all its columns together.
        nodes: Those of the whole query.
    """

    column: float
    row: float
    nodes: float


_TABLE = Size(1.0, _TABLE_COLUMNS, _TABLE_NODES)

Known = Mapping[str, Size]


def size_of(select: Node, known: Known | None = None) -> Size:
    """The size of a SELECT.

    Args:
        select: The fields of its node.
        known: The queries of WITH that it may name.
    """
    named, beside = _with_queries(select, known or {})
    if "larg" in select:
        left, right = size_of(select["larg"], named), size_of(select["rarg"], named)
        return Size(max(left.column, right.column), max(left.row, right.row), beside + left.nodes + right.nodes)
    sources = [source for item in select.get("fromClause", ()) for source in _sources(item, named)]
    column = max((size.column for _, size in sources), default=1.0)
    row = sum(size.row for _, size in sources)
    uses = _Uses({name for name, _ in sources}, column, row, named)
    items = [uses.size(item) for item in select.get("targetList", ())]
    others = sum(uses.size(part) for part in _parts(select))
    nodes = beside + sum(items) + others + sum(size.nodes for _, size in sources)
    if any(step in select for step in _STEPS):
        return Size(1.0, float(len(items)), nodes)
    return Size(max(items, default=1.0), sum(items), nodes)


@dataclass(frozen=True, slots=True)
class _Uses:
    """What the names in the expressions of one query stand for."""

    rows: set[str]
    column: float
    row: float
    named: Known

    def size(self, expression: Node) -> float:
        """The parts of an expression once the names in it are replaced, those within its subqueries too."""
        total = 0.0
        pending = [(expression, False)]
        while pending:
            part, in_subquery = pending.pop()
            total += 1.0
            for kind, value in part.items():
                if kind == "ColumnRef":
                    total += self._use(strings(value["fields"]))
                    continue
                subquery = kind == "SelectStmt"
                if subquery and not in_subquery:  # which looks at those within itself
                    total += size_of(value, self.named).nodes
                pending += [(inner, in_subquery or subquery) for inner in nodes_of(value)]
        return total

    def _use(self, name: list[str]) -> float:
        return self.row if name[-1] == "*" or (len(name) == 1 and name[0] in self.rows) else self.column


def _with_queries(select: Node, known: Known) -> tuple[Known, float]:
    """What the names of a WITH stand for, and the nodes of its queries that are steps of their own."""
    clause = select.get("withClause", {})
    ctes: list[Node] = [unwrap(wrapped)[1] for wrapped in clause.get("ctes", ())]
    named, beside = dict(known), 0.0
    for cte in by_need(ctes) if clause.get("recursive") else ctes:
        name, query = cte["ctename"], cte["ctequery"]
        reads_itself = bool(clause.get("recursive")) and name in tables(query)
        size = size_of(unwrap(query)[1], {**named, name: _TABLE} if reads_itself else named)
        if reads_itself or cte.get("ctematerialized") == "CTEMaterializeAlways":
            named[name] = _TABLE
            beside += size.nodes
        else:
            named[name] = size
    return named, beside


def _sources(item: Node, named: Known) -> Iterator[tuple[str, Size]]:
    """What a part of FROM reads, by the name that its columns have."""
    kind, node = unwrap(item)
    alias = node.get("alias", {}).get("aliasname", "")
    match kind:
        case "RangeVar":
            name = node["relname"]
            yield alias or name, _TABLE if "schemaname" in node else named.get(name, _TABLE)
        case "RangeSubselect":
            yield alias, size_of(unwrap(node["subquery"])[1], named)
        case "JoinExpr":
            yield from _sources(node["larg"], named)
            yield from _sources(node["rarg"], named)
        case _:
            yield alias, _TABLE


def _parts(select: Node) -> Iterator[Node]:
    """Everything of a query that can use its columns, besides its own columns."""
    for name, value in select.items():
        if name not in (*_QUERIES, "targetList"):
            yield from nodes_of(value)
    for item in select.get("fromClause", ()):
        yield from _conditions(item)


def _conditions(item: Node) -> Iterator[Node]:
    """The conditions of joins, and what functions in FROM are given."""
    kind, node = unwrap(item)
    if kind == "JoinExpr":
        yield from nodes_of(node.get("quals"))
        yield from _conditions(node["larg"])
        yield from _conditions(node["rarg"])
    elif kind not in {"RangeVar", "RangeSubselect"}:
        yield from nodes_of(item)
