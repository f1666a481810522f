"""The types that a statement may name, and what people from other databases call them."""

from __future__ import annotations

_SCALARS = """
    bool int2 int4 int8 numeric float4 float8 money
    text varchar bpchar char name bytea bit varbit uuid
    date time timetz timestamp timestamptz interval
    json jsonb jsonpath xml tsvector tsquery
    inet cidr macaddr macaddr8
    point line lseg box circle
    int4range int8range numrange tsrange tstzrange daterange
    int4multirange int8multirange nummultirange tsmultirange tstzmultirange datemultirange
"""

ALLOWED_TYPES: frozenset[str] = frozenset(_SCALARS.split())
"""Types of pg_catalog whose input functions look at nothing but their text; arrays of them are allowed too.

Not path and polygon: comparing two of them takes time by the product of their points, and nothing can stop it.
"""

PADDED_TYPES: frozenset[str] = frozenset({"bpchar", "bit"})
"""Types that fill up a value to the declared length."""

FOREIGN_TYPES: dict[str, str] = {
    "datetime": "timestamp",
    "datetime2": "timestamp",
    "smalldatetime": "timestamp",
    "string": "text",
    "nvarchar": "text",
    "varchar2": "text",
    "clob": "text",
    "number": "numeric",
    "double": "float8",
    "float64": "float8",
    "int64": "int8",
    "long": "int8",
    "tinyint": "int2",
    "unsigned": "int8",
    "signed": "int8",
    "blob": "bytea",
    **dict.fromkeys(("year", "quarter", "month", "week", "day", "hour"), "extract(year from value) and the like"),
    **dict.fromkeys(("regclass", "regproc", "regrole", "regtype", "oid"), "no cast; call `schema` for what there is"),
    "record": "to_jsonb(row), or the columns by name",
    "regconfig": "no cast, as in `to_tsvector('english', ...)`",
}
"""What to write here for the types of other databases."""
