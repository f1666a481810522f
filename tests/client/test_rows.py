"""Rows as a notebook, pandas and Arrow see them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal, localcontext
from typing import Any

import nanoarrow  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest

from commission_mcp.client import Column, Rows

arrow: Any = nanoarrow
COLUMNS = [Column("payee", "text"), Column("amount", "numeric"), Column("on", "date")]
ROWS = Rows(COLUMNS, [["Ann", "10.50", "2026-05-01"], ["<b>", None, None]], {"truncated": True, "next_cursor": "c"})


def test_rows_are_tuples_of_exact_values() -> None:
    assert list(ROWS) == [("Ann", Decimal("10.50"), date(2026, 5, 1)), ("<b>", None, None)]
    assert (len(ROWS), ROWS[0][0], list(ROWS[1:]), ROWS.names) == (
        2,
        "Ann",
        [("<b>", None, None)],
        ("payee", "amount", "on"),
    )
    assert ROWS.column("amount") == [Decimal("10.50"), None]
    assert ROWS.records()[0] == {"payee": "Ann", "amount": Decimal("10.50"), "on": date(2026, 5, 1)}
    assert ROWS[:] == ROWS
    assert ROWS[:1] != ROWS
    assert not isinstance(ROWS, list)


def test_only_one_value_is_a_scalar() -> None:
    assert Rows([COLUMNS[1]], [["1.10"]]).scalar() == Decimal("1.10")
    with pytest.raises(ValueError, match="2 rows of 3 columns"):
        ROWS.scalar()
    with pytest.raises(KeyError, match="payee, amount, on"):
        ROWS.column("nobody")


def shown(rows: Any) -> str:  # noqa: ANN401 - as a notebook finds the method, whatever the object
    return rows._repr_html_()


def test_a_notebook_shows_a_table_without_running_what_is_in_it() -> None:
    html = shown(ROWS)

    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "text-align:right" in html
    assert "further rows follow" in html


def test_a_notebook_shows_the_beginning_of_many_rows_and_of_long_values() -> None:
    html = shown(Rows([Column("x", "text")], [["y" * 5_000]] * 1_000))

    assert len(html) < 40_000
    assert "950 of them not shown" in html


def test_pandas_keeps_decimals_unless_told_otherwise() -> None:
    columns = [*COLUMNS, Column("n", "int8"), Column("n", "int4"), Column("f", "float8"), Column("b", "bool")]
    cells = [["Ann", "0.1", "2026-05-01", "9007199254740993", 1, "0.5", True], [None] * 7]
    exact: Any = Rows(columns, cells).to_pandas()
    floats: Any = Rows(columns, cells).to_pandas(numeric="float")
    nothing: Any = Rows([], []).to_pandas()

    assert list(exact.columns) == ["payee", "amount", "on", "n", "n", "f", "b"]
    assert exact["amount"][0] == Decimal("0.1")
    assert [str(kind) for kind in exact.dtypes] == [
        "object",
        "object",
        "object",
        "Int64",
        "Int32",
        "Float64",
        "boolean",
    ]
    assert exact["n"].iloc[0, 0] == 9007199254740993
    assert str(floats["amount"].dtype) == "Float64"
    assert nothing.empty


ARROW: list[tuple[str, list[Any], list[Any] | None]] = [
    ("bool", [True, False, None], [True, False, None]),
    ("int2", [1, None], [1, None]),
    ("int8", ["9007199254740993", -5, None], [9007199254740993, -5, None]),
    ("float8", ["0.1", None], [0.1, None]),
    ("numeric", ["1.10", "-12345678901234567890123456789012.345678", None], None),
    ("date", ["2026-02-28", "0001-01-01", None], [date(2026, 2, 28), date(1, 1, 1), None]),
    ("time", ["23:59:59.999999", None], [time(23, 59, 59, 999999), None]),
    ("timestamp", ["1969-12-31 23:59:59.999999", None], [datetime(1969, 12, 31, 23, 59, 59, 999999), None]),  # noqa: DTZ001 - PostgreSQL's timestamp
    ("timestamptz", ["2026-05-01 00:00:00+02", None], [datetime(2026, 4, 30, 22, tzinfo=UTC), None]),
    ("text", ["", "ä€", None], ["", "ä€", None]),
    ("bytea", ["\\x00ff", None], [b"\x00\xff", None]),
    ("text[]", [["a", None], [], None], [["a", None], [], None]),
    ("int8[]", [["9007199254740993"], None], [[9007199254740993], None]),
    ("jsonb", [{"a": [1]}, None], ['{"a": [1]}', None]),
    ("date", ["infinity", "2026-02-28"], ["infinity", "2026-02-28"]),
    ("numeric", ["NaN", "1.5"], ["NaN", "1.5"]),
    ("numeric", ["0", "0.000", "1E+3"], None),
    ("numeric", [], []),
]


@pytest.mark.parametrize(("type_", "cells", "expected"), ARROW)
def test_arrow_consumers_get_the_same_values(type_: str, cells: list[Any], expected: list[Any] | None) -> None:
    rows = Rows([Column("x", type_), Column("y", "int4")], [[cell, 1] for cell in cells])
    read: list[dict[str, Any]] = arrow.Array(rows).to_pylist() if cells else []

    values = _decimals(rows) if expected is None else [row["x"] for row in read]
    assert values == (rows.column("x") if expected is None else expected)
    assert [row["y"] for row in read] == [1] * len(cells)


def _decimals(rows: Rows) -> list[Decimal | None]:
    """The first column's decimals, from their bytes: nanoarrow 0.9 reads negative ones as unsigned."""
    column = arrow.Array(rows).child(0)
    present = [value is not None for value in column.to_pylist()]
    data = bytes(column.buffer(1))
    unscaled = [int.from_bytes(data[16 * i : 16 * i + 16], "little", signed=True) for i in range(len(rows))]
    with localcontext(prec=60):
        values = [Decimal(number).scaleb(-column.schema.scale) for number in unscaled]
    return [value if known else None for value, known in zip(values, present, strict=True)]


def test_no_rows_are_an_arrow_stream_with_the_columns() -> None:
    schema = arrow.ArrayStream(Rows(COLUMNS, [])).schema

    assert [field.name for field in schema.fields] == ["payee", "amount", "on"]
