from __future__ import annotations

import pytest

from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import BlockKind, Document
from commission_mcp.documents.parsing import parse

from .conftest import texts


def read(content: bytes, name: str = "a.csv") -> Document:
    return parse(name, content, ReadingLimits(), None)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_rows(delimiter: str) -> None:
    content = delimiter.join(("Payee", "Amount", "Note")) + "\n" + delimiter.join(("Ann", "1.000", '"a,b; c"')) + "\n"

    assert texts(read(content.encode())) == ["Payee: Ann | Amount: 1.000 | Note: a,b; c"]


def test_decimal_commas_do_not_mislead() -> None:
    assert texts(read(b"Payee;Amount\nAnn;5,25\nBob;7,50\n"))[1] == "Payee: Bob | Amount: 7,50"


def test_an_encoding_other_than_utf_8_is_told() -> None:
    assert texts(read("Gebiet;Satz\nSüd;5 €\n".encode("cp1252"))) == ["Gebiet: Süd | Satz: 5 €"]
    assert texts(read("Gebiet;Satz\nSüd;5 €\n".encode("utf-16"))) == ["Gebiet: Süd | Satz: 5 €"]


def test_rows_without_a_header_are_read_as_they_are() -> None:
    assert texts(read(b"1,2,3\n4,5,6\n")) == ["1 | 2 | 3", "4 | 5 | 6"]


def test_quoted_line_ends_stay_in_their_cell() -> None:
    assert texts(read(b'Payee,Note\nAnn,"first\nsecond"\nBob,7\n'))[0] == "Payee: Ann | Note: first second"


def test_excels_own_first_line_is_obeyed() -> None:
    assert texts(read(b"sep=;\nPayee;Amount\nAnn;5\n")) == ["Payee: Ann | Amount: 5"]


def test_rows_are_numbered_as_in_the_file() -> None:
    assert [block.place.rows for block in read(b"Payee,Amount\nAnn,5\nBob,7\n").blocks] == [(2, 2), (3, 3)]


def test_a_single_column_is_a_list_and_no_titles() -> None:
    document = read(b"Payee\nAnn\nBob\n")

    assert texts(document) == ["Payee", "Ann", "Bob"]
    assert {block.kind for block in document.blocks} == {BlockKind.ROW}
