"""Work that no time limit stops: comparing every part of one value with every part of another.

PostgreSQL looks for a cancellation between rows and between calls, not inside one. Containment of arrays, trimming by
a set of characters, looking for a long text in a longer one and their like take time by the product of two sizes
within one call: two arrays of 300,000 elements take half an hour, and neither `statement_timeout` nor ending the
session interrupts it. So one side has to be small as it stands in the text or in a table, unless the statement builds
nothing whose size the text does not show. On PostgreSQL 18 with sizes of 30,000 to 300,000 they took 1 to 160 s past a
limit of 0.1 s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from commission_mcp.errors import Code
from commission_mcp.sqlguard import cost
from commission_mcp.sqlguard.findings import Findings
from commission_mcp.sqlguard.growth import Growth
from commission_mcp.sqlguard.paths import compares_two_paths, is_simple_xpath
from commission_mcp.sqlguard.scope import Scope
from commission_mcp.sqlguard.tree import Node, strings, unwrap

SMALL_MAX = 1_000
"""How many elements or characters a side may have to count as small."""

_QUERY_MAX = 200  # characters of a text search query: ranking compares its words in pairs
_MATCHING = frozenset({"~~", "!~~", "~~*", "!~~*"})
_OPERATORS = frozenset({"&&", "@>", "<@", "?|", "?&"}) | _MATCHING
_JSONPATH_OPERATORS = frozenset({"@?", "@@"})

_TWO_SIDED = frozenset(
    """
    arrayoverlap arraycontains arraycontained jsonb_contains jsonb_contained jsonb_exists_any jsonb_exists_all like
    notlike bytealike byteanlike textlike textnlike bpcharlike bpcharnlike namelike namenlike texticlike texticnlike
    strpos position textpos replace split_part string_to_array string_to_table to_date to_timestamp btrim ltrim rtrim
    byteatrim
    """.split()  # noqa: SIM905 - reads better as a paragraph
)
_XPATHS = frozenset({"xpath", "xpath_exists", "xmlexists"})
_JSONPATHS = frozenset(
    """
    jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first
    jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_tz jsonb_path_query_array_tz jsonb_path_query_first_tz
    jsonb_path_exists_opr jsonb_path_match_opr
    """.split()  # noqa: SIM905 - as above
)
_SHOWN = {"~~": "LIKE", "!~~": "NOT LIKE", "~~*": "ILIKE", "!~~*": "NOT ILIKE", "position": "strpos"}
_KEEPING = frozenset(
    """
    lower upper initcap btrim ltrim rtrim trim to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery text
    jsonb_build_object json_build_object date_trunc to_char concat like_escape similar_to_escape
    """.split()  # noqa: SIM905 - as above
)
"""Functions whose result is about as large as their arguments."""


class _Place(NamedTuple):
    """One call or operator: what it is called, what its place can see, and where it stands."""

    name: str
    scope: Scope
    location: int


class Pairwise:
    """Gathers, over a whole statement, what compares parts pairwise and what builds values of unknown size.

    Attributes:
        small: The parameters that were counted on as small, and how many characters or elements each may have.
    """

    def __init__(self) -> None:
        self.growth = Growth()
        self.small: dict[int, int] = {}
        self._open_sided: list[_Place] = []
        self._always: list[_Place] = []

    def note(self, kind: str, node: Node, scope: Scope) -> None:
        """Look at one node of the statement, with what its place can see."""
        self.growth.note(kind, node)
        location = int(node.get("location", 0))
        if kind == "A_Expr":
            name = (strings(node.get("name")) or [""])[-1]
            self._operator([node.get("lexpr", {}), node.get("rexpr", {})], _Place(name, scope, location))
        elif kind == "FuncCall":
            name = strings(node["funcname"])[-1]
            rule = self._RULES.get(name)
            if rule is not None:
                rule(self, [_argument(each) for each in node.get("args", ())], _Place(name, scope, location))
        elif kind in {"JsonFuncExpr", "JsonTable"}:
            self._json_function(kind, node, _Place("JSON path", scope, location))
        elif kind in {"RangeTableFunc", "RangeTableFuncCol"}:
            path = node.get("rowexpr", node.get("colexpr"))
            self._xpath([path] if path else [], _Place("xmltable", scope, location))

    def report(self, findings: Findings) -> None:
        """Refuse what may compare two large values."""
        for place in self._always:
            findings.add(
                Code.SQL_COST,
                f"The path of `{place.name}` may look at every element for every element.",
                "Write it as a literal of at most 200 characters, without a filter inside a filter.",
                place.location,
            )
        if not self.growth.is_unbounded:
            return
        for place in self._open_sided:
            findings.add(
                Code.SQL_COST,
                f"`{_SHOWN.get(place.name, place.name)}` compares every part of one value with every part of the "
                "other, and this statement builds values of any size.",
                "Write one side as a literal or a parameter, or compare before aggregating, in a query of its own.",
                place.location,
            )

    def _operator(self, sides: list[Node], place: _Place) -> None:
        if place.name in _OPERATORS:
            self._compare(sides, place)
        elif place.name in _JSONPATH_OPERATORS:
            self._jsonpath(sides, place)

    def _compare(self, sides: Sequence[Node], place: _Place) -> None:
        if not any(self._is_small(side, place.scope) for side in sides):
            self._open_sided.append(place)

    def _first_two(self, arguments: list[Node], place: _Place) -> None:
        if len(arguments) > 1:
            self._compare(arguments[:2], place)

    def _first(self, arguments: list[Node], place: _Place) -> None:
        self._compare(arguments[:1], place)

    def _second(self, arguments: list[Node], place: _Place) -> None:
        self._compare(arguments[1:2], place)

    def _rank(self, arguments: list[Node], place: _Place) -> None:
        """``ts_rank([weights,] vector, query [, norm])``: the words of the query are compared in pairs."""
        has_norm = len(arguments) > 2 and cost.constant(arguments[-1]) is not None  # noqa: PLR2004 - vector, query
        query = arguments[-2 if has_norm else -1] if len(arguments) > 1 else {}
        if not self._is_small(query, place.scope, _QUERY_MAX):
            self._open_sided.append(place)

    def _jsonpath(self, arguments: list[Node], place: _Place) -> None:
        if len(arguments) > 1:
            path = cost.text_constant(cost.unwrap_cast(arguments[1]))
            self._cross(path, arguments[0], arguments[2:3], place)

    def _json_function(self, kind: str, node: Node, place: _Place) -> None:
        spec = node.get("pathspec", {})
        path = cost.text_constant(spec.get("string", {}) if kind == "JsonTable" else spec)
        passing = [unwrap(each)[1].get("val", {}).get("raw_expr", {}) for each in node.get("passing", ())]
        self._cross(path, node.get("context_item", {}).get("raw_expr", {}), passing, place)

    def _cross(self, path: str | None, document: Node, variables: Sequence[Node], place: _Place) -> None:
        small_variables = all(self._is_small(each, place.scope) for each in variables)
        if path is None or compares_two_paths(path, small_variables=small_variables):
            self._compare([document], place)

    def _xpath(self, arguments: list[Node], place: _Place) -> None:
        path = cost.text_constant(cost.unwrap_cast(arguments[0])) if arguments else ""
        if path is None or not is_simple_xpath(path):
            self._always.append(place)
        if len(arguments) > 1:
            self._compare(arguments[1:2], place)

    def _is_small(self, wrapped: Node, scope: Scope, most: int = SMALL_MAX) -> bool:
        """Whether a value is small as it stands: a short literal, a parameter, a stored column, or made of these."""
        pending, elements = [wrapped], 0
        while pending:
            kind, node = unwrap(pending.pop())
            parts = _parts(kind, node)
            elements += 1 if parts is None else len(parts)
            if elements > most or (parts is None and not self._is_small_leaf(kind, node, scope, most)):
                return False
            pending += parts or ()
        return True

    def _is_small_leaf(self, kind: str, node: Node, scope: Scope, most: int) -> bool:
        if kind == "A_Const":
            return len(str(node.get("sval", {}).get("sval", ""))) <= most
        if kind == "ParamRef":
            number = int(node.get("number", 0))
            self.small[number] = min(most, self.small.get(number, most))
            return True
        return kind == "ColumnRef" and _is_stored(strings(node["fields"]), scope)

    _RULES: ClassVar[dict[str, Callable[[Pairwise, list[Node], _Place], None]]] = {
        **dict.fromkeys(_TWO_SIDED, _first_two),
        **dict.fromkeys(("normalize", "is_normalized"), _first),
        **dict.fromkeys(("ts_rank", "ts_rank_cd"), _rank),
        **dict.fromkeys(_XPATHS, _xpath),
        **dict.fromkeys(_JSONPATHS, _jsonpath),
        "translate": _second,
    }


def _is_stored(path: list[str], scope: Scope) -> bool:
    """Whether a name means a column of a relation itself, not of a query over it."""
    *qualifier, name = path
    if qualifier:
        source = scope.qualified(qualifier)
        return source is not None and source.is_stored and name in source.by_name
    return scope.is_stored(name)


def _parts(kind: str, node: Node) -> list[Node] | None:
    """What a value consists of that is as small as its parts; None for what is no such thing."""
    if kind in {"TypeCast", "CollateClause", "NamedArgExpr"}:
        return [node["arg"]]
    if kind == "A_ArrayExpr":
        return list(node.get("elements", ()))
    if kind == "A_Expr" and strings(node.get("name"))[-1:] == ["||"]:
        return [node.get("lexpr", {}), node.get("rexpr", {})]
    if kind == "FuncCall" and strings(node["funcname"])[-1] in _KEEPING:
        return list(node.get("args", ()))
    return None


def _argument(wrapped: Node) -> Node:
    """An argument without its name."""
    kind, node = unwrap(wrapped)
    return node.get("arg", {}) if kind == "NamedArgExpr" else wrapped
