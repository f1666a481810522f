"""Records of a file as rows of values, with a finding for each cell that does not hold what it should."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from commission_mcp.errors import Code, Refused
from commission_mcp.storage.imports import delimited, workbook
from commission_mcp.storage.imports.cells import Fault, Value, shown
from commission_mcp.storage.imports.delimited import Record
from commission_mcp.storage.imports.header import Header, read_header
from commission_mcp.storage.imports.problems import Finding, Findings, unreadable
from commission_mcp.storage.imports.spec import Column, Spec

_TEXT_ENDINGS = frozenset({".csv", ".tsv", ".txt"})
_WORKBOOK_ENDING = ".xlsx"


@dataclass(frozen=True, slots=True)
class Staged:
    """A row that is ready to be staged; unsound when one of its cells was refused."""

    line: int
    values: tuple[Value | None, ...]
    sound: bool


class Reader:
    """Reads a file of one kind from beginning to end."""

    def __init__(self, path: Path, spec: Spec, findings: Findings) -> None:
        """Open the file and recognise its columns.

        Raises:
            Refused: The file cannot be read, or its columns are not those of the kind.
        """
        self._spec = spec
        self._findings = findings
        self._records = _records(path, spec)
        first = next(self._records, None)
        if first is None:
            raise _empty()
        self.header: Header = read_header(first, spec)
        self.rows_read = 0

    def chunk(self, size: int) -> list[Staged]:
        """The next rows, at most so many; none at the end of the file."""
        rows: list[Staged] = []
        while len(rows) < size and (record := next(self._records, None)) is not None:
            self.rows_read += 1
            rows.append(self._row(record))
        return rows

    def close(self) -> None:
        """Let go of the file."""
        self._records.close()

    def _row(self, record: Record) -> Staged:
        """Read all cells of a record."""
        columns = self.header.columns
        before = self._findings.total
        cells = self._fitted(record)
        if cells is None:
            return Staged(record.line, (None,) * len(columns), sound=False)
        values = tuple(
            self._value(record.line, column, cell.strip()) for column, cell in zip(columns, cells, strict=True)
        )
        if before == self._findings.total:
            self._check_row(record.line, values)
        return Staged(record.line, values, sound=before == self._findings.total)

    def _fitted(self, record: Record) -> list[str] | None:
        """The cells of a record, as many as the header has; empty ones beyond it do not count."""
        width, cells = len(self.header.columns), record.cells
        if len(cells) == width:
            return cells
        if len(cells) < width or any(cell.strip() for cell in cells[width:]):
            fault = Fault(
                f"the row has {len(cells)} cells where the header has {width}",
                "quote cells that contain the delimiter, and write a delimiter for each empty cell",
            )
            self._note(record.line, "", fault)
            return None
        return cells[:width]

    def _value(self, line: int, column: Column, cell: str) -> Value | None:
        """Read a cell; nothing when it is empty or refused."""
        if not cell:
            if column.required:
                self._note(line, column.name, Fault("the cell is empty", f"fill it in: {column.help.rstrip('.')}"))
            return None
        value = column.parse(cell)
        if isinstance(value, Fault):
            self._note(line, column.name, value)
            return None
        return value

    def _check_row(self, line: int, values: tuple[Value | None, ...]) -> None:
        """Hold a sound row against the rules over whole rows."""
        if not self._spec.rules:
            return
        row = {column.name: value for column, value in zip(self.header.columns, values, strict=True)}
        for rule in self._spec.rules:
            broken = rule(row)
            if broken is not None:
                self._note(line, *broken)

    def _note(self, line: int, column: str, fault: Fault) -> None:
        """Note what is wrong with a cell."""
        message = fault.message[:1].upper() + fault.message[1:]
        fix = fault.fix[:1].upper() + fault.fix[1:]
        self._findings.add(Finding(line, column, Code.IMPORT_VALUE, message, fix))


def _empty() -> Refused:
    return unreadable("The file is empty.", "The first line names the columns; the rows follow.")


def _records(path: Path, spec: Spec) -> Generator[Record]:
    """Choose the reader by the name of the file."""
    ending = path.suffix.lower()
    if ending != _WORKBOOK_ENDING and ending not in _TEXT_ENDINGS:
        raise unreadable(f"{shown(path.name)} does not end like a table.", "Import a .csv, .tsv, .txt or .xlsx file.")
    try:
        if not path.is_file():
            problem = "is not a file" if path.exists() else "does not exist"
            raise unreadable(f"{shown(str(path))} {problem}.", "Give the path of a .csv or .xlsx file.")
        with path.open("rb") as handle:
            empty = not handle.read(1)
    except OSError as error:
        raise unreadable(
            f"{shown(str(path))} cannot be opened.", "Check the path and the rights to read it."
        ) from error
    if empty:
        raise _empty()
    known = [column.name for column in spec.columns]
    return workbook.records(path) if ending == _WORKBOOK_ENDING else delimited.records(path, known)
