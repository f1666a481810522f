"""Thousands of generated statements with the guard off: nothing foreign comes back, and nothing is written."""

from __future__ import annotations

import logging
import os
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from commission_mcp.storage import DatabaseLimits
from commission_mcp.storage.wire import Statement, exchange

from .typed_statements import TypedGrammar, read_catalog

if TYPE_CHECKING:
    from conftest import Installation

    from .conftest import Attacker, ReadAs, Witness

pytestmark = [pytest.mark.anyio, pytest.mark.campaign]

SEED = 4_037_220
STATEMENTS = 12_000 if os.environ.get("COMMISSION_TEST_CAMPAIGN") == "full" else 1_500
# The statements say client-b themselves; its rows say more. Masked columns of the own payees are no less secret.
SECRET = re.compile(r"of client-b|client-b-|@client-|BANK-|TAX-|Beta GmbH")

_CATALOGS = (
    *(
        "pg_class",
        "pg_roles",
        "pg_authid",
        "pg_stats",
        "pg_stat_activity",
        "pg_settings",
        "pg_proc",
        "pg_views",
        "pg_locks",
    ),
    *(
        "pg_database",
        "pg_policies",
        "pg_largeobject",
        "pg_sequences",
        "information_schema.tables",
        "cm.sale",
        "cm.payee",
    ),
    *("cm_priv.login", "cm_priv.mask_visible", "cm.a_sequence", "pg_stat_user_tables", "pg_description"),
)
_TYPES = (
    *(
        "text",
        "int",
        "numeric",
        "date",
        "timestamptz",
        "interval",
        "boolean",
        "json",
        "jsonb",
        "xml",
        "bytea",
        "name",
        "oid",
    ),
    *(
        "regclass",
        "regrole",
        "regproc",
        "regtype",
        "regnamespace",
        "uuid",
        "float8",
        "tid",
        "xid",
        "text[]",
        "int4range",
    ),
)
_OPERATORS = (
    "=",
    "<>",
    "<",
    ">",
    "||",
    "+",
    "-",
    "*",
    "/",
    "%",
    "~",
    "LIKE",
    "IS DISTINCT FROM",
    "&&",
    "@>",
    "->",
    "->>",
    "#>>",
)
_LITERALS = (
    *(
        "NULL",
        "0",
        "1",
        "-1",
        "1.5",
        "'x'",
        "'client-b'",
        "'%'",
        "'{}'",
        "'[1]'",
        "'{1,2}'",
        "true",
        "'2025-01-01'",
        "'cm.sale'",
    ),
    *(
        "'role'",
        "'cm_ops'",
        "'cm.client'",
        "'search_path'",
        "'SELECT * FROM cm.sale'",
        "current_user",
        "session_user",
        "16384",
    ),
    *(
        "'payees.email'",
        "now()",
        "'infinity'",
        "'pg_authid'",
        "'c'",
        "1e308",
        "9223372036854775807",
        "'\\x00'",
        "B'101'",
    ),
)
_HOSTILE = (
    "set_config('cm.client', 'client-b', false)",
    "set_config('role', 'cm_ops', false)",
    "query_to_xml('SELECT * FROM cm.sale', true, true, '')",
    "query_to_xml('SELECT set_config(''role'', ''cm_ops'', false)', true, true, '')",
    "lo_from_bytea(0, 'x')",
    "pg_advisory_lock(1)",
    "pg_notify('a', 'b')",
    "nextval('cm.a_sequence')",
    "cm_priv.client()",
    "pg_logical_emit_message(true, 'a', 'b')",
    "txid_current()",
)
_VALUES = {
    "integer": "2",
    "bigint": "3::int8",
    "smallint": "1::int2",
    "numeric": "1.5",
    "double precision": "0.5::float8",
    "boolean": "true",
    "date": "date '2025-02-01'",
    "interval": "interval '1 day'",
    "timestamp with time zone": "now()",
    "jsonb": "to_jsonb(t)",
    "json": "to_json(t)",
    "record": "t",
    "text[]": "ARRAY[t::text]",
    "bytea": "'\\x00'::bytea",
    "anyarray": "ARRAY[t::text]",
    "anycompatiblearray": "ARRAY[t::text]",
    "name": "'UTF8'",
    "oid": "16384::oid",
    "anyrange": "int4range(1, 3)",
    "anynonarray": "1.5",
    "jsonpath": "'$.*'::jsonpath",
    "internal": "NULL",
}
_FORMS = (
    *(
        "{atom}",
        "{call}",
        "({inner})::{type}",
        "(({inner})::text {operator} ({other})::text)",
        "({inner} {operator} {other})",
        "CASE WHEN {condition} THEN {atom} END",
    ),
    *("(SELECT x::text FROM ({select}) x LIMIT 1)", "{hostile}"),
)


@dataclass(frozen=True)
class Names:
    """What a statement may name: views with their columns, and functions with the types of their arguments."""

    views: dict[str, list[str]]
    allowed: list[tuple[str, list[str]]]
    others: list[tuple[str, list[str]]]


class Grammar:
    """Writes statements, most of them meaningful, all of them from one seed."""

    def __init__(self, names: Names, seed: int) -> None:
        self._names = names
        self._chance = random.Random(seed)  # noqa: S311 - repeatable statements, no secret
        self._columns: list[str] = []

    def statement(self) -> str:
        """One statement."""
        kind = self._chance.random()
        if kind < 0.1:
            once = self._pick(("", "MATERIALIZED "))
            return f"WITH w AS {once}({self._select(2)}) SELECT * FROM w, ({self._select(1)}) x"
        if kind < 0.2:
            return f"{self._select(2)} {self._pick(('UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT'))} {self._select(2)}"
        if kind < 0.25:
            return f"SELECT * FROM {self._view()} v, LATERAL ({self._select(2)}) x LIMIT 20"
        if kind < 0.28:
            return self._pick(("COMMIT; ", "EXPLAIN ", "SET ROLE cm_ops; ", "TABLE ", "VALUES ")) + self._select(1)
        return self._select(3)

    def _pick(self, choices: tuple[str, ...] | list[str]) -> str:
        return self._chance.choice(choices)

    def _view(self) -> str:
        view = self._pick(list(self._names.views))
        self._columns = self._names.views[view]
        return f"commission.{view}"

    def _source(self, depth: int) -> str:
        kind = self._chance.random()
        if kind < 0.08:
            self._columns = []
            return f"{self._pick(_CATALOGS)} t"
        if kind < 0.14 and depth > 0:
            inner = self._select(depth - 1)
            self._columns = []
            return f"({inner}) t"
        if kind < 0.2:
            called = self._call(1)
            self._columns = []
            return f"{called} t"
        if kind < 0.4:
            join = self._pick(
                ("CROSS JOIN {}", "NATURAL JOIN {}", "LEFT JOIN {} ON true", "JOIN LATERAL (TABLE {}) l ON true")
            )
            other = self._view()
            return f"{self._view()} t {join.format(other + ('' if 'LATERAL' in join else ' o'))}"
        return f"{self._view()} t"

    def _select(self, depth: int) -> str:
        outer = self._columns
        source = self._source(depth)
        parts = [
            f"SELECT {', '.join(self._expression(depth) for _ in range(self._chance.randint(1, 3)))} FROM {source}"
        ]
        if self._chance.random() < 0.4:
            parts.append(f"WHERE {self._condition(depth)}")
        if self._chance.random() < 0.08:
            parts.append(f"GROUP BY {self._pick(('t', 'ROLLUP (1)', 'CUBE (1, 2)', 'GROUPING SETS ((1), ())'))}")
        if self._chance.random() < 0.2:
            parts.append(f"ORDER BY {self._expression(0)}")
        self._columns = outer
        return f"{' '.join(parts)} LIMIT {self._chance.randint(1, 50)}"

    def _condition(self, depth: int) -> str:
        kind = self._chance.random()
        if kind < 0.2:
            return f"client_id = 'client-b' OR {self._expression(depth - 1)} IS NULL"
        if kind < 0.35 and depth > 0:
            return f"EXISTS ({self._select(depth - 1)})"
        return f"{self._expression(depth - 1)} {self._pick(_OPERATORS)} {self._expression(depth - 1)}"

    def _expression(self, depth: int) -> str:
        if depth <= 0:
            return self._atom()
        (form,) = self._chance.choices(_FORMS, (35, 25, 10, 10, 3, 7, 4, 2))
        return form.format(
            atom=self._atom(),
            call=self._call(depth),
            inner=self._expression(depth - 1),
            other=self._expression(depth - 1),
            type=self._pick(_TYPES),
            operator=self._pick(_OPERATORS),
            hostile=self._pick(_HOSTILE),
            condition=self._condition(depth - 1),
            select=self._select(depth - 1),
        )

    def _atom(self) -> str:
        kind = self._chance.random()
        if kind < 0.6 and self._columns:
            return f"t.{self._pick(self._columns)}"
        return self._pick(("t", "t::text")) if kind < 0.68 else self._pick(_LITERALS)

    def _call(self, depth: int) -> str:
        among = self._names.allowed if self._chance.random() < 0.85 else self._names.others
        name, types = self._chance.choice(among)
        called = f'"{name}"({", ".join(self._argument(depth, each) for each in types)})'
        return called + self._pick(("", "", "", "", "", "", "", " OVER ()"))

    def _argument(self, depth: int, type_: str) -> str:
        if self._chance.random() < 0.15:
            return self._expression(depth - 1)
        if type_ in {"text", '"any"', "anyelement", "anycompatible"}:
            return f"({self._atom()})::text"
        return _VALUES.get(type_) or (self._expression(depth - 1) if type_.startswith("any") else f"NULL::{type_}")


def _names(witness: Witness) -> Names:
    columns = witness.connection.execute(
        "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.relnamespace = 'commission'::regnamespace "
        "GROUP BY 1 ORDER BY 1"
    ).fetchall()
    functions = witness.connection.execute(
        "SELECT proname::text, ARRAY(SELECT format_type(t, NULL) "
        "FROM unnest(string_to_array(proargtypes::text, ' ')::oid[]) t), "
        "has_function_privilege('cm_reader', oid, 'EXECUTE') "
        "FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace ORDER BY oid"
    ).fetchall()
    return Names(
        dict(columns),
        [(name, arguments) for name, arguments, allowed in functions if allowed],
        [(name, arguments) for name, arguments, allowed in functions if not allowed],
    )


async def _send(connection: psycopg.AsyncConnection, sql: str) -> tuple[str, str]:
    """Send what `Reading.fetch` sends; the SQLSTATE, and every text and error as it comes from the server."""
    statements = [
        Statement(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        Statement(b"DECLARE c NO SCROLL CURSOR FOR " + sql.encode()),
        Statement(b"FETCH FORWARD 200 FROM c"),
        Statement(b"ROLLBACK"),
    ]
    results = await exchange(connection.pgconn, statements, bytes_max=2**24)
    if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
        await exchange(connection.pgconn, [Statement(b"ROLLBACK")], bytes_max=2**20)
    state = b"".join(result.error_field(pq.DiagnosticField.SQLSTATE) or b"" for result in results).decode()
    said = [result.error_message for result in results]
    said += [
        bytes(result.get_value(row, column) or b"")
        for result in results
        for row in range(result.ntuples)
        for column in range(result.nfields)
    ]
    return state or "00000", b"\n".join(said).decode(errors="replace")


class Log:
    """The write-ahead log of a server, read by a superuser in another database of it."""

    def __init__(self, superuser_url: str) -> None:
        elsewhere = conninfo_to_dict(superuser_url) | {"dbname": "template1"}
        self._connection = psycopg.connect(make_conninfo("", **elsewhere), autocommit=True)
        self._connection.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
        self._start = self._end()

    def _end(self) -> object:
        row = self._connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        return row and row[0]

    def mark(self) -> None:
        """Look only at what comes from now on."""
        self._connection.execute("CHECKPOINT")
        self._start = self._end()

    def records(self) -> list[str]:
        """What was written since, but for what an idle server writes and the upkeep of pages by whoever reads them."""
        self._connection.execute("CHECKPOINT")  # a record that is there in any case
        rows = self._connection.execute(
            "SELECT resource_manager || ' ' || record_type || ' ' || coalesce(description, '') "
            "FROM pg_get_wal_records_info(%s, pg_current_wal_flush_lsn()) "
            "WHERE record_type NOT IN ('RUNNING_XACTS', 'CHECKPOINT_ONLINE', 'CHECKPOINT_REDO', 'FPI_FOR_HINT') "
            "AND record_type !~ '^PRUNE'",
            [self._start],
        ).fetchall()
        return [str(row[0]) for row in rows]

    def close(self) -> None:
        """Let go of the server."""
        self._connection.execute("DROP EXTENSION pg_walinspect")
        self._connection.close()


async def test_generated_statements_read_own_rows_only_and_write_nothing(
    installation: Installation, witness: Witness, read_as: ReadAs
) -> None:
    witness.connection.execute("ALTER SYSTEM SET autovacuum = off")
    witness.connection.execute("SELECT pg_reload_conf()")
    witness.connection.execute("VACUUM (FREEZE, ANALYZE)")
    log = Log(installation.superuser_url)
    try:
        async with read_as(installation, DatabaseLimits(query_timeout_ms=250)) as attacker:
            await attacker.check_nothing_left()  # every page that the comparison reads has its hints now
            log.mark()
            transactions = witness.values("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
            states = await _campaign(attacker, witness)
            await attacker.check_nothing_left()
        assert witness.values("SELECT pg_snapshot_xmax(pg_current_snapshot())::text") == transactions
        written = log.records()
    finally:
        log.close()
        witness.connection.execute("ALTER SYSTEM RESET autovacuum")
        witness.connection.execute("SELECT pg_reload_conf()")

    assert written == []
    assert states["00000"] > STATEMENTS * 0.5
    assert not {state for state in states if state[:2] in {"XX", "58"}} - {"XX000"}


async def _campaign(attacker: Attacker, witness: Witness) -> Counter[str]:
    wild, states, started = Grammar(_names(witness), SEED), Counter[str](), time.monotonic()
    typed = TypedGrammar(read_catalog(witness), _HOSTILE, SEED)
    for number in range(STATEMENTS):
        sql = wild.statement() if number % 3 == 0 else typed.statement()
        async with attacker.pooled() as connection:
            state, said = await _send(connection, sql)
        states[state] += 1
        assert not SECRET.search(said), sql
        if number % 4 == 0:
            assert not SECRET.search((await attacker.ask(sql, rows_max=200)).text), sql
        if number % 500 == 0:
            await attacker.check_nothing_left()
    classes = Counter({state[:2]: 0 for state in states})
    for state, count in states.items():
        classes[state[:2]] += count
    logging.getLogger(__name__).info(
        "%d statements in %.1f s: %s; %s",
        STATEMENTS,
        time.monotonic() - started,
        classes.most_common(),
        states.most_common(12),
    )
    return states
