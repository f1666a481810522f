"""Every cell is what psycopg gives for it."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import anyio
import psycopg
import pytest
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range as PsycopgRange

from commission_mcp.client import Range
from commission_mcp.domain.caller import MaskingClass
from commission_mcp.server import build_server
from commission_mcp.sqlguard.type_names import ALLOWED_TYPES

if TYPE_CHECKING:
    from client.conftest import OpenClient, ServeHttp
    from conftest import Installation

pytestmark = pytest.mark.anyio

LITERALS: dict[str, list[str]] = {
    "bool": ["true", "false"],
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["0", "9007199254740991", "9007199254740992", "-9223372036854775808", "9223372036854775807"],
    "numeric": [
        "0",
        "1.10",
        "-0.005",
        "12345678901234567890.123456789012345678901234567890",
        "NaN",
        "Infinity",
        "1e-20",
    ],
    "float4": ["0.1", "-1e30", "NaN", "Infinity"],
    "float8": ["0.1", "1e308", "-0.30000000000000004", "NaN", "-Infinity"],
    "money": ["1234.50"],
    "text": ["", "NULL", "quote '' \" \\ {a,b}", "\u00e4\u20ac\U0001f600", "line\nbreak"],
    "varchar": ["abc"],
    "bpchar": ["abc  "],
    "char": ["a"],
    "name": ["a_name"],
    "bytea": ["\\x", "\\x00ff5c"],
    "bit": ["1"],
    "varbit": ["10110"],
    "uuid": ["01a207c3-7689-7574-a2ca-3a5330066c72"],
    "date": ["2026-02-28", "0001-01-01", "9999-12-31"],
    "time": ["00:00:00", "23:59:59.999999", "12:30:00.5"],
    "timetz": ["12:30:00+05:30", "00:00:00.000001-08"],
    "timestamp": ["2026-03-29 02:30:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"],
    "timestamptz": ["2026-03-29 02:30:00+02", "1970-01-01 00:00:00.1Z"],
    "interval": [
        "1 year 2 mons 3 days 04:05:06.789",
        "-1 day -02:03:04",
        "0",
        "100:00:00",
        "-5 mons +3 days",
        "1.5 secs",
    ],
    "json": ['{"a": [1, true, null, "x"], "b": {}}', '"text"', "[]", "null"],
    "jsonb": ['{"a": [1, true, null, "x"], "b": {}}', "12"],
    "jsonpath": ["$.a[*]"],
    "tsvector": ["a b"],
    "tsquery": ["a & b"],
    "inet": ["192.0.2.1", "192.0.2.1/24", "2001:db8::1"],
    "cidr": ["192.0.2.0/24", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "point": ["(1,2)"],
    "line": ["{1,2,3}"],
    "lseg": ["[(1,2),(3,4)]"],
    "box": ["(3,4),(1,2)"],
    "circle": ["<(1,2),3>"],
    "int4range": ["[1,5)", "empty", "(,)", "[1,)"],
    "int8range": ["[1,9007199254740993)"],
    "numrange": ["(1.5,2.5]"],
    "tsrange": ["[2026-01-01 00:00:00,2026-02-01 00:00:00)"],
    "tstzrange": ["[2026-01-01 00:00:00+00,)"],
    "daterange": ["[2026-01-01,2026-02-01)", "empty", "(,2026-01-01)"],
    "int4multirange": ["{[1,2),[5,9)}", "{}"],
    "int8multirange": ["{[1,2)}"],
    "nummultirange": ["{[1.5,2.5],(7,)}"],
    "tsmultirange": ["{[2026-01-01 00:00:00,2026-02-01 00:00:00)}"],
    "tstzmultirange": ["{[2026-01-01 00:00:00+00,2026-02-01 00:00:00+00)}"],
    "datemultirange": ["{[2026-01-01,2026-02-01),[2026-03-01,)}"],
}
WAYS = ["stdio", "http", "process"]


def as_ours(value: object) -> object:
    """Psycopg's value, with our ranges for its ranges; NaN as text, since it equals nothing."""
    match value:
        case Multirange():
            return tuple(as_ours(part) for part in list(cast("Multirange[Any]", value)))
        case PsycopgRange():
            ranged = cast("PsycopgRange[Any]", value)
            return Range(ranged.lower, ranged.upper, ranged.bounds) if ranged.bounds else Range(None, None, "")
        case list():
            return [as_ours(item) for item in cast("list[object]", value)]
        case float() | Decimal():
            return "NaN" if value != value else value  # noqa: PLR0124 - only NaN differs from itself
        case _:
            return value


def named(type_: str) -> str:
    """The type as a statement writes it: without quotes, char is another one."""
    return '"char"' if type_ == "char" else type_


def test_every_type_that_a_statement_may_name_is_covered() -> None:
    assert set(LITERALS) == ALLOWED_TYPES - {"xml"}  # PostgreSQL is built without it here


@pytest.mark.parametrize("way", WAYS)
async def test_a_value_of_every_type_is_the_one_that_psycopg_gives(
    open_client: OpenClient, postgres_18: Installation, way: str
) -> None:
    expressions = [(type_, f"'{text}'::{named(type_)}") for type_, texts in LITERALS.items() for text in texts]
    async with (
        open_client(way) as client,
        await psycopg.AsyncConnection.connect(postgres_18.superuser_url) as connection,
    ):
        for type_, expression in expressions:
            shown = await client.query(f"SELECT {expression} AS value, NULL::{named(type_)} AS missing")
            cursor = await connection.execute(f"SELECT {expression} AS value".encode())
            row = await cursor.fetchone()
            assert row is not None
            ours, expected = as_ours(shown[0][0]), as_ours(row[0])
            assert (type(ours), ours) == (type(expected), expected), (type_, expression)
            assert shown[0][1] is None


@pytest.mark.parametrize("type_", sorted(set(LITERALS) - {"char", "line", "box"}))
async def test_arrays_of_every_type_are_the_lists_that_psycopg_gives(
    open_client: OpenClient, postgres_18: Installation, type_: str
) -> None:
    quoted = ", ".join(f"'{text}'" for text in LITERALS[type_])
    expression = f"ARRAY[{quoted}, NULL]::{type_}[]"
    async with (
        open_client("process") as client,
        await psycopg.AsyncConnection.connect(postgres_18.superuser_url) as own,
    ):
        ours = (await client.query(f"SELECT {expression}, ARRAY[{expression}, {expression}], '{{}}'::{type_}[]"))[0]
        row = await (await own.execute(f"SELECT {expression}, ARRAY[{expression}, {expression}]".encode())).fetchone()

    assert row is not None
    assert [as_ours(value) for value in ours[:2]] == [as_ours(value) for value in row]
    assert ours[2] == []


async def test_every_cell_of_every_view_is_the_one_that_psycopg_gives(
    open_client: OpenClient, postgres_18: Installation
) -> None:
    credentials = postgres_18.credentials
    login = credentials.reader_login("client-a", MaskingClass.MASKED)
    conninfo = postgres_18.address.conninfo_as(login, credentials.password(login), "a test")
    async with open_client("stdio") as client, await psycopg.AsyncConnection.connect(conninfo) as own:
        await own.execute("SET search_path = commission")
        compared = 0
        for view in (await client.schema()).views:
            sql = f"SELECT * FROM {view.name} ORDER BY {', '.join(view.key) or '1'}"
            shown = await client.fetch_all(sql)
            expected = await (await own.execute(sql.encode())).fetchall()
            assert list(shown) == [tuple(as_ours(value) for value in row) for row in expected], view.name
            compared += len(expected)

    assert compared > 800


@pytest.mark.parametrize("reached", ["here", "over HTTP"])
@pytest.mark.parametrize("form", ["--csv", "--json"])
async def test_what_the_command_line_prints_is_read_again_as_the_same_value(
    postgres_18: Installation, serve_http: ServeHttp, tmp_path: Path, form: str, reached: str
) -> None:
    """A cell that is cast to its type again gives what psycopg gives for the literal."""
    expressions = [(type_, f"'{text}'::{named(type_)}") for type_, texts in LITERALS.items() for text in texts]
    sql = "SELECT " + ", ".join(f"{expression} AS c{number}" for number, (_, expression) in enumerate(expressions))
    command = [sys.executable, "-m", "commission_mcp", "query", form, sql]
    variables = {**postgres_18.variables, "COMMISSION_CLIENT_ID": "client-a", "PATH": "/usr/bin:/bin"}
    app = build_server(postgres_18.settings("client-a")).streamable_http_app(stateless_http=True)
    async with serve_http(app) as url:
        there = ["--url", url] if reached == "over HTTP" else []
        ran = await anyio.run_process([*command, *there], env=variables, cwd=tmp_path)
    cells = printed_cells(ran.stdout.decode(), form)
    async with await psycopg.AsyncConnection.connect(postgres_18.superuser_url) as own:
        for (type_, expression), cell in zip(expressions, cells, strict=True):
            read = f"SELECT %s::text::{named(type_)}, {expression}, %s::text::{named(type_)} IS NULL"
            text = cell_text(cell, type_, form)
            if text is None:
                assert type_ in {"json", "jsonb"}, (type_, expression)  # JSON's null is no value in CSV, as in psycopg
                continue
            row = await (await own.execute(read.encode(), [text, text])).fetchone()
            assert row is not None
            assert as_ours(row[0]) == as_ours(row[1]), (type_, expression, cell)


def printed_cells(printed: str, form: str) -> list[object]:
    """The cells of the only row."""
    if form == "--json":
        return list(json.loads(printed)[0].values())
    return list(next(csv.reader(io.StringIO(printed.partition("\n")[2], newline=""))))


def cell_text(cell: object, type_: str, form: str) -> str | None:
    """A cell as PostgreSQL reads it; None for JSON's null."""
    is_json = type_ in {"json", "jsonb"}
    if is_json and cell in ("", None):
        return None
    if isinstance(cell, list) and type_.endswith("multirange"):
        return f"{{{','.join(map(str, cast('list[object]', cell)))}}}"
    if not isinstance(cell, str) or (is_json and form == "--json"):
        return json.dumps(cell)
    return cell


@pytest.mark.parametrize(
    ("literal", "type_", "text"),
    [
        ("infinity", "date", "infinity"),
        ("-infinity", "timestamptz", "-infinity"),
        ("12345-01-01", "date", "12345-01-01"),
        ("0044-03-15 BC", "timestamp", "0044-03-15 00:00:00 BC"),
        ("24:00:00", "time", "24:00:00"),
        ("infinity", "interval", "infinity"),
    ],
)
async def test_what_pythons_type_cannot_hold_stays_text(
    open_client: OpenClient, literal: str, type_: str, text: str
) -> None:
    async with open_client("process") as client:
        assert (await client.query(f"SELECT '{literal}'::{type_}")).scalar() == text


async def test_numbers_with_a_fraction_inside_json_are_their_text(open_client: OpenClient) -> None:
    """JSON of a plan holds rates; a binary float would change them."""
    async with open_client("process") as client:
        shown = await client.query("""SELECT '{"rate": 0.10, "id": 9007199254740993, "n": 5}'::jsonb""")

    assert shown.scalar() == {"rate": "0.10", "id": "9007199254740993", "n": 5}


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (Decimal("12345678901234567890.5"), "numeric"),
        (date(2026, 2, 28), "date"),
        (datetime(2026, 2, 28, 12, 0, 0, 5, ZoneInfo("Europe/Berlin")), "timestamptz"),
        (timedelta(days=-3, seconds=5, microseconds=7), "interval"),
        (UUID("01a207c3-7689-7574-a2ca-3a5330066c72"), "uuid"),
        (b"\x00\xff", "bytea"),
        (["a", 'b"c', None, "{d}"], "text[]"),
        ([Decimal("1.10"), None], "numeric[]"),
        ({"a": [1, None]}, "jsonb"),
        (Range(date(2026, 1, 1), None, "[)"), "daterange"),
        (Range(Decimal("1.5"), Decimal("2.5"), "(]"), "numrange"),
        (Range(None, None, ""), "int4range"),
        (float("inf"), "float8"),
        (2**62, "int8"),
        (True, "bool"),
        (None, "text"),
    ],
)
async def test_a_value_comes_back_as_it_was_sent(open_client: OpenClient, value: object, type_: str) -> None:
    async with open_client("process") as client:
        assert (await client.query(f"SELECT $1::{type_}", [value])).scalar() == value


async def test_a_value_without_a_text_is_refused_before_it_is_sent(open_client: OpenClient) -> None:
    async with open_client("process") as client:
        with pytest.raises(TypeError, match="cannot be sent"):
            await client.query("SELECT $1::text", [object()])
