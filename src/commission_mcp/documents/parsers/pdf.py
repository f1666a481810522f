"""PDF, by PyMuPDF: the only file that imports it, and only in the worker.

Words and their positions come from PyMuPDF; what they form (lines, rows, columns, headings) is told by
`commission_mcp.documents.layout`. Pages without text are rendered and read by OCR, and so are pictures on pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from commission_mcp.documents.draft import Draft
from commission_mcp.documents.formats import Format
from commission_mcp.documents.layout.lines import page_layout
from commission_mcp.documents.layout.page import PageLayout, Word
from commission_mcp.documents.layout.reading_order import LayoutReader
from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import BlockKind, Place
from commission_mcp.documents.pictures import Ocr, may_hold_text, picture_text, prepared, read_upright, words_seen
from commission_mcp.documents.refusals import damaged, empty, encrypted, too_large

if TYPE_CHECKING:
    from PIL.Image import Image

Fields: TypeAlias = "dict[str, object]"

OCR_DOTS_AN_INCH = 300
POINTS_AN_INCH = 72
UNREADABLE_SHARE = 0.2
"""Above this share of characters without a meaning, a page's text layer is worthless and the page is read by OCR."""

PICTURE_SHARE_MIN = 0.002
"""Pictures below this share of the page are ornaments."""

LARGE_SHARE = 0.5
WORDS_OF_A_LAYER = 15
"""So many words on a picture of more than half the page are its text layer, or it is their background."""

BOLD_FLAG = 16
END_OF_FILE = b"startxref"
END_BYTES = 4096
_WORD = re.compile(r"\w+")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def parse(content: bytes, named: Format, draft: Draft, ocr: Ocr | None) -> None:
    """Read a PDF, page by page.

    Raises:
        Refused: It is encrypted, damaged, empty, or beyond the limits.
    """
    del named
    file = _opened(content, draft.limits)
    draft.pages = file.page_count
    for name in ("title", "author", "subject", "keywords"):
        draft.keep_property(name, cast("Fields", file.metadata or {}).get(name))
    if file.is_repaired:
        draft.note("The file was damaged and has been repaired; something may be missing.")
    pages = _Pages(file, draft, ocr)
    reader = LayoutReader(draft, [pages.layout(number) for number in range(file.page_count)])
    if pages.recognised:
        draft.note(f"Read by OCR: {_page_ranges(pages.recognised)}.")
    for number in range(file.page_count):
        reader.take(number + 1, number)
        place = Place(page=number + 1, section=reader.section)
        for text in pages.pictures(number):
            draft.add(BlockKind.IMAGE, text, place)
        for text in pages.remarks(number):
            draft.add(BlockKind.PARAGRAPH, text, place)
    if not draft.blocks and not draft.pictures_unread:
        blank = "No text and no picture is on any page: the file may be cut off."
        raise damaged(blank) if file.is_repaired else empty()


def _pymupdf() -> Any:  # noqa: ANN401 - PyMuPDF's classes carry no types
    """PyMuPDF, which takes a second to import."""
    import pymupdf  # noqa: PLC0415 - heavy, and only in the worker

    return pymupdf


def _opened(content: bytes, limits: ReadingLimits) -> Any:  # noqa: ANN401 - as above
    library = _pymupdf()
    try:
        file = library.open(stream=content, filetype="pdf")
    except (RuntimeError, ValueError) as error:
        raise damaged("The PDF is damaged: it has no pages that can be read.") from error
    if file.needs_pass:
        raise encrypted()
    if file.is_repaired and END_OF_FILE not in content[-END_BYTES:]:
        raise damaged("The PDF is cut off: its end is missing, and what is left may lack pages.")
    if file.page_count == 0:
        raise damaged("The PDF is damaged: it has no pages that can be read.")
    if file.page_count > limits.pages_max:
        raise too_large(f"The PDF has {file.page_count:,} pages; at most {limits.pages_max:,} are read.")
    return file


class _Pages:
    """The pages of an open PDF: their words, or what OCR reads on them."""

    def __init__(self, file: Any, draft: Draft, ocr: Ocr | None) -> None:  # noqa: ANN401 - as above
        self._file = file
        self._draft = draft
        self._ocr = ocr
        self._seen: set[int] = set()
        self.recognised: list[int] = []

    def layout(self, number: int) -> PageLayout:
        """What stands on a page, counted from 0; read by OCR where it is a picture."""
        page = self._file[number]
        words = list(_words(page))
        if not words or _worthless(words):
            words = self._recognised(page) or words
        return page_layout(words, page.rect.width, page.rect.height)

    def pictures(self, number: int) -> Iterator[str]:
        """What pictures on a page say, each picture of the file once; what the page says too is left out."""
        page = self._file[number]
        found = page.get_text("words")
        words = [word[:4] for word in found]
        told = {part for word in found for part in _WORD.findall(str(word[4]).lower())}
        if not words:
            return
        for picture in page.get_image_info(xrefs=True):
            where, xref = page.rect & picture["bbox"], int(picture["xref"])
            if xref in self._seen or not _matters(page, where, picture) or _text_layer(page, where, words):
                continue
            self._seen.add(xref)
            yield _news(self._text_in(page, where), told)

    def remarks(self, number: int) -> Iterator[str]:
        """What was filled into forms and written into comments."""
        page = self._file[number]
        for widget in page.widgets():
            value = str(widget.field_value or "")
            if value and value not in {"Off", "False"}:
                yield f"{widget.field_label or widget.field_name}: {value}"
        for remark in page.annots():
            text = str(cast("Fields", remark.info or {}).get("content") or "")
            if text.strip():
                yield f"Comment: {text}"

    def _recognised(self, page: Any) -> list[Word]:  # noqa: ANN401 - as above
        """The words on a rendered page."""
        if not page.get_image_info() and not page.get_cdrawings():
            return []
        if self._ocr is None:
            self._draft.pictures_unread += 1
            return []
        picture = _rendered(page, page.rect, self._draft.limits)
        self.recognised.append(page.number + 1)
        seen, upright = read_upright(picture, self._ocr)
        return words_seen(seen, page.rect.width / upright.width)

    def _text_in(self, page: Any, where: Any) -> str:  # noqa: ANN401 - as above
        if self._ocr is None or self._draft.pictures_read >= self._draft.limits.images_max:
            self._draft.pictures_unread += 1
            return ""
        self._draft.pictures_read += 1
        return picture_text(_rendered(page, where, self._draft.limits), self._ocr)


def _page_ranges(pages: list[int]) -> str:
    """Pages in words: ``page 1, pages 4-9``."""
    ranges: list[list[int]] = []
    for page in pages:
        if ranges and page == ranges[-1][1] + 1:
            ranges[-1][1] = page
        else:
            ranges.append([page, page])
    return ", ".join(f"page {first}" if first == last else f"pages {first}-{last}" for first, last in ranges)


def _words(page: Any) -> Iterator[Word]:  # noqa: ANN401 - PyMuPDF's classes carry no types
    """The words of a page with the size and weight of the line that they stand in."""
    library = _pymupdf()
    text = page.get_textpage(flags=library.TEXTFLAGS_WORDS & ~library.TEXT_PRESERVE_LIGATURES)
    faces: dict[tuple[int, int], tuple[float, bool]] = {}
    for block in text.extractDICT()["blocks"]:
        for number, line in enumerate(block.get("lines", ())):
            spans = [span for span in line["spans"] if span["text"].strip()]
            if spans:
                size = max(spans, key=lambda span: len(span["text"]))["size"]
                faces[block["number"], number] = size, all(_is_bold(span) for span in spans)
    for x0, y0, x1, y1, word, block, line, _ in text.extractWORDS():
        size, bold = faces.get((block, line), (y1 - y0, False))
        yield Word(x0, y0, x1, y1, word, size, bold, (block, line))


def _is_bold(span: dict[str, Any]) -> bool:
    return bool(span["flags"] & BOLD_FLAG) or "bold" in span["font"].lower() or "black" in span["font"].lower()


def _worthless(words: list[Word]) -> bool:
    """Whether a text layer means nothing: fonts without a mapping to characters."""
    text = "".join(word.text for word in words)
    lost = sum(char == REPLACEMENT or "\ue000" <= char <= "\uf8ff" or char < " " for char in text)
    return lost > UNREADABLE_SHARE * len(text)


def _matters(page: Any, where: Any, picture: dict[str, Any]) -> bool:  # noqa: ANN401 - as above
    """Whether a picture is large enough to say something."""
    share = abs(where.width * where.height) / max(1.0, page.rect.width * page.rect.height)
    return not where.is_empty and share >= PICTURE_SHARE_MIN and may_hold_text(picture["width"], picture["height"])


def _text_layer(page: Any, where: Any, words: list[tuple[float, ...]]) -> bool:  # noqa: ANN401 - as above
    """Whether a picture is a scan that has its text already, or the background of the page."""
    on_it = sum(
        where.x0 <= (x0 + x1) / 2 <= where.x1 and where.y0 <= (y0 + y1) / 2 <= where.y1 for x0, y0, x1, y1 in words
    )
    large = where.width * where.height > LARGE_SHARE * page.rect.width * page.rect.height
    return large and on_it >= WORDS_OF_A_LAYER


def _news(text: str, told: set[str]) -> str:
    """What a picture says, unless the page says most of it too."""
    words = [word for word in _WORD.findall(text.lower()) if len(word) > 2]  # noqa: PLR2004 - longer ones tell more
    return "" if words and sum(word in told for word in words) * 10 > len(words) * 7 else text


def _rendered(page: Any, where: Any, limits: ReadingLimits) -> Image:  # noqa: ANN401 - as above
    """Part of a page as a picture, at the resolution that OCR likes or as much as the limit allows."""
    from PIL import Image as images  # noqa: N813, PLC0415 - a heavy import, where it is used

    inches = where.width * where.height / POINTS_AN_INCH**2
    dots = min(OCR_DOTS_AN_INCH, int((limits.image_pixels_max / max(inches, 1e-6)) ** 0.5))
    if dots < 1:
        raise too_large("A page of the PDF is larger than any paper.")
    picture = page.get_pixmap(dpi=dots, clip=where, colorspace="gray", alpha=False)
    return prepared(images.frombytes("L", (picture.width, picture.height), picture.samples))
