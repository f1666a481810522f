from __future__ import annotations

from collections.abc import Callable

import pytest

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import BlockKind, Document
from commission_mcp.documents.parsing import parse
from commission_mcp.documents.pictures import find_ocr
from commission_mcp.errors import Code, Refused

from .conftest import block_with, pymupdf, texts

Placed = tuple[float, float, str, float, bool]
MakePdf = Callable[..., bytes]


def read(content: bytes) -> Document:
    return parse("a.pdf", content, ReadingLimits(), find_ocr("eng"))


def lines(*text: str, top: float = 72, left: float = 72, size: float = 10) -> list[Placed]:
    return [(left, top + n * size * 1.3, line, size, False) for n, line in enumerate(text)]


def table(
    top: float, *rows: tuple[str, ...], bold: bool = False, xs: tuple[float, ...] = (72, 220, 320, 420)
) -> list[Placed]:
    return [
        (x, top + n * 16, cell, 10, bold)
        for n, row in enumerate(rows)
        for x, cell in zip(xs, row, strict=False)
        if cell
    ]


def test_rows_of_a_table_carry_their_columns(make_pdf: MakePdf) -> None:
    document = read(
        make_pdf(table(100, ("", "2018", "2017"), ("Net sales", "32,765", "31,657"), ("Capital", "(1,577)", "(1,373)")))
    )

    assert texts(document)[1:] == ["Net sales | 2018: 32,765 | 2017: 31,657", "Capital | 2018: (1,577) | 2017: (1,373)"]
    assert {block.kind for block in document.blocks} == {BlockKind.ROW}


def test_a_currency_sign_belongs_to_its_amount(make_pdf: MakePdf) -> None:
    rows = table(100, ("", "", "2018"), ("Revenue", "$", "5,363"), ("Costs", "$", "4,869"), xs=(72, 220, 250))

    assert texts(read(make_pdf(rows)))[1:] == ["Revenue | 2018: $ 5,363", "Costs | 2018: $ 4,869"]


def test_a_table_goes_on_with_its_header_on_the_next_page(make_pdf: MakePdf) -> None:
    document = read(
        make_pdf(
            table(100, ("Territory", "Product", "Rate"), ("North", "A", "5 %"), ("South", "A", "7 %")),
            table(100, ("North", "B", "10 %"), ("South", "B", "12 %")),
        )
    )

    assert block_with(document, "12 %").text == "Territory: South | Product: B | Rate: 12 %"
    assert block_with(document, "12 %").place.page == 2


def test_empty_cells_do_not_shift_the_others(make_pdf: MakePdf) -> None:
    rows = table(100, ("Code", "Expected", "Actual"), ("A-1", "450", ""), ("A-2", "", "289"), ("A-3", "780", "778"))

    assert texts(read(make_pdf(rows)))[2] == "Code: A-2 | Actual: 289"


def test_two_columns_of_prose_are_read_one_after_the_other(make_pdf: MakePdf) -> None:
    left = [f"left column sentence number {n} goes on" for n in "abcdefgh"]
    right = [f"right column sentence number {n} goes on" for n in "abcdefgh"]
    text = " ".join(texts(read(make_pdf(lines(*left) + lines(*right, left=320)))))

    assert text.index("left column sentence number h") < text.index("right column sentence number a")


def test_headings_are_told_by_size_and_weight(make_pdf: MakePdf) -> None:
    page = [
        (72, 72, "Commission policy", 20, False),
        (72, 110, "When we pay", 13, False),
        *lines("Commissions are paid with the salary of the month", "that follows the end of the quarter.", top=130),
        (72, 180, "Clawback", 10, True),
        *lines("A refund takes back what was paid for the sale.", top=200),
    ]
    document = read(make_pdf(page))

    assert block_with(document, "salary").place.section == ("Commission policy", "When we pay")
    assert block_with(document, "refund").place.section == ("Commission policy", "When we pay", "Clawback")
    assert block_with(document, "salary").text.endswith("month that follows the end of the quarter.")


def test_running_headers_are_told_once(make_pdf: MakePdf) -> None:
    pages = [
        [(72, 40, "ABC Industries", 8, False), (290, 800, f"Page {n}", 8, False), *lines(f"Text {n}.")]
        for n in range(6)
    ]
    found = texts(read(make_pdf(*pages)))

    assert found.count("ABC Industries") == 1
    assert [text for text in found if text.startswith("Text")] == [f"Text {n}." for n in range(6)]


def test_words_broken_at_a_line_end_are_whole(make_pdf: MakePdf) -> None:
    document = read(
        make_pdf(lines("This is con-", "firming a chat-", "optimized plan", "and optimized chat of the kind."))
    )

    assert texts(document) == ["This is confirming a chat-optimized plan and optimized chat of the kind."]


def test_a_scanned_page_is_read_by_ocr(make_picture: Callable[..., bytes]) -> None:
    file = pymupdf().open()
    page = file.new_page()
    page.insert_image(page.rect, stream=make_picture("Scanned rate sheet", "Territory North 7.5 percent"))
    document = read(file.tobytes())

    assert "Territory North 7.5 percent" in " ".join(texts(document))
    assert document.notes == ("Read by OCR: page 1.",)


def test_pictures_on_a_page_are_read(make_picture: Callable[..., bytes]) -> None:
    file = pymupdf().open()
    page = file.new_page()
    page.insert_text((72, 72), "The table is below.")
    page.insert_image((72, 200, 500, 300), stream=make_picture("Approved by Finance"))
    document = read(file.tobytes())

    assert block_with(document, "Approved by Finance").kind is BlockKind.IMAGE


def test_without_ocr_a_scan_is_refused_by_name(make_picture: Callable[..., bytes]) -> None:
    file = pymupdf().open()
    page = file.new_page()
    page.insert_image(page.rect, stream=make_picture("Scanned"))

    with pytest.raises(Refused) as refused:
        parse("a.pdf", file.tobytes(), ReadingLimits(), None)
    assert refused.value.problems[0].code is Code.DOCUMENT_OCR_UNAVAILABLE


def test_forms_and_comments_are_read() -> None:
    library = pymupdf()
    file = library.open()
    page = file.new_page()
    page.insert_text((72, 72), "Agreement")
    field = library.Widget()
    field.rect, field.field_type, field.field_name, field.field_value = (
        library.Rect(72, 100, 300, 120),
        library.PDF_WIDGET_TYPE_TEXT,
        "Payee",
        "Grace Holloway",
    )
    page.add_widget(field)
    page.add_text_annot((72, 200), "Cap agreed with finance")
    found = texts(read(file.tobytes()))

    assert "Payee: Grace Holloway" in found
    assert "Comment: Cap agreed with finance" in found


def test_encrypted_is_said(make_pdf: MakePdf) -> None:
    assert code(make_pdf(lines("secret"), encryption=5, user_pw="a", owner_pw="b")) is Code.DOCUMENT_ENCRYPTED


def test_a_truncated_file_is_damaged(make_pdf: MakePdf) -> None:
    whole = make_pdf(*[lines("text of a page", "and more")] * 5)

    assert code(whole[: len(whole) // 3]) is Code.DOCUMENT_DAMAGED


def test_a_page_without_anything_is_empty(make_pdf: MakePdf) -> None:
    assert code(make_pdf([])) is Code.DOCUMENT_EMPTY


def code(content: bytes) -> Code:
    with pytest.raises(Refused) as refused:
        read(content)
    return refused.value.problems[0].code
