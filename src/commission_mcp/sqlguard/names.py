"""Checks of everything that a statement names without regard to its place: functions, types, operators, collations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from commission_mcp.errors import Code
from commission_mcp.sqlguard import cost
from commission_mcp.sqlguard.findings import Findings
from commission_mcp.sqlguard.functions import ALLOWED_FUNCTIONS, DOCUMENTED_FUNCTIONS, VOLATILE_FUNCTIONS
from commission_mcp.sqlguard.hints import function_fix, nearest
from commission_mcp.sqlguard.operators import FOREIGN_OPERATORS, OPERATORS
from commission_mcp.sqlguard.tree import Node, strings
from commission_mcp.sqlguard.type_names import ALLOWED_TYPES, FOREIGN_TYPES, PADDED_TYPES

_CATALOG = "pg_catalog"
_CLOCK_WORDS = frozenset({"now", "today", "tomorrow", "yesterday"})
_PARAMETER_MAX = 65_535  # the protocol counts them in 16 bits
_CLOCKS = ("SVFOP_CURRENT_DATE", "SVFOP_CURRENT_TIME", "SVFOP_LOCALTIME")  # with _STAMP and _N behind them


@dataclass(slots=True)
class Names:
    """Checks one node after the other, and gathers what they say about the statement as a whole."""

    findings: Findings
    parameters: dict[int, int] = field(default_factory=dict[int, int])  # number -> where it first stands
    volatile: bool = False
    _weighed: set[int] = field(default_factory=set[int])
    _largest: float = 1
    _rows: float = 1

    def check(self, kind: str, node: Node) -> None:
        """Check a node of any kind; most kinds name nothing."""
        rule = self._RULES.get(kind)
        if rule is not None:
            rule(self, node)

    def _function(self, node: Node) -> None:
        path = strings(node["funcname"])
        name, location = path[-1], node.get("location", 0)
        is_cast = name in ALLOWED_TYPES and len(node.get("args", ())) == 1
        if not _is_catalog(path) or not (name in ALLOWED_FUNCTIONS or is_cast):
            written = ".".join(path)
            self.findings.add(
                Code.SQL_FUNCTION,
                f"The function `{written}` is not offered here.",
                lambda: _function_fix(path),
                location,
            )
            return
        if name in VOLATILE_FUNCTIONS or (name == "age" and len(node.get("args", ())) == 1):
            self.volatile = True
        if cost.grows(name):
            self._weigh(name, node, location)

    def _weigh(self, name: str, node: Node, location: int) -> None:
        if id(node) in self._weighed:
            return
        size = 1.0
        for call, made in cost.growth(node):
            self._weighed.add(id(call))
            size = max(size, made)
        rows = cost.series_rows(node)
        self._rows *= rows
        self._largest = max(self._largest, size / rows)
        if size > cost.SIZE_MAX:
            message = (
                f"`{name}` would make {_count(size)} characters or elements; at most {cost.SIZE_MAX:,} are allowed."
            )
            self.findings.add(Code.SQL_COST, message, "Use a smaller number.", location)
        elif self._rows * self._largest > cost.PRODUCT_MAX:
            message = f"The constants of this statement make {_count(self._rows * self._largest)} rows or characters."
            self.findings.add(Code.SQL_COST, message, "Use smaller numbers.", location)

    def _type(self, node: Node) -> None:
        path = strings(node.get("names"))
        location = node.get("location", -1)
        if "setof" in node or "pct_type" in node:
            self.findings.add(Code.SQL_TYPE, "SETOF and %TYPE are not offered.", "Name the type itself.", location)
        elif not _is_catalog(path) or path[-1] not in ALLOWED_TYPES:
            message = f"The type `{'.'.join(path)}` is not offered here."
            self.findings.add(Code.SQL_TYPE, message, lambda: _type_fix(path[-1]), location)
        elif path[-1] in PADDED_TYPES:
            length = max((cost.constant(typmod) or 0 for typmod in node.get("typmods", ())), default=0)
            if length > cost.SIZE_MAX:
                message = f"A `{path[-1]}` of length {_count(length)} is too long; at most {cost.SIZE_MAX:,}."
                self.findings.add(Code.SQL_COST, message, "Use text.", location)

    def _operator(self, path: list[str], location: int) -> None:
        if not _is_catalog(path):
            written = ".".join(path)
            message = f"The operator `{written}` is not one of PostgreSQL's own."
            self.findings.add(Code.SQL_OPERATOR, message, f"Write `{path[-1]}` without a schema.", location)
        elif path[-1] not in OPERATORS:
            message = f"The operator `{path[-1]}` is not one of PostgreSQL's own."
            fix = "Use the operators of PostgreSQL, such as = <> < > + - * / % ^ || ~ -> ->> @>."
            if path[-1] in FOREIGN_OPERATORS:
                fix = f"Write {FOREIGN_OPERATORS[path[-1]]}."
            self.findings.add(Code.SQL_OPERATOR, message, fix, location)

    def _expression(self, node: Node) -> None:
        path = strings(node.get("name"))
        if "BETWEEN" not in str(node.get("kind", "")):
            self._operator(path, node.get("location", 0))
        if path[-1:] == ["%"] and "lexpr" not in node:
            message = "`%s` is here neither a placeholder (there are not as many values) nor a modulo."
            self.findings.add(Code.SQL_PARAMS, message, "Send one value for each placeholder.", node.get("location", 0))

    def _sublink(self, node: Node) -> None:
        if "operName" in node:
            self._operator(strings(node["operName"]), node.get("location", 0))

    def _sort(self, node: Node) -> None:
        if "useOp" in node:
            self._operator(strings(node["useOp"]), node.get("location", -1))

    def _collation(self, node: Node) -> None:
        path = strings(node.get("collname"))
        if not _is_catalog(path):
            message = f"The collation `{'.'.join(path)}` is not one of PostgreSQL's own."
            self.findings.add(Code.SQL_TYPE, message, 'Use COLLATE "C" or leave it out.', node.get("location", 0))

    def _constant(self, node: Node) -> None:
        if "sval" in node and node["sval"].get("sval", "").strip().lower() in _CLOCK_WORDS:
            self.volatile = True  # as a date it means another day tomorrow

    def _parameter(self, node: Node) -> None:
        number, location = node.get("number", 0), node.get("location", 0)
        if 1 <= number <= _PARAMETER_MAX:
            self.parameters.setdefault(number, location)
        else:
            message = f"There is no placeholder ${number}."
            self.findings.add(Code.SQL_PARAMS, message, "Number them from $1.", location)

    def _keyword(self, node: Node) -> None:
        operation = str(node.get("op", ""))
        if operation.startswith(_CLOCKS):
            self.volatile = True
            return
        word = operation.removeprefix("SVFOP_").lower()
        message = f"`{word}` tells about the server's own login and is not offered."
        self.findings.add(
            Code.SQL_FUNCTION, message, "Leave it out; you see only your own rows.", node.get("location", 0)
        )

    def _column_definition(self, node: Node) -> None:
        if "typeName" not in node:
            message = f"The column `{node.get('colname', '')}` needs a type."
            self.findings.add(Code.SQL_FORM, message, "Write name type.", node.get("location", 0))

    _RULES: ClassVar[dict[str, Callable[[Names, Node], None]]] = {
        "FuncCall": _function,
        "TypeName": _type,
        "A_Expr": _expression,
        "SubLink": _sublink,
        "SortBy": _sort,
        "CollateClause": _collation,
        "A_Const": _constant,
        "ParamRef": _parameter,
        "SQLValueFunction": _keyword,
        "ColumnDef": _column_definition,
    }


def _is_catalog(path: list[str]) -> bool:
    """Whether a name is bare or qualified with pg_catalog alone."""
    return len(path) == 1 or (len(path) == 2 and path[0] == _CATALOG)  # noqa: PLR2004 - schema and name


def _count(size: float) -> str:
    return f"{size:,.0f}" if size < 1e15 else f"{size:.0e}"  # noqa: PLR2004 - more digits say nothing


def _function_fix(path: list[str]) -> str:
    name = path[-1].lower()
    if name in ALLOWED_FUNCTIONS:
        return f"Write `{name}` without a schema."
    return function_fix(name, DOCUMENTED_FUNCTIONS)


def _type_fix(name: str) -> str:
    if name in FOREIGN_TYPES:
        return f"Write {FOREIGN_TYPES[name]}."
    if name.startswith("_") and name[1:] in ALLOWED_TYPES:
        return f"Write {name[1:]}[]."
    found = nearest(name, ALLOWED_TYPES)
    return f"Did you mean {found}?" if found else "Use one of PostgreSQL's plain types, such as text, numeric or date."
