"""Plain text and Markdown: headings, paragraphs, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from commission_mcp.documents.draft import Draft, named_cell
from commission_mcp.documents.encodings import decoded_text
from commission_mcp.documents.formats import Format
from commission_mcp.documents.model import BlockKind, Place
from commission_mcp.documents.pictures import Ocr
from commission_mcp.documents.sections import Sections

_HASHES = re.compile(r"(#{1,6})\s+(.+?)\s*#*$")
_RULE_CELL = re.compile(r":?-{1,}:?$")
_UNDERLINE = re.compile(r"(=+|-+)\s*$")
_PAGE_END = "\f"


def parse(content: bytes, named: Format, draft: Draft, ocr: Ocr | None) -> None:
    """Read text; form feeds begin a new page."""
    del ocr
    text, encoding = decoded_text(content)
    if encoding not in {"utf-8", "utf-16", "utf-32"}:
        draft.note(f"Read as {encoding}.")
    pages = text.split(_PAGE_END)
    reading = _Reading(draft, named.name == "Markdown")
    draft.pages = len(pages) if len(pages) > 1 else 0
    for number, page in enumerate(pages, start=1):
        reading.page = number if draft.pages else None
        for paragraph in _paragraphs(page):
            reading.take(paragraph)


def _paragraphs(text: str) -> Iterator[list[str]]:
    """Lines that stand together."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield lines
            lines = []
    if lines:
        yield lines


@dataclass(slots=True)
class _Reading:
    """Where the reading stands."""

    draft: Draft
    markdown: bool
    page: int | None = None
    sections: Sections = field(default_factory=Sections)

    def take(self, lines: list[str]) -> None:
        """Add the blocks of one paragraph's lines."""
        table = _table(lines)
        if table is not None:
            self._add_table(*table)
        elif self.markdown:
            self._take_markdown(lines)
        else:
            self._add(BlockKind.PARAGRAPH, "\n".join(lines))

    def _take_markdown(self, lines: list[str]) -> None:
        body: list[str] = []
        for line in lines:
            hashes = _HASHES.match(line)
            underline = _UNDERLINE.match(line)
            if hashes is None and (underline is None or len(body) != 1):
                body.append(line)
                continue
            if hashes is None and underline is not None:
                self._add_heading(body.pop(), 1 if line.startswith("=") else 2)
                continue
            self._add(BlockKind.PARAGRAPH, "\n".join(body))
            body = []
            if hashes is not None:
                self._add_heading(hashes[2], len(hashes[1]))
        self._add(BlockKind.PARAGRAPH, "\n".join(body))

    def _add_heading(self, text: str, level: int) -> None:
        self.sections.enter(text, level)
        self._add(BlockKind.HEADING, text)

    def _add_table(self, names: list[str], rows: list[list[str]]) -> None:
        for number, row in enumerate(rows, start=2):
            cells = [named_cell(name, cell) for name, cell in zip(names, row, strict=False)]
            self.draft.add_row(cells + row[len(names) :], self._place((number, number)))

    def _add(self, kind: BlockKind, text: str) -> None:
        self.draft.add(kind, text, self._place())

    def _place(self, rows: tuple[int, int] | None = None) -> Place:
        return Place(page=self.page, section=self.sections.path, rows=rows)


def _table(lines: list[str]) -> tuple[list[str], list[list[str]]] | None:
    """A Markdown table: a line of names, a rule, rows; or nothing."""
    rows = [_cells(line) for line in lines]
    if len(rows) < 3 or not all("|" in line for line in lines):  # noqa: PLR2004 - names, rule, one row
        return None
    if not all(_RULE_CELL.match(cell) for cell in rows[1]) or not rows[1]:
        return None
    return rows[0], rows[2:]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
