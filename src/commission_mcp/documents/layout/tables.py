"""Lines to tables: which lines form one, its columns, its header, its rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from commission_mcp.documents.draft import named_cell
from commission_mcp.documents.layout.page import Cell, Line

ROW_GAP = 2.6
"""Lines further apart than this many times the letters' size are not of one table."""

LABELS_BETWEEN_MAX = 3
"""So many lines of one cell may stand between rows: labels that head a group of rows."""

HEADING_SCALE = 1.12
HEADER_LINES_MAX = 4
NAME_CHARS_MAX = 60
INDENT_POINTS = 12.0
SAME_COLUMN_POINTS = 12.0
ALIGNED_POINTS = 4.0

_DATE_PARTS = re.compile(
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+\d{1,2}(?:st|nd|rd|th)?\b"
    r"|\b(?:fy\s?'?|cy\s?)?(?:19|20)\d\d\b|\b[qh][1-4]\b|\bfy\s?'?\d\d\b|\b[1-4]q\b|\(\d\)|#",
    re.IGNORECASE,
)
_MARKER = re.compile(r"(?:[•●○▪■◦·*–—o-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]|\d*(?:\.\d+)+)$")  # noqa: RUF001 - bullets


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: where it stands, and its name."""

    x0: float
    x1: float
    name: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns, and its rows as they shall be read."""

    columns: tuple[Column, ...]
    rows: list[list[str]] = field(default_factory=list[list[str]])

    def named(self, names: Sequence[str]) -> Table:
        """The same table with other names of its columns, for the rows to come."""
        columns = (Column(column.x0, column.x1, name) for column, name in zip(self.columns, names, strict=True))
        return Table(tuple(columns), self.rows)


def table_ends(lines: Sequence[Line], start: int) -> int:
    """Where the table ends that begins at `start`; `start` itself where none begins."""
    if len(lines[start].cells) == 1 and not _over_columns(lines, start):
        return start
    end = reach = start + 1
    while reach < len(lines) and reach - end <= LABELS_BETWEEN_MAX and _near(lines[reach - 1], lines[reach]):
        if _begins_another(lines, reach, lines[start].size):
            break
        reach += 1
        if len(lines[reach - 1].cells) > 1:
            end = reach
    run = lines[start:end]
    several = [line for line in run if len(line.cells) > 1]
    return end if len(several) > 1 and _aligned(several) and not _listing(several) else start


def table_of(lines: Sequence[Line], before: Table | None) -> Table:
    """The rows of a table, each cell with the name of its column.

    Args:
        lines: The lines of the table.
        before: A table that this one may continue, whose header then is repeated.
    """
    columns = _columns(lines)
    table = Table(tuple(columns))
    at = 0
    while at < len(lines):
        head = _header_lines(lines[at:], len(columns)) if _may_head(lines, at) else 0
        if head:
            names = [_name(lines[at : at + head], column) for column in columns]
            table = table.named(names)
            table.rows.extend(_header_rows(lines[at : at + head], columns, names))
        elif at == 0 and before is not None and _same(columns, before.columns):
            table = table.named([column.name for column in before.columns])
        if not head:
            _add_row(table, lines, at)
        at += max(head, 1)
    return table


def _header_rows(header: Sequence[Line], columns: Sequence[Column], names: Sequence[str]) -> list[list[str]]:
    """The header as it is read: names that go over several lines as one row, others line by line."""
    spanning = any(
        sum(cell.x0 < column.x1 and cell.x1 > column.x0 for column in columns) > 1
        for line in header
        for cell in line.cells
    )
    if len(header) > 1 and not spanning and all(names):
        return [list(names)]
    return [[cell.text for cell in line.cells] for line in header]


def _may_head(lines: Sequence[Line], at: int) -> bool:
    """Whether names of columns may stand here: at the top, after a label over a part, or bold between plain rows."""
    if at == 0 or len(lines[at].cells) == 1:
        return at == 0
    after_label = len(lines[at - 1].cells) == 1 and lines[at - 1].bold
    return after_label or (lines[at].bold and not lines[at - 1].bold)


def _add_row(table: Table, lines: Sequence[Line], number: int) -> None:
    line = lines[number]
    cells = _by_column(line, table.columns)
    if len(line.cells) == 1:
        table.rows.append([line.text])
    elif number and table.rows and len(table.rows[-1]) == len(cells) and _continues(lines, number, cells):
        _append(table.rows[-1], cells, table.columns)
    else:
        table.rows.append([named_cell(_said(column), text) for column, text in zip(table.columns, cells, strict=True)])


def _over_columns(lines: Sequence[Line], start: int) -> bool:
    """Whether a line of one cell stands over the figures of the rows below, and not over their labels."""
    for above, below in pairwise(lines[start : start + HEADER_LINES_MAX]):
        if not _near(above, below):
            return False
        if len(below.cells) > 1:
            return lines[start].x0 > below.cells[0].x1 and len(lines[start].text) <= NAME_CHARS_MAX
    return False


def _begins_another(lines: Sequence[Line], at: int, size: float) -> bool:
    """Whether a line of one cell is a heading, or the title of another table with a header of its own."""
    line = lines[at]
    if len(line.cells) > 1:
        return False
    titled = line.bold and at + 1 < len(lines) and len(lines[at + 1].cells) > 1 and lines[at + 1].bold
    return line.size >= HEADING_SCALE * size or (titled and not any(_data(cell.text) for cell in lines[at + 1].cells))


def _near(above: Line, below: Line) -> bool:
    return below.y0 - above.y1 <= ROW_GAP * max(above.size, below.size)


def _aligned(lines: Sequence[Line]) -> bool:
    """Whether cells beyond the left edge stand below one another, as in a table and not by chance."""
    left = min(line.x0 for line in lines) + INDENT_POINTS
    inner = [[cell for cell in line.cells if cell.x0 > left] for line in lines]
    aligned = sum(
        any(
            _below_one_another(a, b)
            for near in (inner[max(0, at - 3) : at], inner[at + 1 : at + 4])
            for other in near
            for a in cells
            for b in other
        )
        for at, cells in enumerate(inner)
    )
    return aligned * 10 >= len(lines) * 6


def _below_one_another(a: Cell, b: Cell) -> bool:
    edges = abs(a.x0 - b.x0), abs(a.x1 - b.x1), abs(a.x0 + a.x1 - b.x0 - b.x1) / 2
    return min(edges) <= ALIGNED_POINTS


def _listing(lines: Sequence[Line]) -> bool:
    """Whether it is a list: bullets or numbers, each with its text."""
    marked = sum(len(line.cells) == 2 and _MARKER.match(line.cells[0].text) is not None for line in lines)  # noqa: PLR2004 - a marker and its text
    return marked * 10 >= len(lines) * 7


def _columns(lines: Sequence[Line]) -> list[Column]:
    """The columns: cells that overlap stand in one; a cell over several columns makes none."""
    spans: list[tuple[float, float]] = []
    for line in sorted(lines, key=lambda line: -len(line.cells)):
        for cell in line.cells if len(line.cells) > 1 else ():
            over = [span for span in spans if cell.x0 < span[1] and cell.x1 > span[0]]
            if not over:
                spans.append((cell.x0, cell.x1))
            elif len(over) == 1:
                wider = (min(over[0][0], cell.x0), max(over[0][1], cell.x1))
                spans[spans.index(over[0])] = wider
    return [Column(*span) for span in sorted(spans)]


def _column_of(cell: Cell, columns: Sequence[Column]) -> int:
    def distance(number: int) -> tuple[float, float]:
        column = columns[number]
        apart = max(cell.x0 - column.x1, column.x0 - cell.x1)
        return max(apart, 0.0), abs(cell.x0 + cell.x1 - column.x0 - column.x1)

    return min(range(len(columns)), key=distance)


def _by_column(line: Line, columns: Sequence[Column]) -> list[str]:
    texts = [""] * len(columns)
    for cell in line.cells:
        at = _column_of(cell, columns)
        texts[at] = f"{texts[at]} {cell.text}".strip()
    return texts


def _header_lines(lines: Sequence[Line], columns: int) -> int:
    """How many lines from the top name the columns: none, or a few that hold no figures."""
    head = 0
    for line in lines[:HEADER_LINES_MAX]:
        if any(_data(cell.text) or cell.text.endswith(":") for cell in line.cells[head == 0 and len(line.cells) > 1 :]):
            break
        if head and not _goes_on(lines[head - 1], line):
            break
        head += 1
    return head if 0 < head < len(lines) and _credible(lines, head, columns) else 0


def _goes_on(above: Line, line: Line) -> bool:
    """Whether a line without figures still belongs to the header."""
    if len(line.cells) == 1:
        return False
    years = all(_DATE_PARTS.search(cell.text) for cell in line.cells[1:])
    unlabelled = line.cells[0].text.startswith("(") or line.x0 > above.x0 + INDENT_POINTS
    return above.bold == line.bold and (line.bold or years or unlabelled)


def _credible(lines: Sequence[Line], head: int, columns: int) -> bool:
    """Whether the first lines are a header, as opposed to a row that happens to hold no figure."""
    cells = [cell for line in lines[:head] for cell in line.cells]
    body = lines[head:]
    if any(len(cell.text) > NAME_CHARS_MAX for cell in cells) or cells[0].text.endswith(":"):
        return False
    stands_out = all(line.bold for line in lines[:head]) and not all(line.bold for line in body)
    years = any(_DATE_PARTS.search(cell.text) for cell in cells)
    figures = any(_data(cell.text) for line in body for cell in line.cells[1:])
    full = len(lines[head - 1].cells) >= max(3, columns - 1)
    return stands_out or (figures and (years or full)) or (full and len(body) > 1)


def _data(text: str) -> bool:
    """Whether a cell holds a figure, as opposed to a name or a year."""
    return any(char.isdigit() for char in _DATE_PARTS.sub("", text))


def _name(header: Sequence[Line], column: Column) -> str:
    parts = [cell.text for line in header for cell in line.cells if cell.x0 < column.x1 and cell.x1 > column.x0]
    name = " ".join(dict.fromkeys(parts)).rstrip(":")
    return name if len(name) <= NAME_CHARS_MAX else ""


def _said(column: Column) -> str:
    """The name as it is said in a row; a unit such as ``(Millions)`` names no column."""
    return "" if column.name.startswith("(") else column.name


def _same(columns: Sequence[Column], others: Sequence[Column]) -> bool:
    same = len(columns) == len(others)
    return same and all(
        min(abs(a.x0 - b.x0), abs(a.x1 - b.x1)) <= SAME_COLUMN_POINTS for a, b in zip(columns, others, strict=True)
    )


def _continues(lines: Sequence[Line], number: int, cells: Sequence[str]) -> bool:
    """Whether a line goes on with the cells of the row above: no first cell, no figures, and closer than rows are."""
    if cells[0] or any(_data(text) for text in cells):
        return False
    gaps = [below.y0 - above.y0 for above, below in pairwise(lines)]
    return lines[number].y0 - lines[number - 1].y0 <= 0.75 * median(gaps)


def _append(row: list[str], cells: Sequence[str], columns: Sequence[Column]) -> None:
    """Add the second line of wrapped cells to a row."""
    for number, text in enumerate(cells):
        if text and number < len(row):
            row[number] = f"{row[number]} {text}" if row[number] else named_cell(_said(columns[number]), text)
