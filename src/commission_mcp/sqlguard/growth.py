"""Whether a statement can make values whose size its text does not show."""

from __future__ import annotations

from collections.abc import Callable

from commission_mcp.sqlguard import cost
from commission_mcp.sqlguard.tree import Node, strings

_SIZE_MAX = 30_000  # characters or elements; two such values are compared part by part within a second or two
_USUAL_SIZE = 100  # of a value that is stored
_UNKNOWN = 1_000.0  # by what a call may grow a value when its arguments do not say

_GATHERING = frozenset(
    """
    array_agg array_fill array_cat string_to_array regexp_split_to_array regexp_matches array_replace array_remove
    string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg to_json to_jsonb xmlagg jsonb_path_query_array
    json_build_array jsonb_build_array array_to_json range_agg json_agg_strict jsonb_agg_strict row_to_json
    json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_object_agg_strict
    jsonb_object_agg_unique jsonb_object_agg_unique_strict
    """.split()  # noqa: SIM905 - reads better as a paragraph
)
"""Functions that make one value of many rows, or of a size that nothing in the text bounds."""

_GATHERING_KINDS = frozenset({"JsonArrayAgg", "JsonObjectAgg", "JsonArrayQueryConstructor"})


class Growth:
    """Gathers, over a whole statement, what makes values larger."""

    def __init__(self) -> None:
        self._gathers = self._recurses = False
        self._added = 0.0  # by operators that put values together
        self._multiplied = 1.0
        self._queries = 0
        self._longest = _USUAL_SIZE

    def note(self, kind: str, node: Node) -> None:
        """Look at one node of the statement."""
        if kind in _GATHERING_KINDS or (kind == "SubLink" and node.get("subLinkType") == "ARRAY_SUBLINK"):
            self._gathers = True
        elif kind == "SelectStmt":
            self._queries += 1
        elif kind == "A_Const":
            self._longest = max(self._longest, len(node.get("sval", {}).get("sval", "")))
        elif kind == "A_Expr":
            self._added += strings(node.get("name"))[-1:] == ["||"]
        elif kind in {"A_ArrayExpr", "RowExpr"}:
            self._added += max(0, len(node.get("elements", node.get("args", ()))) - 1)
        elif kind == "FuncCall":
            self._call(strings(node["funcname"])[-1], list(node.get("args", ())), node)

    def recurses(self) -> None:
        """Note a WITH RECURSIVE: what it puts together, it puts together again and again."""
        self._recurses = True

    @property
    def is_unbounded(self) -> bool:
        """Whether some value may come out much larger than any in the text or in the tables."""
        if self._gathers or (self._recurses and (self._added or self._multiplied > 1)):
            return True
        # Putting together in n queries, each over the one before, multiplies; within one query it adds.
        steps = min(float(self._queries), self._added) or 1.0
        return self._longest * self._multiplied * (1 + self._added / steps) ** min(steps, 100.0) > _SIZE_MAX

    def _call(self, name: str, arguments: list[Node], node: Node) -> None:
        if name in _GATHERING:
            self._gathers = True
        elif name in _JOINING:
            self._added += max(1, len(arguments) - 1)
        elif name in _FACTORS:
            self._multiplied = min(1e12, self._multiplied * _FACTORS[name](arguments, node))


def _replacement(arguments: list[Node], node: Node) -> float:
    del node
    text = cost.text_constant(arguments[2]) if len(arguments) > 2 else ""  # noqa: PLR2004 - what is put in its place
    return _UNKNOWN if text is None else max(1.0, len(text))


def _repetition(arguments: list[Node], node: Node) -> float:
    known = len(arguments) > 1 and cost.constant(arguments[1]) is not None
    return max(size for _, size in cost.growth(node)) if known else _UNKNOWN


def _doubling(arguments: list[Node], node: Node) -> float:
    del arguments, node
    return 2.0


_JOINING = frozenset(
    """
    concat concat_ws format array_append array_prepend overlay jsonb_set jsonb_set_lax jsonb_insert json_build_object
    jsonb_build_object jsonb_object json_object jsonb_concat array_to_string
    """.split()  # noqa: SIM905 - as above
)
_FACTORS: dict[str, Callable[[list[Node], Node], float]] = {
    **dict.fromkeys(("replace", "regexp_replace"), _replacement),
    **dict.fromkeys(("repeat", "lpad", "rpad"), _repetition),
    **dict.fromkeys(("encode", "quote_literal", "quote_ident", "quote_nullable", "byteaout", "convert_to"), _doubling),
}
