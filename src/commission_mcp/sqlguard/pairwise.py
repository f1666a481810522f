"""Work that no time limit stops: comparing every part of one value with every part of another.

PostgreSQL looks for a cancellation between rows and between calls, not inside one. Containment of arrays and trimming
by a set of characters take time by the product of two sizes within one call: two arrays of 300,000 elements take half
an hour, and neither `statement_timeout` nor ending the session interrupts it. So one side has to be small as it stands
in the text, unless the statement builds nothing whose size the text does not show.
"""

from __future__ import annotations

from collections.abc import Sequence

from commission_mcp.errors import Code
from commission_mcp.sqlguard.findings import Findings
from commission_mcp.sqlguard.tree import Node, strings, unwrap

_SMALL_MAX = 1_000  # elements or characters
_OPERATORS = frozenset({"&&", "@>", "<@"})
_COMPARING = frozenset({"arrayoverlap", "arraycontains", "arraycontained", "jsonb_contains", "jsonb_contained"})
_TRIMMING = frozenset({"btrim", "ltrim", "rtrim", "translate", "byteatrim", "byteanlike"})
_BUILDERS = """
    array_agg array_fill array_cat string_to_array regexp_split_to_array regexp_matches array_replace array_remove
    string_agg repeat lpad rpad json_agg jsonb_agg json_object_agg jsonb_object_agg to_json to_jsonb xmlagg
    jsonb_path_query_array json_build_array jsonb_build_array array_to_json range_agg
"""
_BUILDING = frozenset(_BUILDERS.split())


class Pairwise:
    """Gathers, over a whole statement, what compares parts pairwise and what builds values of unknown size."""

    def __init__(self) -> None:
        self._open_sided: list[tuple[str, int]] = []
        self._builds = False

    def note(self, kind: str, node: Node) -> None:
        """Look at one node of the statement."""
        if kind == "A_Expr":
            name = strings(node.get("name"))[-1:]
            if name and name[0] in _OPERATORS:
                self._compare(name[0], [node.get("lexpr", {}), node.get("rexpr", {})], node)
        elif kind == "FuncCall":
            self._call(strings(node.get("funcname"))[-1], node)
        elif kind == "SubLink" and node.get("subLinkType") == "ARRAY_SUBLINK":
            self._builds = True

    def report(self, findings: Findings) -> None:
        """Refuse what may compare two large values."""
        if not self._builds:
            return
        for name, location in self._open_sided:
            findings.add(
                Code.SQL_COST,
                f"`{name}` compares every part of one value with every part of the other, and this statement builds "
                "values of any size.",
                "Write one side as a literal list or a parameter, or join over unnest() instead.",
                location,
            )

    def _call(self, name: str, node: Node) -> None:
        arguments: list[Node] = list(node.get("args", ()))
        if name in _COMPARING:
            self._compare(name, arguments, node)
        elif name in _TRIMMING and len(arguments) > 1:
            self._compare(name, arguments[1:2], node)
        self._builds = self._builds or name in _BUILDING

    def _compare(self, name: str, sides: Sequence[Node], node: Node) -> None:
        if not any(_is_small(side) for side in sides):
            self._open_sided.append((name, int(node.get("location", 0))))


def _is_small(wrapped: Node) -> bool:
    kind, node = unwrap(wrapped) if wrapped else ("", {})
    while kind in {"TypeCast", "CollateClause", "NamedArgExpr"}:
        kind, node = unwrap(node["arg"])
    if kind == "A_ArrayExpr":
        elements: list[Node] = list(node.get("elements", ()))
        return len(elements) <= _SMALL_MAX and all(_is_small(element) for element in elements)
    text = str(node.get("sval", {}).get("sval", "")) if kind == "A_Const" else ""
    return kind in {"A_Const", "ParamRef"} and len(text) <= _SMALL_MAX
