"""Pages to blocks: running headers left out, tables as rows, prose as headings and paragraphs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from commission_mcp.documents.draft import Draft
from commission_mcp.documents.layout.page import Line, PageLayout, Region
from commission_mcp.documents.layout.prose import is_heading, joined, paragraphs, words_of
from commission_mcp.documents.layout.tables import Table, table_ends, table_of
from commission_mcp.documents.model import BlockKind, Place
from commission_mcp.documents.sections import Sections

MARGIN_SHARE = 0.08
"""Running headers and footers stand within this share of the page's height from its edge."""

RUNNING_PAGES_MIN = 3
RUNNING_SHARE = 0.4

_DIGITS = re.compile(r"\d+")


class LayoutReader:
    """Reads pages one after another; sections and tables go on from page to page."""

    def __init__(self, draft: Draft, pages: Sequence[PageLayout]) -> None:
        self._draft = draft
        self._pages = pages
        self._running = _running(pages)
        self._told: set[str] = set()
        self._body = _body_size(pages)
        self._known = words_of(_all_lines(pages))
        self._sections = Sections()
        self._table: Table | None = None

    @property
    def section(self) -> tuple[str, ...]:
        """The headings above what comes next."""
        return self._sections.path

    def take(self, page: int | None, number: int) -> None:
        """Add the blocks of a layout, counted from 0, as those of a page."""
        layout = self._pages[number]
        for region in layout.regions:
            self._take_region(page, region, [line for line in region.lines if self._tells(layout, line)])

    def _take_region(self, page: int | None, region: Region, lines: Sequence[Line]) -> None:
        at = 0
        while at < len(lines):
            end = table_ends(lines, at)
            if end > at:
                self._add_table(page, lines[at:end])
            else:
                end = next(
                    (n for n in range(at + 1, len(lines)) if table_ends(lines, n) > n),
                    len(lines),
                )
                self._add_prose(page, region, lines[at:end])
            at = end

    def _add_table(self, page: int | None, lines: Sequence[Line]) -> None:
        self._table = table_of(lines, self._table)
        for row in self._table.rows:
            self._draft.add_row(row, Place(page=page, section=self.section))

    def _add_prose(self, page: int | None, region: Region, lines: Sequence[Line]) -> None:
        for paragraph in paragraphs(lines, region.x1 - region.x0):
            text = joined(paragraph, self._known)
            heading = is_heading(paragraph, text, self._body)
            if heading:
                self._sections.enter(text, _level(paragraph[0]))
            kind = BlockKind.HEADING if heading else BlockKind.PARAGRAPH
            self._draft.add(kind, text, Place(page=page, section=self.section))

    def _tells(self, layout: PageLayout, line: Line) -> bool:
        """Whether a line says something that the pages before did not: running headers and page numbers do once."""
        if not _in_margin(layout, line):
            return True
        pattern = _pattern(line)
        if pattern not in self._running:
            return True
        first = pattern not in self._told
        self._told.add(pattern)
        return first


def _level(line: Line) -> float:
    """Larger headings are further out, bold ones further than plain ones."""
    return -(line.size + 0.25 * line.bold)


def _body_size(pages: Sequence[PageLayout]) -> float:
    """The size that most letters have."""
    letters: Counter[float] = Counter()
    for line in _all_lines(pages):
        letters[line.size] += len(line.text)
    return letters.most_common(1)[0][0] if letters else 0.0


def _all_lines(pages: Sequence[PageLayout]) -> Iterator[Line]:
    for page in pages:
        for region in page.regions:
            yield from region.lines


def _running(pages: Sequence[PageLayout]) -> set[str]:
    """What stands in the margins of many pages, but for its numbers."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({_pattern(line) for region in page.regions for line in region.lines if _in_margin(page, line)})
    enough = max(RUNNING_PAGES_MIN, int(len(pages) * RUNNING_SHARE))
    return {pattern for pattern, pages_with_it in seen.items() if pages_with_it >= enough}


def _in_margin(page: PageLayout, line: Line) -> bool:
    return line.y1 < page.height * MARGIN_SHARE or line.y0 > page.height * (1 - MARGIN_SHARE)


def _pattern(line: Line) -> str:
    return _DIGITS.sub("#", line.text)
