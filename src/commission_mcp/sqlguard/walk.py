"""The walk over a whole statement: every node is met once, in the scope of its place.

Expressions are walked with a list of what is still to do; only queries inside queries recurse, to a fixed depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from commission_mcp.errors import Code
from commission_mcp.sqlguard.columns import ColumnChecks
from commission_mcp.sqlguard.cte_order import by_need
from commission_mcp.sqlguard.findings import Findings
from commission_mcp.sqlguard.grammar import FIELDS, SOURCE_KINDS
from commission_mcp.sqlguard.lexing import find_in_code
from commission_mcp.sqlguard.names import Names
from commission_mcp.sqlguard.output_names import names_itself, output_name
from commission_mcp.sqlguard.pairwise import Pairwise
from commission_mcp.sqlguard.relations import Relations
from commission_mcp.sqlguard.rows import Rows
from commission_mcp.sqlguard.scope import COLUMNS_MAX, Column, Columns, Scope, renamed
from commission_mcp.sqlguard.sources import Part, Sources
from commission_mcp.sqlguard.statements import statement_fix, statement_name
from commission_mcp.sqlguard.tree import Node, nodes_of, strings, unwrap

_QUERIES_MAX = 50  # nested in each other

_QUERY_HANDLED = frozenset({"fromClause", "withClause", "larg", "rarg", "lockingClause", "intoClause"})
_CTE_HANDLED = frozenset({"ctequery"})
_NONE_HANDLED: frozenset[str] = frozenset()
_LOCKING = re.compile(r"\bfor\s+(?:no\s+key\s+update|update|key\s+share|share)\b", re.IGNORECASE)


class Walk:
    """Walks one statement and notes what is wrong with it."""

    def __init__(self, text: str, findings: Findings, relations: Relations) -> None:
        self.names = Names(findings)
        self.pairwise = Pairwise()
        self._text = text
        self._findings = findings
        self._rows = Rows(self.query)
        self._columns = ColumnChecks(findings, relations, self._rows)
        self._sources = Sources(findings, relations, self._rows, self)
        self._known: dict[int, Columns | None] = {}  # the columns of queries met already, by identity
        self._depth = 0

    @property
    def relations(self) -> frozenset[str]:
        """The relations that the statement reads."""
        return frozenset(self._sources.read)

    def query(self, select: Node, scope: Scope) -> Columns | None:
        """Check a query that is surrounded by `scope`, and tell its columns; None if one of them was refused."""
        if id(select) not in self._known:
            if self._depth >= _QUERIES_MAX:
                message = f"More than {_QUERIES_MAX} queries are nested in each other."
                self._findings.add(Code.SQL_TOO_DEEP, message, "Put them side by side with WITH.", None)
                return None
            self._depth += 1
            self._known[id(select)] = self._branches(select, scope)
            self._depth -= 1
        return self._known[id(select)]

    def expressions(self, values: Sequence[Node], scope: Scope) -> None:
        """Check expressions within a scope."""
        self._walk([unwrap(value) for value in values], scope)

    def fields(self, kind: str, node: Node, scope: Scope, handled: frozenset[str]) -> None:
        """Check every field of a node except those handled already."""
        self.pairwise.note(kind, node, scope)
        self._walk(list(self._children(kind, node, handled)), scope)

    def _branches(self, select: Node, scope: Scope) -> Columns | None:
        """Check the branches of UNION, INTERSECT and EXCEPT, left to right; the first one names the columns."""
        pending = [(select, scope)]
        operations: list[tuple[Node, Scope]] = []
        branches: list[Columns | None] = []
        while pending:
            node, around = pending.pop()
            if id(node) in self._known:
                branches.append(self._known[id(node)])
            elif "larg" in node:
                inside = self._with(node, around)
                operations.append((node, inside))
                pending += ((node["rarg"], inside), (node["larg"], inside))
            else:
                branches.append(self._branch(node, around))
        outputs = frozenset(column.name for column in branches[0] or ())
        for node, inside in operations:
            self._refuse_clauses(node)
            self.fields("SelectStmt", node, Scope((), inside, inside.ctes, outputs), _QUERY_HANDLED)
        return branches[0]

    def _branch(self, node: Node, around: Scope) -> Columns | None:
        """Check one SELECT or VALUES, and tell its columns."""
        inside = self._with(node, around)
        self._refuse_clauses(node)
        part = self._sources.clause(node.get("fromClause", ()), inside)
        targets = [unwrap(target)[1] for target in node.get("targetList", ())]
        outputs = frozenset(output_name(target) for target in targets if names_itself(target))
        scope = Scope(part.sources, inside, inside.ctes, outputs)
        self.fields("SelectStmt", node, scope, _QUERY_HANDLED)
        if "valuesLists" in node:
            first = unwrap(node["valuesLists"][0])[1].get("items", [])
            return tuple(Column(f"column{n}", self._rows.inner(item, scope)) for n, item in enumerate(first, 1))
        return self._outputs(targets, part, scope)

    def _outputs(self, targets: list[Node], part: Part, scope: Scope) -> Columns | None:
        columns: list[Column] = []
        for target in targets:
            kind, value = unwrap(target.get("val", {}))
            path: list[Node] = value.get("fields") or value.get("indirection") or [{}]
            if "A_Star" not in path[-1]:
                columns.append(Column(output_name(target), self._rows.inner(target.get("val", {}), scope)))
                continue
            expanded = self._expanded(kind, value, part, scope)
            if expanded is None:
                return None
            columns += expanded
            if len(columns) > COLUMNS_MAX:
                message = f"A query here yields more than {COLUMNS_MAX:,} columns."
                self._findings.add(Code.SQL_COST, message, "Select the columns that you need.", target.get("location"))
                return None
        return tuple(columns)

    def _expanded(self, kind: str, value: Node, part: Part, scope: Scope) -> Columns | None:
        """The columns behind ``*``, ``t.*`` or ``(row).*``."""
        if kind == "A_Indirection":
            columns = self._rows.inner({kind: value}, scope)
            if columns is None:
                message, fix = "The columns of this (...).* are not known here.", "Select the columns by name."
                self._findings.add(Code.SQL_FORM, message, fix, None)
            return columns
        qualifier = strings(value["fields"][:-1])
        if not qualifier:
            return part.columns
        source = scope.qualified(qualifier)
        return source.columns if source else None

    def _with(self, node: Node, scope: Scope) -> Scope:
        """Check the WITH queries of a query, and tell what it sees with them: each sees those before it."""
        clause = node.get("withClause")
        if clause is None:
            return scope
        ctes = [unwrap(cte)[1] for cte in clause["ctes"]]
        if clause.get("recursive"):
            self.pairwise.growth.recurses()
            ctes = by_need(ctes)
        for position, cte in enumerate(ctes):
            # A name that comes later hides a table already; until then it offers nothing.
            unready = {later["ctename"]: () for later in ctes[position:]} if clause.get("recursive") else {}
            columns = self._cte(cte, replace(scope, ctes={**scope.ctes, **unready}), is_recursive=bool(unready))
            scope = replace(scope, ctes={**scope.ctes, cte["ctename"]: columns})
        return scope

    def _cte(self, cte: Node, scope: Scope, *, is_recursive: bool) -> Columns | None:
        kind, select = unwrap(cte["ctequery"])
        self.fields("CommonTableExpr", cte, scope, _CTE_HANDLED)
        if kind != "SelectStmt":
            message = f"{statement_name(kind)} is not allowed, in WITH neither; only SELECT is."
            self._findings.add(Code.SQL_NOT_SELECT, message, statement_fix(kind), cte.get("location"))
            return None
        names = strings(cte.get("aliascolnames"))
        if is_recursive and "larg" in select:
            first = renamed(self.query(select["larg"], self._with(select, scope)), names)
            scope = replace(scope, ctes={**scope.ctes, cte["ctename"]: first})
        columns = renamed(self.query(select, scope), names)
        search, cycle = cte.get("search_clause", {}), cte.get("cycle_clause", {})
        added = (search.get("search_seq_column"), cycle.get("cycle_mark_column"), cycle.get("cycle_path_column"))
        return None if columns is None else (*columns, *(Column(name) for name in added if name))

    def _refuse_clauses(self, node: Node) -> None:
        if "lockingClause" in node:
            message, fix = "Locking rows with FOR UPDATE or FOR SHARE is not allowed.", "Remove the FOR ... clause."
            at = find_in_code(_LOCKING, self._text)
            location = None if at is None else len(self._text[:at].encode())
            self._findings.add(Code.SQL_LOCKING, message, fix, location)
        if "intoClause" in node:
            location = node["intoClause"].get("rel", {}).get("location")
            self._findings.add(Code.SQL_INTO, "SELECT INTO creates a table.", "Remove the INTO clause.", location)

    def _walk(self, pending: list[tuple[str, Node]], scope: Scope) -> None:
        while pending:
            kind, node = pending.pop()
            if kind == "SelectStmt":
                self.query(node, scope)
            elif kind == "ColumnRef":
                self._columns.reference(node, scope)
            elif kind and (kind not in FIELDS or kind in SOURCE_KINDS):
                message = f"The construct {statement_name(kind)} is not offered here."
                self._findings.add(Code.SQL_FORM, message, "Write the query without it.", node.get("location"))
            elif kind:
                self.names.check(kind, node)
                self.pairwise.note(kind, node, scope)
                if kind == "A_Indirection":
                    self._columns.selection(node, scope)
                pending += self._children(kind, node, _NONE_HANDLED)

    def _children(self, kind: str, node: Node, handled: frozenset[str]) -> Iterator[tuple[str, Node]]:
        """The nodes in a node's fields; a field that may not hold any is a problem."""
        expected = FIELDS[kind]
        for name, value in node.items():
            if name in handled or not (inner_nodes := nodes_of(value)):
                continue
            inner = expected.get(name)
            if inner is None:
                message = f"The part {name} of {statement_name(kind)} is not offered here."
                self._findings.add(Code.SQL_FORM, message, "Write the query without it.", node.get("location"))
            elif inner:
                yield from ((inner, item) for item in inner_nodes)
            else:
                yield from map(unwrap, inner_nodes)
