"""Workbooks: every sheet, its rows with the names of their columns, numbers as people see them, pictures by OCR.

XLSX is read from its XML, cell by cell: libraries lose what a number looks like (0.05 or 5%) or make room for all the
cells up to a stray one in the last row of the last column.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from commission_mcp.documents.archive import member_bytes, opened_archive
from commission_mcp.documents.draft import Draft, cleaned
from commission_mcp.documents.formats import Format
from commission_mcp.documents.model import BlockKind, Place
from commission_mcp.documents.number_formats import (
    BUILT_IN,
    EPOCH_1900,
    EPOCH_1904,
    GENERAL,
    NumberFormat,
    number_format,
    shown,
)
from commission_mcp.documents.parsers.xml import each_element, parsed_xml
from commission_mcp.documents.pictures import Ocr, text_in
from commission_mcp.documents.refusals import damaged, too_large
from commission_mcp.documents.tabular import Row, rows_with_names

if TYPE_CHECKING:
    Element = Any
    """An element of lxml, which carries no types."""

MAIN_PART = "xl/workbook.xml"
CELLS_MAX = 5_000_000
_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})$")
_XML_FAILURES = (SyntaxError, ValueError, KeyError, AttributeError, IndexError)


def parse(content: bytes, named: Format, draft: Draft, ocr: Ocr | None) -> None:
    """Read a workbook.

    Raises:
        Refused: It is damaged, encrypted, or a bomb.
    """
    del named
    book = _Book(opened_archive(content, draft.limits, MAIN_PART), draft, ocr)
    try:
        book.take()
    except _XML_FAILURES as error:
        raise damaged("The workbook is damaged: a part of it is missing or broken.") from error


def add_sheet(draft: Draft, sheet: str, rows: list[Row]) -> None:
    """Add the rows of a sheet; titles above its tables make the section."""
    title = ""
    for row in rows_with_names(rows):
        if row.title and len(row.cells) == 1:
            title = cleaned(row.cells[0]).replace("\n", " ")
            section = (title,) if len(title) <= 120 else ()  # noqa: PLR2004 - longer ones are notes
            kind = BlockKind.HEADING if section else BlockKind.PARAGRAPH
            draft.add(kind, title, Place(sheet=sheet, section=section, rows=(row.number, row.number)))
        else:
            section = (title,) if 0 < len(title) <= 120 else ()  # noqa: PLR2004 - as above
            draft.add_row(list(row.cells), Place(sheet=sheet, section=section, rows=(row.number, row.number)))


@dataclass(slots=True)
class _Book:
    """An open XLSX package."""

    archive: ZipFile
    draft: Draft
    ocr: Ocr | None
    strings: list[str] = field(default_factory=list[str])
    formats: list[NumberFormat] = field(default_factory=list[NumberFormat])
    epoch: datetime = EPOCH_1900
    cells: int = 0

    def take(self) -> None:
        """Add every sheet, in the order of its tab."""
        book = self._xml(MAIN_PART)
        properties = next(_children(book, "workbookPr"), None)
        if properties is not None and properties.get("date1904") in {"1", "true"}:
            self.epoch = EPOCH_1904
        self._take_properties()
        self.strings = [_string(item) for item in self._items("xl/sharedStrings.xml", "si")]
        self.formats = list(self._formats())
        targets = self._relations(MAIN_PART)
        for sheet in book.iter("{*}sheet"):
            key = next((value for name, value in sheet.attrib.items() if name.endswith("}id")), "")
            part = targets.get(key, "")
            if part in self.archive.namelist():
                self._take_sheet(sheet.get("name", ""), part, hidden=sheet.get("state", "visible") != "visible")

    def _take_sheet(self, name: str, part: str, *, hidden: bool) -> None:
        if hidden:
            self.draft.note(f"The sheet {name} is hidden in the workbook.")
        add_sheet(self.draft, name, list(self._rows(part)))
        relations = self._relations(part)
        for target in relations.values():
            if "/comments" in target and target in self.archive.namelist():
                self._take_comments(name, target)
            elif "/drawings/" in target and target.endswith(".xml") and target in self.archive.namelist():
                self._take_drawing(name, target)

    def _rows(self, part: str) -> Iterator[Row]:
        number = 0
        for row in self._items(part, "row"):
            stated = row.get("r", "")
            number = int(stated) if stated.isdigit() else number + 1
            cells: dict[int, str] = {}
            column = -1
            for cell in _children(row, "c"):
                reference = _REFERENCE.match(cell.get("r", ""))
                column = _column(reference[1]) if reference else column + 1
                text = cleaned(self._text(cell))
                if text:
                    cells[column] = text
                    self.cells += 1
            if self.cells > CELLS_MAX:
                raise too_large(f"The workbook has more than {CELLS_MAX:,} filled cells.")
            if cells:
                yield Row(number, cells)

    def _text(self, cell: Element) -> str:
        """What a cell shows: the value that the program last computed, in the cell's format."""
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return "".join(_string(item) for item in _children(cell, "is"))
        value = next((item.text or "" for item in _children(cell, "v")), "")
        if kind == "s":
            return self.strings[int(value)] if value else ""
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, value)
        if kind == "d":
            return value.removesuffix("T00:00:00").replace("T", " ")
        style = int(cell.get("s", "0"))
        return value if kind in {"str", "e"} else shown(value, self._format(style), self.epoch)

    def _format(self, style: int) -> NumberFormat:
        return self.formats[style] if style < len(self.formats) else GENERAL

    def _formats(self) -> Iterator[NumberFormat]:
        """The number format of each cell style."""
        if "xl/styles.xml" not in self.archive.namelist():
            return
        styles = self._xml("xl/styles.xml")
        codes = dict(BUILT_IN)
        codes.update({int(item.get("numFmtId")): item.get("formatCode", "") for item in styles.iter("{*}numFmt")})
        made = {number: number_format(code) for number, code in codes.items()}
        for group in _children(styles, "cellXfs"):
            for style in _children(group, "xf"):
                yield made.get(int(style.get("numFmtId", "0")), GENERAL)

    def _take_comments(self, sheet: str, part: str) -> None:
        for comment in self._items(part, "comment"):
            reference = _REFERENCE.match(comment.get("ref", ""))
            rows = (int(reference[2]), int(reference[2])) if reference else None
            text = cleaned(_string(comment))
            where = comment.get("ref", "")
            self.draft.add(
                BlockKind.PARAGRAPH, f"Comment ({where}): {text}" if text else "", Place(sheet=sheet, rows=rows)
            )

    def _take_drawing(self, sheet: str, part: str) -> None:
        """Add the text of a sheet's pictures and text boxes, each at the row where it begins."""
        targets = self._relations(part)
        for anchor in self._xml(part):
            row = next((int(item.text or 0) + 1 for item in anchor.iterfind("{*}from/{*}row")), None)
            place = Place(sheet=sheet, rows=None if row is None else (row, row))
            for picture in anchor.iter("{*}blip"):
                key = next((value for name, value in picture.attrib.items() if name.endswith("}embed")), "")
                if targets.get(key, "") in self.archive.namelist():
                    text = text_in(member_bytes(self.archive, targets[key]), self.draft, self.ocr)
                    self.draft.add(BlockKind.IMAGE, text, place)
            for box in anchor.iter("{*}txBody"):
                lines = ("".join(item.text or "" for item in line.iter("{*}t")) for line in box.iterfind("{*}p"))
                self.draft.add(BlockKind.PARAGRAPH, "\n".join(lines), place)

    def _take_properties(self) -> None:
        if "docProps/core.xml" in self.archive.namelist():
            names = {"title": "title", "creator": "author", "subject": "subject", "keywords": "keywords"}
            for item in self._xml("docProps/core.xml"):
                name = names.get(str(item.tag).rsplit("}", 1)[-1])
                if name is not None:
                    self.draft.keep_property(name, item.text)

    def _relations(self, part: str) -> dict[str, str]:
        """The parts that a part refers to, by key; those outside the package are left out."""
        folder, name = posixpath.split(part)
        listed = f"{folder}/_rels/{name}.rels"
        if listed not in self.archive.namelist():
            return {}
        return {
            item.get("Id", ""): posixpath.normpath(posixpath.join("/", folder, item.get("Target", ""))).lstrip("/")
            for item in self._xml(listed)
            if item.get("TargetMode") != "External"
        }

    def _xml(self, part: str) -> Element:
        return parsed_xml(member_bytes(self.archive, part))

    def _items(self, part: str, name: str) -> Iterator[Element]:
        """The elements of a large part; none where there is no such part."""
        if part in self.archive.namelist():
            with self.archive.open(part) as stream:
                yield from each_element(stream, name)


def _children(element: Element, name: str) -> Iterator[Element]:
    return element.iterchildren(f"{{*}}{name}")


def _string(item: Element) -> str:
    """A text with its runs joined, without how it is pronounced."""
    return "".join(
        part.text or "" for part in item.iter("{*}t") if not str(part.getparent().tag).endswith(("}rPh", "}phoneticPr"))
    )


def _column(letters: str) -> int:
    """A column's number, counted from 0."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1
