"""Word documents: what stands in the body in its order, then headers, footers, notes and comments.

python-docx opens the package and knows styles and relations. The text itself is read from the XML: content controls,
tracked insertions, text boxes and formulas are no paragraphs or runs of python-docx, and would be missing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from commission_mcp.documents.archive import opened_archive
from commission_mcp.documents.draft import Draft, cleaned
from commission_mcp.documents.formats import Format
from commission_mcp.documents.model import BlockKind, Place
from commission_mcp.documents.pictures import Ocr, text_in
from commission_mcp.documents.refusals import damaged
from commission_mcp.documents.sections import Sections
from commission_mcp.documents.tabular import Row, rows_with_names

if TYPE_CHECKING:
    from docx.document import Document as WordFile

    Element = Any
    """An element of lxml, which carries no types."""

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
V = "{urn:schemas-microsoft-com:vml}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"

MAIN_PART = "word/document.xml"
NOTES = ("footnotes", "endnotes")
HEADING_CHARS_MAX = 120
BOLD_LEVEL = 20
_HEADING_STYLE = re.compile(r"(?:heading|überschrift|titre|título|titolo)\s*(\d)", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?;,]$")
_SKIPPED = {f"{MC}Fallback", f"{W}del", f"{W}moveFrom", f"{W}instrText", f"{W}pPr", f"{W}rPr"}
_LETTERS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}


def parse(content: bytes, named: Format, draft: Draft, ocr: Ocr | None) -> None:
    """Read a Word document.

    Raises:
        Refused: It is damaged, encrypted, or a bomb.
    """
    del named
    opened_archive(content, draft.limits, MAIN_PART)
    import docx  # noqa: PLC0415 - heavy, and only in the worker

    try:
        file = docx.Document(io.BytesIO(content))
    except (KeyError, ValueError, SyntaxError, AttributeError) as error:
        raise damaged("The Word document is damaged: a part of it is missing or broken.") from error
    for name in ("title", "author", "subject", "keywords", "category"):
        draft.keep_property(name, getattr(file.core_properties, name, ""))
    body: Element = cast("Any", file).element.body
    reading = _Reading(draft, ocr, file, paged=body.find(f".//{W}lastRenderedPageBreak") is not None)
    reading.take_edges("header")
    reading.take(body, file.part)
    reading.finish_pages()
    reading.take_edges("footer")
    reading.take_notes()
    reading.take_comments()


@dataclass(slots=True)
class _Reading:
    """Where the reading stands."""

    draft: Draft
    ocr: Ocr | None
    file: WordFile
    paged: bool
    page: int = 1
    sections: Sections = field(default_factory=Sections)
    told: set[str] = field(default_factory=set[str])

    def take(self, container: Element, part: Any) -> None:  # noqa: ANN401 - python-docx's parts
        """Add what stands in a container, in its order."""
        for element in container:
            if element.tag == f"{W}p":
                self._take_paragraph(element, part)
            elif element.tag == f"{W}tbl":
                self._take_table(element, part)
            elif element.tag not in _SKIPPED and isinstance(element.tag, str):
                self.take(element, part)  # content controls, custom XML, tracked insertions

    def take_edges(self, edge: str) -> None:
        """Add the headers or footers of the sections, each text once."""
        for section in self.file.sections:
            for name in (edge, f"first_page_{edge}", f"even_page_{edge}"):
                story = getattr(section, name)
                if not story.is_linked_to_previous:
                    for text in self._paragraphs(story._element):  # noqa: SLF001 - its XML
                        self._add_once(text)

    def finish_pages(self) -> None:
        """Say how many pages Word counted, where it did."""
        self.draft.pages = self.page if self.paged else 0
        self.sections = Sections()

    def take_notes(self) -> None:
        """Add footnotes and endnotes."""
        import docx.oxml  # noqa: PLC0415 - heavy, and only in the worker

        for relation in self.file.part.rels.values():
            kind = relation.reltype.rsplit("/", 1)[-1]
            if kind in NOTES and not relation.is_external:
                for text in self._paragraphs(docx.oxml.parse_xml(relation.target_part.blob)):
                    self._add(BlockKind.PARAGRAPH, f"{kind.removesuffix('s').capitalize()}: {text}", page=False)

    def take_comments(self) -> None:
        """Add what reviewers wrote."""
        for comment in self.file.comments:
            author = f" ({comment.author})" if comment.author else ""
            text = "\n".join(self._paragraphs(cast("Any", comment)._comment_elm))  # noqa: SLF001 - its XML
            if text:
                self._add(BlockKind.PARAGRAPH, f"Comment{author}: {text}", page=False)

    def _take_paragraph(self, paragraph: Element, part: Any) -> None:  # noqa: ANN401 - as above
        level = self._heading_level(paragraph)
        for number, text in enumerate(_texts(paragraph)):
            if number and self.paged:
                self.page += 1
            clean = cleaned(text)
            heads = level is not None and 0 < len(clean) <= HEADING_CHARS_MAX
            if heads and level is not None:
                self.sections.enter(clean, level)
            self._add(BlockKind.HEADING if heads else BlockKind.PARAGRAPH, clean)
        self._take_pictures(paragraph, part)
        for box in _outermost(paragraph, f"{W}txbxContent"):
            self.take(box, part)

    def _heading_level(self, paragraph: Element) -> float | None:
        """How deep a heading is; nothing for a paragraph that is none."""
        from docx.text.paragraph import Paragraph  # noqa: PLC0415 - heavy, and only in the worker

        outline = paragraph.find(f"{W}pPr/{W}outlineLvl")
        if outline is not None and outline.get(f"{W}val", "9").isdigit() and int(outline.get(f"{W}val", "9")) < 9:  # noqa: PLR2004 - Word's level of body text
            return 1 + int(outline.get(f"{W}val"))
        style = Paragraph(paragraph, cast("Any", self.file)._body).style  # noqa: SLF001 - what knows the styles
        name = (style.name or "") if style is not None else ""
        if name == "Title":
            return 0
        match = _HEADING_STYLE.match(name)
        if match is not None:
            return int(match[1])
        return BOLD_LEVEL if _is_bold(paragraph) else None

    def _take_table(self, table: Element, part: Any) -> None:  # noqa: ANN401 - as above
        rows, page = list(_rows(table)), self.page
        for row in rows_with_names(rows):
            place = Place(page=page if self.paged else None, section=self.sections.path, rows=(row.number, row.number))
            if row.title:
                self.draft.add(BlockKind.ROW, row.cells[0], place)
            else:
                self.draft.add_row(list(row.cells), place)
        self.page += len(table.findall(f".//{W}lastRenderedPageBreak")) if self.paged else 0
        self._take_pictures(table, part)

    def _take_pictures(self, element: Element, part: Any) -> None:  # noqa: ANN401 - as above
        for key in _picture_keys(element):
            relation = part.rels.get(key)
            if relation is not None and not relation.is_external:
                self._add(BlockKind.IMAGE, text_in(relation.target_part.blob, self.draft, self.ocr))

    def _paragraphs(self, container: Element) -> Iterator[str]:
        for paragraph in container.iter(f"{W}p"):
            text = cleaned("".join(_texts(paragraph)))
            if text:
                yield text

    def _add_once(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            self._add(BlockKind.PARAGRAPH, text, page=False)

    def _add(self, kind: BlockKind, text: str, *, page: bool = True) -> None:
        number = self.page if self.paged and page else None
        self.draft.add(kind, text, Place(page=number, section=self.sections.path))


def _texts(paragraph: Element) -> list[str]:
    """The text of a paragraph, cut where Word last began a new page; text boxes are left out."""
    texts = [""]

    def walk(element: Element) -> None:
        for child in element:
            if child.tag in _SKIPPED or child.tag == f"{W}txbxContent":
                continue
            if child.tag in {f"{W}t", f"{M}t"}:
                texts[-1] += child.text or ""
            elif child.tag == f"{W}lastRenderedPageBreak":
                texts.append("")
            elif child.tag in _LETTERS:
                texts[-1] += _LETTERS[child.tag]
            else:
                walk(child)

    walk(paragraph)
    return texts


def _outermost(element: Element, tag: str) -> Iterator[Element]:
    """The topmost descendants of this name; of alternatives for older programs only the first."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag != f"{MC}Fallback":
            yield from _outermost(child, tag)


def _is_bold(paragraph: Element) -> bool:
    """Whether a paragraph is one short bold line that is no sentence: a heading by hand."""
    text = "".join(_texts(paragraph)).strip()
    if not text or len(text) > HEADING_CHARS_MAX or _SENTENCE_END.search(text):
        return False
    runs = [run for run in paragraph.iter(f"{W}r") if "".join(t.text or "" for t in run.iter(f"{W}t")).strip()]
    return bool(runs) and all(_switched_on(run.find(f"{W}rPr/{W}b")) for run in runs)


def _switched_on(flag: Element | None) -> bool:
    return flag is not None and flag.get(f"{W}val", "1") not in {"0", "false", "off"}


def _rows(table: Element) -> Iterator[Row]:
    """The rows of a table; a cell merged downwards is said in each of its rows."""
    above: dict[int, str] = {}
    for number, row in enumerate(_outermost(table, f"{W}tr"), start=1):
        cells: dict[int, str] = {}
        column = 0
        for cell in _outermost(row, f"{W}tc"):
            span = cell.find(f"{W}tcPr/{W}gridSpan")
            merged = cell.find(f"{W}tcPr/{W}vMerge")
            text = " ".join(filter(None, (cleaned("".join(_texts(p))) for p in cell.iter(f"{W}p"))))
            if merged is not None and merged.get(f"{W}val") != "restart":
                text = text or above.get(column, "")
            if text:
                cells[column] = text.replace("\n", " ")
            above[column] = text
            column += int(span.get(f"{W}val", "1")) if span is not None else 1
        if cells:
            yield Row(number, cells)


def _picture_keys(element: Element) -> Iterator[str]:
    """The relations of the pictures in an element; of alternatives for older programs only the first."""
    for child in element.iter(f"{A}blip", f"{V}imagedata"):
        if not any(parent.tag in {f"{MC}Fallback", f"{W}txbxContent"} for parent in _parents(child, element)):
            key = child.get(f"{R}embed") or child.get(f"{R}id")
            if key:
                yield key


def _parents(element: Element, top: Element) -> Iterator[Element]:
    parent = element.getparent()
    while parent is not None and parent is not top:
        yield parent
        parent = parent.getparent()
