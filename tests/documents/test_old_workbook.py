"""Genuine workbooks of Excel 97, as xlwt writes them: read as they are seen, and refused where they are broken."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias

import pytest
import xlwt  # pyright: ignore[reportMissingTypeStubs] - it carries no types

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import Document, Place
from commission_mcp.documents.parsing import parse
from commission_mcp.documents.reading import DocumentReader, open_reader
from commission_mcp.errors import Code, Refused

from .conftest import texts

Book: TypeAlias = Any
Style: TypeAlias = Any
"""What the library makes."""

pytestmark = pytest.mark.anyio
LIMITS = replace(ReadingLimits(), seconds_max=60, memory_bytes_max=1 << 30)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.fixture
def book() -> Book:
    return xlwt.Workbook()


@pytest.fixture(scope="module")
async def reader() -> AsyncGenerator[DocumentReader]:
    async with open_reader(LIMITS) as opened:
        yield opened


def saved(book: Book) -> bytes:
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def read(book: Book) -> Document:
    return parse("a.xls", saved(book), ReadingLimits(), None)


def styled(code: str) -> Style:
    style: Style = xlwt.XFStyle()
    style.num_format_str = code
    return style


def fill(sheet: Book, *rows: tuple[object, ...]) -> None:
    for number, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(number, column, value)


def many_rows(rows: int) -> bytes:
    book: Book = xlwt.Workbook()
    fill(book.add_sheet("Rates"), *((f"Payee {number}", number / 7, "North") for number in range(rows)))
    return saved(book)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.05, "0%", "5%"),
        (0.075, "0.0%", "7.5%"),
        (0.1, "General", "0.1"),
        (0.1 + 0.2, "General", "0.3"),
        (1234.5, "#,##0.00", "1,234.50"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (-1577, "#,##0;(#,##0)", "-1,577"),
        (Decimal("1250.75"), "#,##0.00", "1,250.75"),
        (date(2026, 7, 1), "dd/mm/yyyy", "2026-07-01"),
        (datetime.fromisoformat("2026-07-01T09:30"), "yyyy-mm-dd hh:mm", "2026-07-01 09:30:00"),
        (time(9, 30), "hh:mm", "09:30:00"),
        (True, "General", "TRUE"),
        ("0123", "@", "0123"),
        ("Umsatz\u00e4nderung \u20ac", "@", "Umsatz\u00e4nderung \u20ac"),
    ],
)
def test_cells_are_read_as_they_are_seen(book: Book, value: object, code: str, text: str) -> None:
    sheet = book.add_sheet("A")
    sheet.write(0, 0, "Value")
    sheet.write(0, 1, value, styled(code))

    assert texts(read(book)) == [f"Value | {text}"]


def test_rows_carry_sheet_section_row_and_columns(book: Book) -> None:
    fill(
        book.add_sheet("Rates"),
        ("Rates for 2026",),
        (),
        ("Territory", "Rate"),
        ("North", 0.05),
        ("South", 0.06),
    )
    fill(book.add_sheet("Payees"), ("Payee", "From"), ("Ann", "July"))
    document = read(book)

    assert texts(document)[1:3] == ["Territory: North | Rate: 0.05", "Territory: South | Rate: 0.06"]
    assert document.blocks[1].place == Place(sheet="Rates", section=("Rates for 2026",), rows=(4, 4))
    assert document.blocks[-1].place.sheet == "Payees"
    assert document.media_type == "application/vnd.ms-excel"


def test_days_of_1904_are_told(book: Book) -> None:
    book.dates_1904 = True
    sheet = book.add_sheet("A")
    sheet.write(0, 0, "From")
    sheet.write(0, 1, date(2026, 7, 1), styled("yyyy-mm-dd"))

    assert texts(read(book)) == ["From | 2026-07-01"]


def test_hidden_sheets_are_read_and_noted(book: Book) -> None:
    sheet = book.add_sheet("Secret")
    fill(sheet, ("Accelerator", 2))
    book.add_sheet("Shown").write(0, 0, "Text")
    sheet.visibility = 1
    document = read(book)

    assert "Accelerator | 2" in texts(document)
    assert any("Secret" in note for note in document.notes)


def test_a_long_sheet_of_text_is_read_to_its_end(book: Book) -> None:
    """Strings of more than one record go on in the next."""
    fill(book.add_sheet("A"), ("Number", "Text"), *((number, f"{number} " + "rate " * 200) for number in range(300)))

    assert sum("rate" in text for text in texts(read(book))) >= 300


async def outcome(reader: DocumentReader, content: bytes) -> Document | Code:
    try:
        return await reader.read("a.xls", content)
    except Refused as refusal:
        return refusal.problems[0].code


async def test_it_is_read_in_the_worker_like_any_other(reader: DocumentReader) -> None:
    document = await outcome(reader, many_rows(3))

    assert isinstance(document, Document)
    assert document.reader.startswith("old_workbook ")
    assert "xlrd" in document.reader


async def test_cut_off_anywhere_it_is_damaged(reader: DocumentReader) -> None:
    whole = many_rows(500)
    for length in (1, 8, 100, 512, 600, len(whole) // 3, len(whole) // 2, len(whole) - 600):
        cut = await outcome(reader, whole[:length])
        assert cut in {Code.DOCUMENT_DAMAGED, Code.DOCUMENT_TYPE} or isinstance(cut, Document), length
        if isinstance(cut, Document):  # the container's table at the end of the file was all that was lost
            assert len(cut.blocks) == 500


async def test_bytes_flipped_anywhere_break_nothing(reader: DocumentReader) -> None:
    whole = many_rows(50)
    chance = random.Random(20261123)  # noqa: S311 - the same places each time
    for _ in range(40):
        broken = bytearray(whole)
        for _ in range(chance.choice((1, 5, 50))):
            broken[chance.randrange(8, len(whole))] ^= 1 << chance.randrange(8)
        end = await outcome(reader, bytes(broken))
        assert isinstance(end, Document | Code)


async def test_rubbish_in_the_container_is_damaged(reader: DocumentReader) -> None:
    assert await outcome(reader, OLE + bytes(4000)) is Code.DOCUMENT_DAMAGED
    assert await outcome(reader, OLE + b"\xff" * 4000) is Code.DOCUMENT_DAMAGED


async def test_a_container_whose_table_leads_in_a_circle(reader: DocumentReader) -> None:
    whole = bytearray(many_rows(500))
    (first_of_table,) = struct.unpack_from("<i", whole, 76)
    table = 512 + first_of_table * 512
    for entry in range(2, 20):
        struct.pack_into("<i", whole, table + entry * 4, entry - 1)

    assert await outcome(reader, bytes(whole)) is Code.DOCUMENT_DAMAGED


async def test_a_password_is_told(reader: DocumentReader) -> None:
    """The record that says so stands right after the first of the workbook's stream."""
    whole = bytearray(many_rows(3))
    start = whole.index(b"\x09\x08\x10\0")
    second = start + 4 + 16
    locked = struct.pack("<HH", 0x2F, 6) + b"\1\0\1\0\1\0"
    whole[second : second + len(locked)] = locked

    assert await outcome(reader, bytes(whole)) is Code.DOCUMENT_ENCRYPTED


async def test_a_sheet_of_65_536_full_rows_is_refused_for_its_size_or_read(reader: DocumentReader) -> None:
    small = replace(LIMITS, blocks_max=10_000)
    async with open_reader(small) as bounded:
        assert await outcome(bounded, many_rows(30_000)) is Code.DOCUMENT_TOO_LARGE
    assert isinstance(await outcome(reader, many_rows(3)), Document)


@pytest.mark.parametrize(
    "content",
    [
        b"<html><table><tr><td>Rate</td></tr></table></html>",
        b"PK\x03\x04" + bytes(100),
        b"Payee\tRate\nAnn\t5%\n",
        b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
    ],
)
async def test_what_only_carries_the_name_is_told_apart(reader: DocumentReader, content: bytes) -> None:
    assert await outcome(reader, content) is Code.DOCUMENT_TYPE
