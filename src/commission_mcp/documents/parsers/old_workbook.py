"""Workbooks of Excel 97 and earlier (BIFF), by xlrd: cells as people see them, hidden sheets, comments."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from commission_mcp.documents.draft import Draft, cleaned
from commission_mcp.documents.formats import Format
from commission_mcp.documents.model import BlockKind, Place
from commission_mcp.documents.number_formats import EPOCH_1900, EPOCH_1904, GENERAL, number_format, plain, shown
from commission_mcp.documents.parsers.workbook import CELLS_MAX, add_sheet
from commission_mcp.documents.pictures import Ocr
from commission_mcp.documents.refusals import damaged, encrypted, too_large
from commission_mcp.documents.tabular import Row

if TYPE_CHECKING:
    Book = Any
    Sheet = Any
    Cell = Any
    """What xlrd makes, which carries no types."""


def parse(content: bytes, named: Format, draft: Draft, ocr: Ocr | None) -> None:
    """Read a workbook. Pictures in it are not read: the format keeps them where no library looks.

    Raises:
        Refused: It is damaged, encrypted, or larger than the limits.
    """
    del named, ocr
    import xlrd  # noqa: PLC0415 - only in the worker

    try:
        book: Book = xlrd.open_workbook(
            file_contents=content, logfile=io.StringIO(), formatting_info=True, on_demand=True, ragged_rows=True
        )
    except xlrd.biffh.XLRDError as error:
        raise encrypted() if "encrypted" in str(error) else _damaged() from error
    _take_properties(book, draft)
    for number in range(book.nsheets):
        try:
            sheet: Sheet = book.sheet_by_index(number)
        except xlrd.biffh.XLRDError as error:
            raise _damaged() from error
        if sheet.visibility:
            draft.note(f"The sheet {sheet.name} is hidden in the workbook.")
        add_sheet(draft, sheet.name, list(_rows(book, sheet)))
        _add_comments(draft, sheet)
        book.unload_sheet(number)


def _damaged() -> Exception:
    return damaged("The workbook is damaged, or of a version that is not read.")


def _take_properties(book: Book, draft: Draft) -> None:
    draft.keep_property("author", book.user_name)


def _rows(book: Book, sheet: Sheet) -> Iterator[Row]:
    cells = 0
    for number in range(sheet.nrows):
        row: list[Cell] = sheet.row(number)
        cells += len(row)
        if cells > CELLS_MAX:
            raise too_large(f"A sheet has more than {CELLS_MAX:,} cells.")
        filled = {column: text for column, cell in enumerate(row) if (text := _as_seen(book, cell))}
        if filled:
            yield Row(number + 1, filled)


def _add_comments(draft: Draft, sheet: Sheet) -> None:
    for (row, column), note in sorted(sheet.cell_note_map.items()):
        text = cleaned(str(note.text))
        place = Place(sheet=sheet.name, rows=(row + 1, row + 1))
        draft.add(BlockKind.PARAGRAPH, f"Comment ({_reference(row, column)}): {text}" if text else "", place)


def _as_seen(book: Book, cell: Cell) -> str:
    """A cell as it is shown: 7.5% for 0.075 where its format says so; a failed formula as its error."""
    import xlrd  # noqa: PLC0415 - only in the worker

    if cell.ctype in {xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE}:
        return _number(book, cell)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return str(bool(cell.value)).upper()
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, ""))
    return cleaned(str(cell.value))


def _number(book: Book, cell: Cell) -> str:
    form = book.format_map.get(book.xf_list[cell.xf_index].format_key) if cell.xf_index is not None else None
    how = number_format(form.format_str) if form is not None else GENERAL
    epoch: datetime = EPOCH_1904 if book.datemode else EPOCH_1900
    return shown(plain(Decimal(cell.value)), how, epoch)


def _reference(row: int, column: int) -> str:
    """A cell's address as people write it: ``B7``."""
    letters = ""
    column += 1
    while column:
        column, digit = divmod(column - 1, 26)
        letters = chr(65 + digit) + letters
    return f"{letters}{row + 1}"
