"""Words to regions: columns of prose told apart, words at one height joined to lines, lines cut into cells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from commission_mcp.documents.layout.page import Cell, Line, PageLayout, Region, Word

CELL_GAP = 1.2
"""Words further apart than this many times the letters' size are in different cells."""

SAME_LINE = 0.5
"""Words that share this part of the smaller one's height stand on one line."""

NEAREST_ROWS = 3
COVERED_SHARE = 0.3

PROSE_CHARS_MIN = 25
PROSE_LINES_MIN = 5
GUTTER_STEP = 4.0
GUTTER_SLACK = 2.0
COLUMNS_DEEP_MAX = 3

_CURRENCY = re.compile(r"[(\[]?(?:US|CA|AU|A|C|NZ|HK|S|R)?[$€£¥₹]$|[A-Z]{3}$")
_NUMBER_START = re.compile(r"[(\[]?[-+−]?\.?\d|[—–-]$")  # noqa: RUF001 - the minus sign that typesetters use
_CLOSING = re.compile(r"[)\]]?\s?%?[)\]]?$")


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of words as the PDF has it: within one column in prose, within one cell or several in tables."""

    x0: float
    y0: float
    x1: float
    y1: float
    words: tuple[Word, ...]

    @property
    def prose(self) -> bool:
        """Whether it reads like part of a sentence."""
        text = " ".join(word.text for word in self.words)
        letters = sum(char.isalpha() or char == " " for char in text)
        return len(text) >= PROSE_CHARS_MIN and letters * 10 >= len(text) * 8


def page_layout(words: Sequence[Word], width: float, height: float) -> PageLayout:
    """The regions of a page, in reading order."""
    regions = tuple(
        Region(min(run.x0 for run in runs), max(run.x1 for run in runs), tuple(_lines(runs)))
        for runs in _columns(_runs(words), width, COLUMNS_DEEP_MAX)
        if runs
    )
    return PageLayout(height, regions)


def _runs(words: Sequence[Word]) -> list[_Run]:
    by_line: dict[tuple[int, int], list[Word]] = {}
    for word in words:
        by_line.setdefault(word.line, []).append(word)
    return [
        _Run(
            min(word.x0 for word in run),
            min(word.y0 for word in run),
            max(word.x1 for word in run),
            max(word.y1 for word in run),
            tuple(run),
        )
        for run in by_line.values()
    ]


def _columns(runs: list[_Run], width: float, deep: int) -> Iterator[list[_Run]]:
    """The runs by columns of prose: what spans the columns divides them into bands, each read column by column."""
    gutter = _gutter(runs, width) if deep else None
    if gutter is None:
        yield runs
        return
    spanning = sorted((run for run in runs if _crosses(run, gutter)), key=lambda run: run.y0)
    edges = [run.y0 for run in spanning]
    bands: list[tuple[list[_Run], list[_Run]]] = [([], []) for _ in range(len(edges) + 1)]
    for run in runs:
        if not _crosses(run, gutter):
            middle = (run.y0 + run.y1) / 2
            bands[sum(edge < middle for edge in edges)][(run.x0 + run.x1) / 2 > gutter].append(run)
    across: list[_Run] = []
    for number, (left, right) in enumerate(bands):
        if left and right:
            yield across
            across = []
            yield from _columns(left, gutter, deep - 1)
            yield from _columns(right, width, deep - 1)
        else:
            across += left + right
        across += spanning[number : number + 1]
    yield across


def _crosses(run: _Run, gutter: float) -> bool:
    return run.x0 < gutter - GUTTER_SLACK and run.x1 > gutter + GUTTER_SLACK


def _gutter(runs: list[_Run], width: float) -> float | None:
    """Where two columns of prose part, if they do: prose on both sides at the same heights, little across."""
    prose = [run for run in runs if run.prose]
    if len(prose) < 2 * PROSE_LINES_MIN:
        return None
    left_edge = min(run.x0 for run in prose)
    best: tuple[int, float] | None = None
    for step in range(int((width - left_edge) / GUTTER_STEP)):
        gutter = left_edge + step * GUTTER_STEP
        across = sum(_crosses(run, gutter) for run in prose)
        if (best is None or across < best[0]) and across * 3 < len(prose) and _side_by_side(prose, gutter):
            best = (across, gutter)
    return best[1] if best else None


def _side_by_side(prose: list[_Run], gutter: float) -> bool:
    left = [run for run in prose if run.x1 <= gutter + GUTTER_SLACK]
    right = [run for run in prose if run.x0 >= gutter - GUTTER_SLACK]
    if min(len(left), len(right)) < PROSE_LINES_MIN:
        return False
    top = max(min(run.y0 for run in side) for side in (left, right))
    bottom = min(max(run.y1 for run in side) for side in (left, right))
    beside = min(sum(top <= run.y0 <= bottom for run in side) for side in (left, right))
    return beside >= PROSE_LINES_MIN


def _lines(runs: Sequence[_Run]) -> Iterator[Line]:
    """The lines of a region, from top to bottom: runs at one height, unless they stand on one another."""
    rows: list[list[_Run]] = []
    for run in sorted(runs, key=lambda run: (run.y0 + run.y1) / 2):
        row = next((row for row in reversed(rows[-NEAREST_ROWS:]) if _on_one_line(row, run)), None)
        if row is None:
            rows.append([run])
        else:
            row.append(run)
    for row in rows:
        yield _line(sorted((word for run in row for word in run.words), key=lambda word: word.x0))


def _on_one_line(row: Sequence[_Run], run: _Run) -> bool:
    first = row[0]
    shared = min(first.y1, run.y1) - max(first.y0, run.y0)
    level = shared >= SAME_LINE * min(first.y1 - first.y0, run.y1 - run.y0)
    return level and not any(_collide(one, other) for there in row for one in there.words for other in run.words)


def _collide(one: Word, other: Word) -> bool:
    """Whether two words cannot be on one line, since one would cover the other."""
    shared = min(one.x1, other.x1) - max(one.x0, other.x0)
    return shared > COVERED_SHARE * min(one.x1 - one.x0, other.x1 - other.x0) + 1


def _line(words: Sequence[Word]) -> Line:
    size = median(word.size for word in words)
    cells: list[Cell] = []
    begun: list[Word] = []
    for word in words:
        if begun and word.x0 - begun[-1].x1 > CELL_GAP * size:
            cells.append(_cell(begun))
            begun = []
        begun.append(word)
    cells.append(_cell(begun))
    return Line(
        min(word.y0 for word in words),
        max(word.y1 for word in words),
        tuple(_joined(cells)),
        round(size * 2) / 2,
        all(word.bold for word in words),
    )


def _cell(words: Sequence[Word]) -> Cell:
    return Cell(words[0].x0, words[-1].x1, " ".join(word.text for word in words))


def _joined(cells: Sequence[Cell]) -> list[Cell]:
    """Cells with a currency sign joined to its amount, and a closing bracket or percent sign to what it closes."""
    joined: list[Cell] = []
    for cell in cells:
        before = joined[-1] if joined else None
        if before is not None and _belongs(before.text, cell.text):
            glue = "" if _CLOSING.match(cell.text) else " "
            joined[-1] = Cell(before.x0, cell.x1, before.text + glue + cell.text)
        else:
            joined.append(cell)
    return joined


def _belongs(before: str, text: str) -> bool:
    if _CLOSING.match(text):
        return before[-1:].isdigit() or before.endswith(")")
    return _CURRENCY.match(before) is not None and _NUMBER_START.match(text) is not None
