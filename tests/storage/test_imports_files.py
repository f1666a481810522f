from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest

from commission_mcp.errors import Code, Refused
from commission_mcp.storage.imports import COLUMNS, Kind, describe
from commission_mcp.storage.imports.problems import Findings
from commission_mcp.storage.imports.rows import Reader, Staged
from commission_mcp.storage.imports.spec import SPECS


def read(path: Path, kind: Kind = Kind.UOMS) -> tuple[list[Staged], Findings]:
    findings = Findings()
    reader = Reader(path, SPECS[kind], findings)
    try:
        return reader.chunk(1_000_000), findings
    finally:
        reader.close()


def read_bytes(folder: Path, content: bytes, name: str = "rows.csv") -> list[Staged]:
    path = folder / name
    path.write_bytes(content)
    return read(path)[0]


def refusal(folder: Path, content: bytes, name: str = "rows.csv", kind: Kind = Kind.UOMS) -> Refused:
    path = folder / name
    path.write_bytes(content)
    with pytest.raises(Refused) as caught:
        read(path, kind)
    return caught.value


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiter_and_encoding_are_detected(tmp_path: Path, delimiter: str, encoding: str) -> None:
    content = delimiter.join(("uom", "name")) + "\r\n" + delimiter.join(("St", "Stück")) + "\r\n"

    assert [row.values for row in read_bytes(tmp_path, content.encode(encoding))] == [("St", "Stück")]


def test_header_names_may_be_spaced_and_capitalised(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(" Payee ID ,NAME,Hired On\np1,Ada,2020-01-01\n", encoding="utf-8")

    assert read(path, Kind.PAYEES)[0][0].values == ("p1", "Ada", "2020-01-01")


def test_lines_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    content = b'uom,name\n\na,"over\ntwo lines"\n,,\n;\nb,B\n'
    path = tmp_path / "rows.csv"
    path.write_bytes(content)

    rows, findings = read(path)

    assert [row.line for row in rows] == [3, 6, 7]
    with pytest.raises(Refused) as caught:
        findings.refuse_if_any()
    assert [problem.path for problem in caught.value.problems] == ["line 3, column name", "line 6"]


def test_empty_cells_at_the_end_do_not_count(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, b"uom,name,,\na,A,,\n")[0].values == ("a", "A")


def test_a_row_of_another_width_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"uom,name\na\nb,B,extra\n")

    rows, findings = read(path)

    assert [row.sound for row in rows] == [False, False]
    assert findings.total >= 2


def test_columns_are_missing_unknown_or_doubled(tmp_path: Path) -> None:
    refused = refusal(tmp_path, b"uom,uom,nmae\na,a,A\n")

    assert {problem.code for problem in refused.problems} == {Code.IMPORT_COLUMN}
    assert "twice" in str(refused)
    assert "Did you mean name?" in str(refused)
    assert "The column name is missing" in str(refused)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("blank.csv", b"\n\n"),
        ("junk.csv", bytes(range(256)) * 10),
        ("zip.csv", b"PK\x03\x04rest"),
        ("old.csv", b"\xd0\xcf\x11\xe0rest"),
        ("text.pdf", b"uom,name\n"),
        ("quotes.csv", b'uom,name\na,"never closed\n'),
        ("odd.csv", b"\xff\xfeu"),
        ("junk.xlsx", b"not a workbook"),
        ("zip.xlsx", b"PK\x03\x04rest"),
        ("long.csv", b"uom,name\n" + b"x" * (1 << 21)),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    assert refusal(tmp_path, content, name).problems[0].code is Code.IMPORT_FILE


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for path in (tmp_path / "none.csv", tmp_path / "folder.csv"):
        with pytest.raises(Refused) as caught:
            read(path)
        assert caught.value.problems[0].code is Code.IMPORT_FILE


def test_a_workbook_is_read_as_a_person_sees_it(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["source_key", "sold_on", "gross", "quantity", "customer"])
    sheet.append(["a", date(2026, 1, 2), 0.1 + 0.2, 5.0, "007"])
    sheet.append([])
    sheet.append(["b", datetime(2026, 1, 2, 3, 4), 1234.5000000000002, 3, True])  # noqa: DTZ001 - a spreadsheet's date has no zone
    path = tmp_path / "sales.XLSX"
    book.save(path)

    rows, findings = read(path, Kind.SALES)

    assert rows[0].values == ("a", "2026-01-02", "0.3", "5", "007")
    assert rows[1].line == 4
    assert rows[1].values == ("b", None, "1234.5", "3", "true")
    assert findings.total == 1


def test_a_workbook_with_a_cell_in_the_last_corner_is_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["uom", "name"])
    sheet["XFD1048576"] = "far away"
    path = tmp_path / "corner.xlsx"
    book.save(path)

    with pytest.raises(Refused) as caught:
        read(path)

    assert caught.value.problems[0].code is Code.IMPORT_FILE
    assert "CSV" in caught.value.problems[0].fix


def test_the_columns_are_documented() -> None:
    for kind, columns in COLUMNS.items():
        table = describe(kind)
        assert all(f"| {column.name} |" in table and column.help for column in columns)
