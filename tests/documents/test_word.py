from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TypeAlias

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import BlockKind, Document
from commission_mcp.documents.parsing import parse
from commission_mcp.documents.pictures import find_ocr

from .conftest import block_with, texts

File: TypeAlias = Any
"""What the library makes; it carries no types."""


def read(file: File) -> Document:
    target = io.BytesIO()
    file.save(target)
    return parse("a.docx", target.getvalue(), ReadingLimits(), find_ocr("eng"))


@pytest.fixture
def file() -> File:
    return docx.Document()


def test_body_tables_and_headings_come_in_their_order(file: File) -> None:
    file.add_heading("Policy", 0)
    file.add_heading("Rates", 1)
    file.add_paragraph("Before the table.")
    table = file.add_table(rows=3, cols=2)
    for row, cells in zip(table.rows, (("Territory", "Rate"), ("North", "5%"), ("South", "7%")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    file.add_heading("Payment", 1)
    file.add_paragraph("After it.")
    document = read(file)

    assert texts(document) == [
        "Policy",
        "Rates",
        "Before the table.",
        "Territory: North | Rate: 5%",
        "Territory: South | Rate: 7%",
        "Payment",
        "After it.",
    ]
    assert block_with(document, "North").place.section == ("Policy", "Rates")
    assert block_with(document, "North").place.rows == (2, 2)
    assert block_with(document, "After").place.section == ("Policy", "Payment")


def test_headers_footers_notes_and_comments_are_read(file: File) -> None:
    file.sections[0].header.paragraphs[0].text = "ABC Industries, confidential"
    file.sections[0].footer.paragraphs[0].text = "Version 7"
    run = file.add_paragraph("The cap is 20,000.").runs[0]
    file.add_comment(run, "Agreed with finance", author="Grace")
    found = texts(read(file))

    assert found[0] == "ABC Industries, confidential"
    assert {"Version 7", "Comment (Grace): Agreed with finance"} <= set(found)


def test_merged_cells_are_said_once_across_and_in_each_row_below(file: File) -> None:
    table = file.add_table(rows=3, cols=3)
    for number, text in enumerate(("Region", "Plan", "Rate")):
        table.cell(0, number).text = text
    table.cell(1, 0).merge(table.cell(2, 0)).text = "North"
    table.cell(1, 1).text, table.cell(1, 2).text = "Core", "5%"
    table.cell(2, 1).merge(table.cell(2, 2)).text = "on request"

    assert texts(read(file)) == ["Region: North | Plan: Core | Rate: 5%", "Region: North | Plan: on request"]


def test_what_python_docx_skips_is_read(file: File) -> None:
    """Content controls, tracked insertions and text boxes are no paragraphs or runs of python-docx."""
    body = file.element.body
    word = nsdecls("w")
    body.insert(
        0,
        parse_xml(f"<w:sdt {word}><w:sdtContent><w:p><w:r><w:t>in a control</w:t></w:r></w:p></w:sdtContent></w:sdt>"),
    )
    body.insert(
        1,
        parse_xml(
            f"<w:p {word}><w:r><w:t>kept </w:t></w:r>"
            "<w:ins w:id='1' w:author='x'><w:r><w:t>inserted</w:t></w:r></w:ins>"
            "<w:del w:id='2' w:author='x'><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>"
        ),
    )
    body.insert(
        2,
        parse_xml(
            f"<w:p {word}><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>in a box</w:t></w:r></w:p></w:txbxContent>"
            "</w:pict></w:r></w:p>"
        ),
    )

    assert texts(read(file)) == ["in a control", "kept inserted", "in a box"]


def test_pages_are_those_that_word_counted(file: File) -> None:
    body, word = file.element.body, nsdecls("w")
    body.insert(0, parse_xml(f"<w:p {word}><w:r><w:t>first page</w:t></w:r></w:p>"))
    body.insert(
        1, parse_xml(f"<w:p {word}><w:r><w:t>still </w:t><w:lastRenderedPageBreak/><w:t>second</w:t></w:r></w:p>")
    )
    document = read(file)

    assert document.pages == 2
    assert [(block.text, block.place.page) for block in document.blocks] == [
        ("first page", 1),
        ("still", 1),
        ("second", 2),
    ]


def test_pictures_are_read_where_they_stand(file: File, make_picture: Callable[..., bytes]) -> None:
    file.add_paragraph("Above.")
    file.add_picture(io.BytesIO(make_picture("Signed by the board")))
    file.add_paragraph("Below.")
    document = read(file)

    assert texts(document) == ["Above.", "Signed by the board", "Below."]
    assert document.blocks[1].kind is BlockKind.IMAGE


def test_a_picture_that_cannot_be_read_is_noted(file: File, make_picture: Callable[..., bytes]) -> None:
    file.add_paragraph("Text.")
    file.add_picture(io.BytesIO(make_picture("Broken")))
    part = next(rel.target_part for rel in file.part.rels.values() if "image" in rel.reltype)
    part._blob = part.blob[:100]

    assert read(file).notes == ("A picture inside the document could not be read.",)


def test_a_bold_line_is_a_heading(file: File) -> None:
    file.add_paragraph().add_run("Clawback").bold = True
    file.add_paragraph("Refunds are taken back.")

    assert block_with(read(file), "Refunds").place.section == ("Clawback",)


def test_properties_are_kept(file: File) -> None:
    file.core_properties.title, file.core_properties.author = "Plan rules", "Finance"
    file.add_paragraph("Text.")
    document = read(file)

    assert (document.facts.title, document.properties["author"]) == ("Plan rules", "Finance")
