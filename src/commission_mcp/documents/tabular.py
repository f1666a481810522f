"""Rows of cells to rows that are read: where the names of the columns stand, and which cells they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from commission_mcp.documents.draft import named_cell

NAME_CHARS_MAX = 80
HEADER_ROWS_MAX = 2
TITLES_MAX = 2
_FIGURE = re.compile(r"[-+(]?\s*(?:[$€£¥]|[A-Z]{3}\s)?\s*[-+]?\d[\d.,' \u00a0\u202f]*\s*(?:%|[$€£¥])?\)?$")
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
_YEAR = re.compile(r"(?:19|20)\d\d$")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a sheet: its number, counted from 1, and its filled cells by column, counted from 0."""

    number: int
    cells: dict[int, str]


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row as it is read.

    Attributes:
        number: Its row, counted from 1.
        cells: Its cells, each with the name of its column.
        title: Whether it is a title above a table rather than a row of it.
    """

    number: int
    cells: tuple[str, ...]
    title: bool = False


def rows_with_names(rows: Sequence[Row]) -> Iterator[ReadRow]:
    """Rows as they are read: blocks of rows apart from each other are tables of their own.

    A table's header is its first row without figures, if rows below fill its columns. A block that fits under the
    header before it, and has none of its own, goes on with that.
    """
    names: dict[int, str] = {}
    for block in _blocks(rows):
        titles = _titles(block)
        for row in block[:titles]:
            yield ReadRow(row.number, tuple(row.cells.values()), title=True)
        body = block[titles:]
        head = header_rows(body)
        if head:
            names = _names(body[:head])
        elif not _fits(body, names):
            names = {}
        for row in body[:head] if len(body) == head else ():
            yield ReadRow(row.number, tuple(row.cells.values()))
        for row in body[head:]:
            cells = (named_cell(names.get(column, ""), text) for column, text in sorted(row.cells.items()))
            yield ReadRow(row.number, tuple(cells))


def is_figure(text: str) -> bool:
    """Whether a cell holds a number, an amount, a percentage or a date, as opposed to a name."""
    return _FIGURE.match(text) is not None or _DATE.match(text) is not None


def header_rows(rows: Sequence[Row]) -> int:
    """How many rows from the top name the columns: none, one, or two where the first spans columns of the second."""
    if len(rows) < 2 or not _may_name(rows[0]) or len(rows[0].cells) < 2:  # noqa: PLR2004 - a header, and a row under it
        return 0
    first, second = rows[0], rows[1]
    spans = len(first.cells) < len(second.cells) or len(set(first.cells.values())) < len(first.cells)
    if len(rows) > HEADER_ROWS_MAX and spans and _may_name(second) and _has_figures(rows[HEADER_ROWS_MAX:]):
        return HEADER_ROWS_MAX
    if len(second.cells) > 2 * len(first.cells):
        return 0
    return 1 if _has_figures(rows[1:]) or len(first.cells) > 2 or _stands_apart(rows) else 0  # noqa: PLR2004 - two columns of words are as often a name and its value


def _stands_apart(rows: Sequence[Row]) -> bool:
    """Two columns of words: a header if its words are none of the rows', and shorter."""
    return not rows[0].cells.get(0, "").endswith(":") and all(
        len(text) <= max(len(row.cells.get(column, "")) for row in rows[1:]) for column, text in rows[0].cells.items()
    )


def _may_name(row: Row) -> bool:
    texts = list(row.cells.values())
    years = sum(_YEAR.match(text) is not None for text in texts)
    named = all(len(text) <= NAME_CHARS_MAX and (not is_figure(text) or _YEAR.match(text)) for text in texts)
    return named and years < len(texts)


def _has_figures(rows: Sequence[Row]) -> bool:
    return any(is_figure(text) for row in rows for text in row.cells.values())


def _blocks(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows that follow one another without an empty row between."""
    block: list[Row] = []
    for row in rows:
        if block and row.number != block[-1].number + 1:
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def _titles(block: Sequence[Row]) -> int:
    """How many rows of a single cell stand above the table; many of them and no table are a list."""
    wide = next((n for n, row in enumerate(block) if len(row.cells) > 1), len(block))
    if wide == len(block) > TITLES_MAX:
        return 0
    return wide if wide == len(block) or all(len(row.cells) == 1 for row in block[:wide]) else 0


def _names(header: Sequence[Row]) -> dict[int, str]:
    """The name of each column; a name that spans columns goes before those below it."""
    names: dict[int, str] = dict(header[-1].cells)
    if len(header) > 1:
        above = ""
        for column in range(max(names, default=-1) + 1):
            above = header[0].cells.get(column, above)
            if column in names and above and above != names[column]:
                names[column] = f"{above} {names[column]}"
    return names


def _fits(rows: Sequence[Row], names: dict[int, str]) -> bool:
    return bool(names) and all(column in names for row in rows for column in row.cells)
