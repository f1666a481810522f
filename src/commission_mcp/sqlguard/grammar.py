"""What a SELECT may consist of: the node kinds the guard knows, and for each the fields that hold other nodes.

Everything else is refused: a kind that is not listed, and a field with nodes in it that is not listed. So a construct
that a later parser brings, or that nobody thought of, stays outside until someone has judged it.
"""

from __future__ import annotations

_ANY = ""  # the value says itself which kind it is

FIELDS: dict[str, dict[str, str]] = {
    # queries; `query` handles them
    "SelectStmt": {
        "distinctClause": _ANY,
        "targetList": _ANY,
        "fromClause": _ANY,
        "whereClause": _ANY,
        "groupClause": _ANY,
        "havingClause": _ANY,
        "windowClause": _ANY,
        "valuesLists": _ANY,
        "sortClause": _ANY,
        "limitOffset": _ANY,
        "limitCount": _ANY,
        "withClause": "WithClause",
        "larg": "SelectStmt",
        "rarg": "SelectStmt",
    },
    "WithClause": {"ctes": _ANY},
    "CommonTableExpr": {
        "aliascolnames": _ANY,
        "ctequery": _ANY,
        "search_clause": "CTESearchClause",
        "cycle_clause": "CTECycleClause",
    },
    "CTESearchClause": {"search_col_list": _ANY},
    "CTECycleClause": {"cycle_col_list": _ANY, "cycle_mark_value": _ANY, "cycle_mark_default": _ANY},
    # sources; `sources` handles them
    "RangeVar": {"alias": "Alias"},
    "RangeSubselect": {"subquery": _ANY, "alias": "Alias"},
    "RangeFunction": {"functions": _ANY, "alias": "Alias", "coldeflist": _ANY},
    "JoinExpr": {
        "larg": _ANY,
        "rarg": _ANY,
        "usingClause": _ANY,
        "join_using_alias": "Alias",
        "quals": _ANY,
        "alias": "Alias",
    },
    "RangeTableFunc": {"docexpr": _ANY, "rowexpr": _ANY, "namespaces": _ANY, "columns": _ANY, "alias": "Alias"},
    "JsonTable": {
        "context_item": "JsonValueExpr",
        "pathspec": "JsonTablePathSpec",
        "passing": _ANY,
        "columns": _ANY,
        "on_error": "JsonBehavior",
        "alias": "Alias",
    },
    # expressions; `expressions` walks them
    "ResTarget": {"val": _ANY},
    "ColumnRef": {"fields": _ANY},
    "ParamRef": {},
    "A_Const": dict.fromkeys(("ival", "fval", "sval", "bsval", "boolval"), "Constant"),
    "A_Expr": {"name": _ANY, "lexpr": _ANY, "rexpr": _ANY},
    "A_Star": {},
    "A_Indices": {"lidx": _ANY, "uidx": _ANY},
    "A_Indirection": {"arg": _ANY, "indirection": _ANY},
    "A_ArrayExpr": {"elements": _ANY},
    "TypeCast": {"arg": _ANY, "typeName": "TypeName"},
    "TypeName": {"names": _ANY, "typmods": _ANY, "arrayBounds": _ANY},
    "CollateClause": {"arg": _ANY, "collname": _ANY},
    "FuncCall": {"funcname": _ANY, "args": _ANY, "agg_order": _ANY, "agg_filter": _ANY, "over": "WindowDef"},
    "NamedArgExpr": {"arg": _ANY},
    "BoolExpr": {"args": _ANY},
    "NullTest": {"arg": _ANY},
    "BooleanTest": {"arg": _ANY},
    "CaseExpr": {"arg": _ANY, "args": _ANY, "defresult": _ANY},
    "CaseWhen": {"expr": _ANY, "result": _ANY},
    "CoalesceExpr": {"args": _ANY},
    "MinMaxExpr": {"args": _ANY},
    "RowExpr": {"args": _ANY, "colnames": _ANY},
    "SubLink": {"testexpr": _ANY, "operName": _ANY, "subselect": _ANY},
    "GroupingSet": {"content": _ANY},
    "GroupingFunc": {"args": _ANY},
    "SortBy": {"node": _ANY, "useOp": _ANY},
    "WindowDef": {"partitionClause": _ANY, "orderClause": _ANY, "startOffset": _ANY, "endOffset": _ANY},
    "SQLValueFunction": {},
    "ColumnDef": {"typeName": "TypeName", "collClause": "CollateClause"},
    "Alias": {"colnames": _ANY},
    # SQL/XML
    "XmlExpr": {"named_args": _ANY, "args": _ANY},
    "XmlSerialize": {"expr": _ANY, "typeName": "TypeName"},
    "RangeTableFuncCol": {"typeName": "TypeName", "colexpr": _ANY, "coldefexpr": _ANY},
    # SQL/JSON
    "JsonFormat": {},
    "JsonReturning": {"format": "JsonFormat"},
    "JsonOutput": {"typeName": "TypeName", "returning": "JsonReturning"},
    "JsonValueExpr": {"raw_expr": _ANY, "formatted_expr": _ANY, "format": "JsonFormat"},
    "JsonKeyValue": {"key": _ANY, "value": "JsonValueExpr"},
    "JsonObjectConstructor": {"exprs": _ANY, "output": "JsonOutput"},
    "JsonArrayConstructor": {"exprs": _ANY, "output": "JsonOutput"},
    "JsonArrayQueryConstructor": {"query": _ANY, "output": "JsonOutput", "format": "JsonFormat"},
    "JsonObjectAgg": {"constructor": "JsonAggConstructor", "arg": "JsonKeyValue"},
    "JsonArrayAgg": {"constructor": "JsonAggConstructor", "arg": "JsonValueExpr"},
    "JsonAggConstructor": {"output": "JsonOutput", "agg_filter": _ANY, "agg_order": _ANY, "over": "WindowDef"},
    "JsonIsPredicate": {"expr": _ANY, "format": "JsonFormat"},
    "JsonParseExpr": {"expr": "JsonValueExpr", "output": "JsonOutput"},
    "JsonScalarExpr": {"expr": _ANY, "output": "JsonOutput"},
    "JsonSerializeExpr": {"expr": "JsonValueExpr", "output": "JsonOutput"},
    "JsonFuncExpr": {
        "context_item": "JsonValueExpr",
        "pathspec": _ANY,
        "passing": _ANY,
        "output": "JsonOutput",
        "on_empty": "JsonBehavior",
        "on_error": "JsonBehavior",
    },
    "JsonArgument": {"val": "JsonValueExpr"},
    "JsonBehavior": {"expr": _ANY},
    "JsonTablePathSpec": {"string": _ANY},
    "JsonTableColumn": {
        "typeName": "TypeName",
        "pathspec": "JsonTablePathSpec",
        "format": "JsonFormat",
        "columns": _ANY,
        "on_empty": "JsonBehavior",
        "on_error": "JsonBehavior",
    },
    # leaves
    "List": {"items": _ANY},
    "String": {},
    "Integer": {},
    "Float": {},
    "Boolean": {},
    "BitString": {},
    "Constant": {},
}
"""Node kind -> field that may hold nodes -> the kind of what it holds, or '' if that is named with it."""

SOURCE_KINDS = frozenset(
    {"RangeVar", "RangeSubselect", "RangeFunction", "JoinExpr", "RangeTableFunc", "JsonTable", "WithClause"}
)
"""What belongs into FROM or WITH and is wrong inside an expression."""

SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
"""Columns of every table that show its physical storage."""
