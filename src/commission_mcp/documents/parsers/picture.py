"""Pictures of text: PNG, JPEG, and TIFF with one page or many."""

from __future__ import annotations

from commission_mcp.documents.draft import Draft
from commission_mcp.documents.formats import Format
from commission_mcp.documents.layout.page import PageLayout
from commission_mcp.documents.layout.reading_order import LayoutReader
from commission_mcp.documents.pictures import Ocr, check_pixels, opened, picture_layout, prepared
from commission_mcp.documents.refusals import damaged, empty, too_large


def parse(content: bytes, named: Format, draft: Draft, ocr: Ocr | None) -> None:
    """Read the text of each page.

    Raises:
        Refused: The picture is damaged, too large, or there is no text in it.
    """
    del named
    picture = opened(content, draft.limits.image_pixels_max)
    pages = int(getattr(picture, "n_frames", 1))
    if pages > draft.limits.pages_max:
        raise too_large(f"The file has {pages:,} pages; at most {draft.limits.pages_max:,} are read.")
    draft.pages = pages if pages > 1 else 0
    if ocr is None:
        draft.pictures_unread += pages
        return
    layouts: list[PageLayout] = []
    for number in range(pages):
        picture.seek(number)
        check_pixels(picture, draft.limits.image_pixels_max)
        try:
            page = prepared(picture)
        except (OSError, ValueError, SyntaxError) as error:
            raise damaged("The picture is damaged: it cannot be read to its end.") from error
        layouts.append(picture_layout(page, ocr))
    reader = LayoutReader(draft, layouts)
    for number in range(pages):
        reader.take(number + 1 if draft.pages else None, number)
    if not draft.blocks:
        raise empty("No text was found in the picture.")
