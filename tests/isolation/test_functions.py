"""Every function that a reader may execute, called at least once, and what kind of functions those are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from commission_mcp.sqlguard import VOLATILE_FUNCTIONS

if TYPE_CHECKING:
    from .conftest import Attacker, Witness

pytestmark = pytest.mark.anyio

_EXECUTABLE = """
SELECT p.oid, p.oid::regprocedure::text, p.proname::text, p.prokind::text, p.proretset,
       ARRAY(SELECT format_type(t, NULL) FROM unnest(string_to_array(p.proargtypes::text, ' ')::oid[]) t)
FROM pg_proc p
WHERE has_function_privilege('cm_reader', p.oid, 'EXECUTE') AND p.pronamespace = 'pg_catalog'::regnamespace
ORDER BY p.oid
"""

# A value of each type; the text is from a view, so that what a function shows of it is the client's own.
_VALUES = {
    "text": "s.customer",
    "character varying": "s.customer",
    "name": "'UTF8'",
    "character": "'c'::bpchar",
    '"char"': "'c'::\"char\"",
    "integer": "2",
    "bigint": "3::int8",
    "smallint": "1::int2",
    "numeric": "s.net",
    "real": "1.5::float4",
    "double precision": "2.5::float8",
    "boolean": "true",
    "date": "s.sold_on",
    "oid": "16500::oid",
    "timestamp without time zone": "timestamp '2025-01-01 10:00'",
    "timestamp with time zone": "now()",
    "time without time zone": "time '10:00'",
    "time with time zone": "timetz '10:00+01'",
    "interval": "interval '1 day'",
    "uuid": "'00000000-0000-7000-8000-000000000000'::uuid",
    "bytea": "'\\x616263'::bytea",
    "json": "'{\"a\": [1]}'::json",
    "jsonb": "'{\"a\": [1]}'::jsonb",
    "jsonpath": "'$.a'::jsonpath",
    "xml": "'<a/>'::xml",
    "money": "'1'::money",
    "bit": "B'101'",
    "bit varying": "B'101'::varbit",
    "inet": "'10.0.0.1/8'::inet",
    "cidr": "'10.0.0.0/8'::cidr",
    "macaddr": "'08:00:2b:01:02:03'::macaddr",
    "macaddr8": "'08:00:2b:01:02:03:04:05'::macaddr8",
    "point": "'(1,2)'::point",
    "line": "'{1,2,3}'::line",
    "lseg": "'[(1,2),(3,4)]'::lseg",
    "box": "'(1,2),(3,4)'::box",
    "path": "'[(1,2),(3,4)]'::path",
    "polygon": "'((1,2),(3,4),(5,0))'::polygon",
    "circle": "'<(1,2),3>'::circle",
    "tsvector": "'a:1 b:2'::tsvector",
    "tsquery": "'a & b'::tsquery",
    "regconfig": "'simple'::regconfig",
    "regdictionary": "'simple'::regdictionary",
    "pg_lsn": "'0/1'::pg_lsn",
    "xid": "'3'::xid",
    "xid8": "'3'::xid8",
    "cid": "'0'::cid",
    "tid": "'(0,1)'::tid",
    "oidvector": "'1 2'::oidvector",
    "int2vector": "'1 2'::int2vector",
    "record": "s",
    "text[]": "ARRAY[s.customer]",
    "integer[]": "ARRAY[1, 2]",
    "bigint[]": "ARRAY[1, 2]::int8[]",
    "double precision[]": "ARRAY[0.5]::float8[]",
    "json[]": "ARRAY['1'::json]",
    "numeric[]": "ARRAY[1.5]",
    "xml[]": "ARRAY['<a/>'::xml]",
    '"char"[]': "ARRAY['a'::\"char\"]",
    "anyelement": "s.customer",
    "anyarray": "ARRAY[s.customer]",
    "anynonarray": "s.net",
    "anycompatible": "s.customer",
    "anycompatiblearray": "ARRAY[s.customer]",
    '"any"': "s.customer",
    "anyenum": "NULL",
    "anyrange": "int4range(1, 3)",
    "anymultirange": "int4multirange(int4range(1, 3))",
    "anycompatiblerange": "int4range(1, 3)",
    "anycompatiblemultirange": "int4multirange(int4range(1, 3))",
    "anycompatiblenonarray": "s.net",
    "refcursor": "'c'::refcursor",
    "int4range": "int4range(1, 3)",
    "numrange": "numrange(1, 3)",
    "daterange": "daterange('2025-01-01', '2025-02-01')",
    "int8range": "int8range(1, 3)",
    "tsrange": "tsrange(NULL, '2025-02-01')",
    "tstzrange": "tstzrange(NULL, '2025-02-01')",
    "pg_snapshot": "'1:2:'::pg_snapshot",
}

# What reads another session, the server, files or catalogs; none of these may be executable, on any version.
_NEVER = (
    r"^(pg_(stat|ls_|read|get|lock|advisory|try|current|wal|backup|logical|replication|notif|sleep|cancel|terminate|"
    r"relation|table_size|total|database|tablespace|is_|has_|my_|postmaster|safe|export|import|sequence|describe|"
    r"identify|control|config|show|options|log|rotate|reload|promote|switch|create|drop|nextoid|column_(?!size)|"
    r"trigger|opc|ts_|type_is|function|operator|opfamily|collation_(?!for)|conversion|statistics|timezone|hba|ident|"
    r"available|prepared|cursor|file|mcv|snapshot|xact|visible|last|blocking|isolation|jit|filenode|partition)|"
    r"lo_|lo(read|write|creat)|txid_|has_|to_reg|row_security|current_(setting|schema|query|database|user)|set_config|"
    r"setseed|nextval|currval|lastval|setval|col_desc|obj_desc|shobj|inet_(client|server)|version$|(query|table|"
    r"schema|database|cursor)_to_xml|ts_(stat|rewrite|debug|parse|token)|currtid|fmgr|binary_upgrade|satisfies_hash|"
    r"amvalidate|brin_|gin_|mxid|format_type|session_user|getpgusername|.*(in|out|recv|send)_?reg|dblink)"
)


class Function(NamedTuple):
    """A function that a reader may execute."""

    oid: int
    signature: str
    name: str
    kind: str
    many: bool
    arguments: list[str]


def _executable(witness: Witness) -> list[Function]:
    return [Function(*row) for row in witness.connection.execute(_EXECUTABLE).fetchall()]


def _call(function: Function) -> str:
    """A SELECT that calls it over the caller's own sales."""
    arguments = ", ".join(_VALUES.get(each, "NULL") for each in function.arguments)
    called = f'pg_catalog."{function.name}"({arguments or "*" if function.name == "count" else arguments})'
    if function.kind == "w":
        called += " OVER (ORDER BY s.sale_id)"
    if function.kind == "a" and ("percentile" in function.name or function.name == "mode"):
        called = (
            f'pg_catalog."{function.name}"({"0.5" if function.name != "mode" else ""}) WITHIN GROUP (ORDER BY s.net)'
        )
    return f"SELECT {called} FROM (SELECT * FROM sales ORDER BY sale_id LIMIT 3) s"


async def test_every_function_of_a_reader_shows_nothing_foreign_and_leaves_nothing_behind(
    attacker: Attacker, witness: Witness
) -> None:
    functions = _executable(witness)
    outcomes = {function.signature: await attacker.ask(_call(function)) for function in functions}
    await attacker.check_nothing_left()

    assert len(functions) > 1000
    assert [signature for signature, outcome in outcomes.items() if "client-b" in outcome.text] == []
    unanswered = {signature: outcome.codes for signature, outcome in outcomes.items() if outcome.codes}
    assert len(unanswered) < len(functions) * 0.15


async def test_a_reader_executes_no_volatile_or_privileged_function_but_clocks_and_chance(witness: Witness) -> None:
    volatile = witness.values(
        "SELECT DISTINCT proname::text FROM pg_proc WHERE has_function_privilege('cm_reader', oid, 'EXECUTE') "
        "AND (provolatile = 'v' OR prosecdef) AND pronamespace = 'pg_catalog'::regnamespace"
    )

    assert set(volatile) <= VOLATILE_FUNCTIONS


async def test_a_reader_executes_nothing_that_looks_at_the_server(witness: Witness) -> None:
    names = sorted({function.name for function in _executable(witness)})
    looking = witness.values("SELECT n FROM unnest(%s::text[]) n WHERE n ~ %s", names, _NEVER)

    assert looking == []


async def test_a_reader_cannot_tell_how_many_transactions_others_made(witness: Witness) -> None:
    counting = witness.values(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE has_function_privilege('cm_reader', oid, 'EXECUTE') "
        "AND proname IN ('age', 'mxid_age') AND proargtypes[0] = 'xid'::regtype"
    )

    assert counting == []
