from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.comments import Comment
from openpyxl.drawing.image import Image

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import BlockKind, Document, Place
from commission_mcp.documents.number_formats import number_format, shown
from commission_mcp.documents.parsing import parse
from commission_mcp.documents.pictures import find_ocr

from .conftest import block_with, texts

Book: TypeAlias = Any
"""What the library makes; it carries no types."""


def saved(book: Book) -> bytes:
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def read(book: Book) -> Document:
    return parse("a.xlsx", saved(book), ReadingLimits(), find_ocr("eng"))


@pytest.fixture
def book() -> Book:
    return openpyxl.Workbook()


def fill(sheet: Book, *rows: tuple[object, ...]) -> None:
    for row in rows:
        sheet.append(row)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.05, "0%", "5%"),
        (0.075, "0.0%", "7.5%"),
        (0.1, "General", "0.1"),
        (1234.5, "#,##0.00", "1,234.50"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (1234.5, "[$€-407]#,##0.00", "€1,234.50"),
        (99, '0" units"', "99 units"),
        (1234567, '0.0,,"M"', "1.2 M"),
        (-1577, "#,##0;(#,##0)", "-1,577"),
        (0.1 + 0.2, "General", "0.3"),
        (date(2026, 7, 1), "dd/mm/yyyy", "2026-07-01"),
        (datetime.fromisoformat("2026-07-01T09:30"), "yyyy-mm-dd hh:mm", "2026-07-01 09:30:00"),
        (time(9, 30), "hh:mm", "09:30:00"),
        (True, "General", "TRUE"),
        (12345678901234, "General", "12345678901234"),
        (5, '_-* #,##0.00 "EUR"_-', "5.00 EUR"),
        (0.125, "# ?/?", "0.125"),
        ("0123", "@", "0123"),
    ],
)
def test_cells_are_read_as_they_are_seen(book: Book, value: object, code: str, text: str) -> None:
    book.active["A1"], book.active["B1"] = "Value", value
    book.active["B1"].number_format = code

    assert texts(read(book)) == [f"Value | {text}"]


def test_rows_carry_sheet_row_and_columns(book: Book) -> None:
    fill(book.active, ("Territory", "Product", "Rate"), ("North", "Product A", 0.05), ("South", "Product B", 0.07))
    book.active.title = "Rates"
    fill(book.create_sheet("Caps"), ("Plan", "Cap"), ("Core", 20000))
    document = read(book)

    assert texts(document) == [
        "Territory: North | Product: Product A | Rate: 0.05",
        "Territory: South | Product: Product B | Rate: 0.07",
        "Plan: Core | Cap: 20000",
    ]
    assert [block.place for block in document.blocks][1:] == [
        Place(sheet="Rates", rows=(3, 3)),
        Place(sheet="Caps", rows=(2, 2)),
    ]


def test_titles_above_a_table_make_its_section(book: Book) -> None:
    fill(
        book.active,
        ("Rates 2026",),
        (),
        ("Territory", "Rate"),
        ("North", 5),
        (),
        ("Caps",),
        ("Plan", "Cap"),
        ("Core", 9),
    )
    document = read(book)

    assert block_with(document, "Rates 2026").kind is BlockKind.HEADING
    assert [(block.text, block.place.section) for block in document.blocks if block.kind is BlockKind.ROW] == [
        ("Territory: North | Rate: 5", ("Rates 2026",)),
        ("Plan: Core | Cap: 9", ("Caps",)),
    ]


def test_a_table_goes_on_after_an_empty_row(book: Book) -> None:
    fill(book.active, ("Payee", "Amount"), ("Ann", 5), (), ("Bob", 7))

    assert texts(read(book))[1] == "Payee: Bob | Amount: 7"


def test_two_header_rows_are_joined(book: Book) -> None:
    fill(book.active, ("", "Q1", "", "Q2", ""), ("Payee", "Target", "Actual", "Target", "Actual"), ("Ann", 1, 2, 3, 4))
    book.active.merge_cells("B1:C1")

    assert texts(read(book))[-1] == "Payee: Ann | Q1 Target: 1 | Q1 Actual: 2 | Q2 Target: 3 | Q2 Actual: 4"


def test_formulas_show_what_was_computed_and_comments_are_read(book: Book) -> None:
    fill(book.active, ("Payee", "Amount"), ("Ann", 5))
    book.active["B2"].comment = Comment("Capped in June", "Finance")
    document = read(book)

    assert "Capped in June" in block_with(document, "Comment").text


def test_pictures_are_read_at_their_row(book: Book, make_picture: Callable[..., bytes]) -> None:
    fill(book.active, ("Plan", "Cap"), ("Core", 9))
    book.active.add_image(Image(io.BytesIO(make_picture("Approved by Finance"))), "A5")
    block = block_with(read(book), "Approved by Finance")

    assert (block.kind, block.place.rows) == (BlockKind.IMAGE, (5, 5))


def test_hidden_sheets_are_read_and_noted(book: Book) -> None:
    fill(book.active, ("Plan", "Cap"), ("Core", 9))
    book.create_sheet("Old").append(("Plan", "Cap"))
    book["Old"].append(("Legacy", 3))
    book["Old"].sheet_state = "hidden"

    assert "The sheet Old is hidden in the workbook." in read(book).notes


def test_a_wide_row_becomes_several_that_begin_alike(book: Book) -> None:
    fill(book.active, tuple(f"Column {n}" for n in range(120)), ("Payee 7", *(f"value {n}" for n in range(119))))
    found = texts(read(book))

    assert len(found) > 2
    assert all(text.startswith("Column 0: Payee 7 | ") and len(text) < 800 for text in found)


@given(st.decimals(-(10**10), 10**10, places=4))
def test_grouping_and_decimals_keep_the_value(value: Decimal) -> None:
    assert Decimal(shown(str(value), number_format("#,##0.0000")).replace(",", "")) == value


def test_the_days_before_march_1900_are_counted_as_a_spreadsheet_does() -> None:
    assert [shown(day, number_format("yyyy-mm-dd")) for day in ("1", "59", "61")] == [
        "1900-01-01",
        "1900-02-28",
        "1900-03-01",
    ]
