"""Small files of every kind, made by the tests."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from commission_mcp.documents.model import Block, Document


def pymupdf() -> Any:  # noqa: ANN401 - it carries no types
    import pymupdf  # noqa: PLC0415 - slow to import

    return pymupdf


@pytest.fixture(scope="session")
def make_pdf() -> Callable[..., bytes]:
    """A PDF of these pages: each a list of (x, y, text, size, bold)."""

    def make(*pages: list[tuple[float, float, str, float, bool]], copies: int = 0, **options: object) -> bytes:
        file = pymupdf().open()
        for page in pages:
            sheet = file.new_page()
            for x, y, text, size, bold in page:
                sheet.insert_text((x, y), text, fontsize=size, fontname="hebo" if bold else "helv")
        for _ in range(copies):
            file.copy_page(0)
        return bytes(file.tobytes(**options))

    return make


@pytest.fixture(scope="session")
def make_picture() -> Callable[..., bytes]:
    """A picture of lines of text, as a scanner might give."""

    def make(*lines: str, kind: str = "PNG", size: int = 36) -> bytes:
        from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - slow to import

        picture = Image.new("RGB", (1000, 60 + 60 * len(lines)), "white")
        draw = ImageDraw.Draw(picture)
        for number, line in enumerate(lines):
            draw.text((40, 30 + 60 * number), line, fill="black", font=ImageFont.load_default(size))
        target = io.BytesIO()
        picture.save(target, kind)
        return target.getvalue()

    return make


def texts(document: Document) -> list[str]:
    """The text of each block."""
    return [block.text for block in document.blocks]


def block_with(document: Document, text: str) -> Block:
    """The first block that holds a text."""
    return next(block for block in document.blocks if text in block.text)
