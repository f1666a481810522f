"""Delimited text: encoding and delimiter detected, read record by record with the line on which each begins."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from commission_mcp.storage.imports.problems import unreadable

LINE_LENGTH_MAX = 1 << 20
_BLOCK_BYTES = 1 << 20
_DELIMITERS = (",", ";", "\t")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHER_FORMATS = (
    (b"PK\x03\x04", "an Excel workbook or a zip archive", "Rename it to .xlsx, or save it as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save it as .xlsx or as CSV."),
    (b"%PDF", "a PDF document", "Export the table as CSV."),
    (b"\x1f\x8b", "compressed", "Unpack it first."),
)


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one row, and the line of the file on which it begins."""

    line: int
    cells: list[str]


def records(path: Path, known: Iterable[str]) -> Generator[Record]:
    """Read a delimited file, the header first; rows without any content are left out.

    Args:
        path: The file.
        known: Names of columns, by which the delimiter of the header is recognised.

    Raises:
        Refused: The file is not delimited text.
    """
    encoding = _encoding(path)
    delimiter = _delimiter(path, encoding, frozenset(known))
    with path.open(encoding=encoding, newline="") as handle:
        reader = csv.reader(_lines(handle), delimiter=delimiter, strict=True)
        line = 1
        try:
            for cells in reader:
                if any(cell and not cell.isspace() for cell in cells):
                    yield Record(line, cells)
                line = reader.line_num + 1
        except csv.Error as error:
            raise unreadable(
                f"The record on line {line} cannot be read: its quotation marks do not pair, or a cell is too long.",
                'Write a quotation mark inside a quoted cell twice: "12"" pipe".',
            ) from error


def _lines(handle: TextIO) -> Iterator[str]:
    """Lines of bounded length, so that a file without line ends cannot fill the memory."""
    number = 0
    while line := handle.readline(LINE_LENGTH_MAX + 1):
        number += 1
        if len(line) > LINE_LENGTH_MAX:
            raise unreadable(f"Line {number} has more than {LINE_LENGTH_MAX} characters.", "Save the table as CSV.")
        yield line


def _encoding(path: Path) -> str:
    """The encoding of the whole file: named by a byte order mark, else UTF-8 where it is, else Windows-1252."""
    with path.open("rb") as handle:
        start = handle.read(8)
    for magic, name, fix in _OTHER_FORMATS:
        if start.startswith(magic):
            raise unreadable(f"The file is {name}, not delimited text.", fix)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            candidates = (encoding,)
            break
    else:
        candidates = ("utf-8", "cp1252")
    for encoding in candidates:
        if _is_text(path, encoding):
            return encoding
    raise unreadable("The file is not text.", "Save the table as CSV in UTF-8.")


def _is_text(path: Path, encoding: str) -> bool:
    """Whether all of the file decodes, and no character in it is a NUL."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as handle:
            while block := handle.read(_BLOCK_BYTES):
                if "\0" in decoder.decode(block):
                    return False
        return "\0" not in decoder.decode(b"", final=True)
    except UnicodeError:
        return False


def _delimiter(path: Path, encoding: str, known: frozenset[str]) -> str:
    """The delimiter under which the first written line holds most known columns, and then most cells."""
    with path.open(encoding=encoding, newline="") as handle:
        first = next((line for line in _lines(handle) if not line.isspace()), "")

    def merit(delimiter: str) -> tuple[int, int]:
        names = first.replace('"', "").split(delimiter)
        return len(known & {normalised(name) for name in names}), len(names)

    return max(_DELIMITERS, key=merit)


def normalised(name: str) -> str:
    """The name of a column, however it is spaced and capitalised."""
    return "_".join(name.strip().lower().replace("_", " ").split())
