"""CSV and TSV: the delimiter and the encoding are told from the content."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter

from commission_mcp.documents.draft import Draft
from commission_mcp.documents.encodings import decoded_text
from commission_mcp.documents.formats import Format
from commission_mcp.documents.model import BlockKind, Place
from commission_mcp.documents.pictures import Ocr
from commission_mcp.documents.refusals import damaged
from commission_mcp.documents.tabular import Row, rows_with_names

DELIMITERS = ",;\t|"
SAMPLE_LINES = 100


def parse(content: bytes, named: Format, draft: Draft, ocr: Ocr | None) -> None:
    """Read rows, each with the names of its columns."""
    del named, ocr
    text, encoding = decoded_text(content)
    if encoding not in {"utf-8", "utf-16", "utf-32"}:
        draft.note(f"Read as {encoding}.")
    text, delimiter = _stated_delimiter(text)
    for row in rows_with_names(_rows(text, delimiter or likely_delimiter(text), draft)):
        place = Place(rows=(row.number, row.number))
        if row.title:
            draft.add(BlockKind.HEADING, row.cells[0], place)
        else:
            draft.add_row(list(row.cells), place)


def likely_delimiter(text: str) -> str:
    """The delimiter that cuts most lines into the same number of cells, and that into most."""
    sample = "\n".join(itertools.islice(io.StringIO(text), SAMPLE_LINES))

    def fit(delimiter: str) -> tuple[int, int]:
        try:
            widths = Counter(len(cells) for cells in csv.reader(io.StringIO(sample), delimiter=delimiter) if cells)
        except csv.Error:
            return 0, 0
        width, lines = max(widths.items(), key=lambda item: item[1] * (item[0] > 1), default=(1, 0))
        return (lines, width) if width > 1 else (0, 0)

    return max(DELIMITERS, key=fit)


def _stated_delimiter(text: str) -> tuple[str, str]:
    """Excel's own first line, ``sep=;``."""
    first, _, rest = text.partition("\n")
    stated = first.strip().removeprefix("sep=")
    return (rest, stated) if first.startswith("sep=") and len(stated) == 1 else (text, "")


def _rows(text: str, delimiter: str, draft: Draft) -> list[Row]:
    csv.field_size_limit(draft.limits.text_chars_max)
    rows: list[Row] = []
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), start=1):
            filled = {column: cell.strip() for column, cell in enumerate(cells) if cell.strip()}
            if filled:
                rows.append(Row(number, filled))
    except csv.Error as error:
        raise damaged(
            "The rows cannot be told apart: a quotation mark is not closed, or a cell is too long."
        ) from error
    return rows
