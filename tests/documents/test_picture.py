from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import Document
from commission_mcp.documents.parsing import parse
from commission_mcp.documents.pictures import find_ocr
from commission_mcp.errors import Code, Refused

from .conftest import texts

MakePicture = Callable[..., bytes]


def read(name: str, content: bytes, limits: ReadingLimits | None = None) -> Document:
    return parse(name, content, limits or ReadingLimits(), find_ocr("eng"))


@pytest.mark.parametrize(("kind", "name"), [("PNG", "a.png"), ("JPEG", "a.jpeg"), ("TIFF", "a.tif")])
def test_pictures_are_read(make_picture: MakePicture, kind: str, name: str) -> None:
    assert (
        "Rate 7.5 percent in the North"
        in texts(read(name, make_picture("Rate 7.5 percent in the North", kind=kind)))[0]
    )


def test_each_page_of_a_tiff_is_read(make_picture: MakePicture) -> None:
    pages = [Image.open(io.BytesIO(make_picture(line))) for line in ("First of the pages", "Second of the pages")]
    target = io.BytesIO()
    pages[0].save(target, "TIFF", save_all=True, append_images=pages[1:])
    document = read("a.tiff", target.getvalue())

    assert [(block.text, block.place.page) for block in document.blocks] == [
        ("First of the pages", 1),
        ("Second of the pages", 2),
    ]


def test_a_table_in_a_picture_is_read_as_rows() -> None:
    from PIL import ImageDraw, ImageFont  # noqa: PLC0415 - for this test

    picture = Image.new("RGB", (1400, 400), "white")
    draw = ImageDraw.Draw(picture)
    for row, cells in enumerate(
        (("Territory", "Product", "Rate"), ("North", "Product A", "5%"), ("South", "Product B", "7%"))
    ):
        for column, cell in enumerate(cells):
            draw.text((60 + 450 * column, 60 + 90 * row), cell, fill="black", font=ImageFont.load_default(40))
    target = io.BytesIO()
    picture.save(target, "PNG")

    assert texts(read("a.png", target.getvalue()))[-1] == "Territory: South | Product: Product B | Rate: 7%"


def test_transparent_and_palette_pictures_are_read(make_picture: MakePicture) -> None:
    opaque = Image.open(io.BytesIO(make_picture("Black on nothing")))
    clear = Image.new("RGBA", opaque.size, (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), mask=opaque.convert("L").point(lambda grey: 255 - grey))
    target = io.BytesIO()
    clear.save(target, "PNG")

    assert texts(read("a.png", target.getvalue())) == ["Black on nothing"]


def refusal(name: str, content: bytes) -> Code:
    with pytest.raises(Refused) as refused:
        read(name, content)
    return refused.value.problems[0].code


def test_a_picture_cut_off_is_damaged(make_picture: MakePicture) -> None:
    whole = make_picture("Text that is cut off", "somewhere", "here")

    assert refusal("a.png", whole[: len(whole) // 2]) is Code.DOCUMENT_DAMAGED


def test_a_picture_without_text_is_empty() -> None:
    target = io.BytesIO()
    Image.new("L", (300, 300), 255).save(target, "PNG")

    assert refusal("a.png", target.getvalue()) is Code.DOCUMENT_EMPTY


def test_without_ocr_a_picture_is_refused_by_name(make_picture: MakePicture) -> None:
    with pytest.raises(Refused) as refused:
        parse("a.png", make_picture("Text"), ReadingLimits(), None)
    assert refused.value.problems[0].code is Code.DOCUMENT_OCR_UNAVAILABLE


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_page_on_its_side_or_head_is_turned(make_picture: MakePicture, angle: int) -> None:
    target = io.BytesIO()
    lines = "The rate in the North is 7.5 percent", "The rate in the South is 9 percent"
    upright = Image.open(io.BytesIO(make_picture(*lines)))
    upright.rotate(angle, expand=True).save(target, "PNG")

    assert " ".join(texts(read("a.png", target.getvalue()))) == " ".join(lines)
