"""How PostgreSQL names an output column that has no alias."""

from __future__ import annotations

from collections.abc import Callable

from commission_mcp.sqlguard.tree import Node, strings, unwrap

UNNAMED = "?column?"

_FIXED: dict[str, str] = {
    "A_ArrayExpr": "array",
    "RowExpr": "row",
    "CoalesceExpr": "coalesce",
    "GroupingFunc": "grouping",
    "XmlSerialize": "xmlserialize",
    "JsonParseExpr": "json",
    "JsonScalarExpr": "json_scalar",
    "JsonSerializeExpr": "json_serialize",
    "JsonObjectConstructor": "json_object",
    "JsonArrayConstructor": "json_array",
    "JsonArrayQueryConstructor": "json_array",
    "JsonObjectAgg": "json_objectagg",
    "JsonArrayAgg": "json_arrayagg",
}
_XML = {
    "IS_XMLCONCAT": "xmlconcat",
    "IS_XMLELEMENT": "xmlelement",
    "IS_XMLFOREST": "xmlforest",
    "IS_XMLPARSE": "xmlparse",
    "IS_XMLPI": "xmlpi",
    "IS_XMLROOT": "xmlroot",
}
_JSON = {"JSON_EXISTS_OP": "json_exists", "JSON_QUERY_OP": "json_query", "JSON_VALUE_OP": "json_value"}
_SUBLINK = {"EXISTS_SUBLINK": "exists", "ARRAY_SUBLINK": "array"}


def output_name(target: Node) -> str:
    """The name of an output column, given its ResTarget."""
    return target.get("name") or expression_name(target.get("val", {}))


def expression_name(wrapped: Node) -> str:
    """The name that an expression gives to its column; a cast's and a CASE's only for want of a better one."""
    weak = ""
    while True:
        kind, node = unwrap(wrapped)
        if kind == "CollateClause":
            wrapped = node.get("arg", {})
        elif kind == "TypeCast":
            weak = weak or strings(node["typeName"].get("names"))[-1]
            wrapped = node.get("arg", {})
        elif kind == "CaseExpr":
            weak = "case" if unwrap(node.get("defresult", {}))[0] not in _PASSING else weak or "case"
            wrapped = node.get("defresult", {})
        elif kind == "A_Indirection" and not _field(node):
            wrapped = node.get("arg", {})
        elif _is_scalar_subquery(kind, node):
            wrapped = _first_target(node)
        else:
            return _own_name(kind, node) or weak or UNNAMED


def names_itself(target: Node) -> bool:
    """Whether an output has a name of its own, which ORDER BY can use, and not merely that of the column it shows."""
    wrapped: Node = target.get("val", {})
    while (kind := unwrap(wrapped)[0]) in {"TypeCast", "CollateClause"}:
        wrapped = wrapped[kind].get("arg", {})
    return bool(target.get("name")) or kind != "ColumnRef"


_PASSING = frozenset({"CollateClause", "TypeCast", "CaseExpr"})


def _own_name(kind: str, node: Node) -> str:
    """The name by the kind of the expression alone; '' if it gives none."""
    rule = _RULES.get(kind)
    return rule(node) if rule else _FIXED.get(kind, "")


def _field(node: Node) -> str:
    """The last field that ``(x).a[1].b`` selects; '' if there is none."""
    names = [name for name in strings(_only(node.get("indirection", []), "String")) if name]
    return names[-1] if names else ""


def _only(wrapped: list[Node], kind: str) -> list[Node]:
    return [node for node in wrapped if kind in node]


def _is_scalar_subquery(kind: str, node: Node) -> bool:
    return kind == "SubLink" and node.get("subLinkType") == "EXPR_SUBLINK"


def _first_target(sublink: Node) -> Node:
    """What the first column of a scalar subquery is made of, as an expression."""
    _, select = unwrap(sublink["subselect"])
    while "larg" in select:
        select = select["larg"]
    if "valuesLists" in select:
        return {"ColumnRef": {"fields": [{"String": {"sval": "column1"}}]}}
    for target in select.get("targetList", ()):
        _, fields = unwrap(target)
        if fields.get("name"):
            return {"ColumnRef": {"fields": [{"String": {"sval": fields["name"]}}]}}
        return fields.get("val", {})
    return {}


_RULES: dict[str, Callable[[Node], str]] = {
    "ColumnRef": lambda node: strings(_only(node["fields"], "String"))[-1] if _only(node["fields"], "String") else "",
    "A_Indirection": _field,
    "FuncCall": lambda node: strings(node["funcname"])[-1],
    "A_Expr": lambda node: "nullif" if node.get("kind") == "AEXPR_NULLIF" else "",
    "MinMaxExpr": lambda node: "least" if node.get("op") == "IS_LEAST" else "greatest",
    "SubLink": lambda node: _SUBLINK.get(node.get("subLinkType", ""), ""),
    "SQLValueFunction": lambda node: str(node.get("op", "")).removeprefix("SVFOP_").removesuffix("_N").lower(),
    "XmlExpr": lambda node: _XML.get(node.get("op", ""), ""),
    "JsonFuncExpr": lambda node: _JSON.get(node.get("op", ""), ""),
}
