"""The header of a file: which column of it is which of ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from commission_mcp.errors import Code, Problem, Refused
from commission_mcp.storage.imports.cells import shown
from commission_mcp.storage.imports.delimited import Record, normalised
from commission_mcp.storage.imports.spec import Column, Spec


@dataclass(frozen=True, slots=True)
class Header:
    """The columns that a file has, in its own order."""

    columns: tuple[Column, ...]

    def has(self, name: str) -> bool:
        """Whether the file has this column."""
        return any(column.name == name for column in self.columns)


def read_header(record: Record, spec: Spec) -> Header:
    """Recognise the columns of a file.

    Raises:
        Refused: Columns are missing, unknown or doubled; all of them are named.
    """
    names = [normalised(cell) for cell in record.cells]
    while names and not names[-1]:  # empty columns at the end, as spreadsheets write them
        names.pop()
    problems = [*_unusable(names, spec, record.line), *_missing(names, spec, record.line)]
    if problems:
        raise Refused(*problems)
    return Header(tuple(spec.column(name) for name in names))


def _unusable(names: list[str], spec: Spec, line: int) -> Iterator[Problem]:
    """Columns that are unknown or stand there twice."""
    known = [column.name for column in spec.columns]
    for position, name in enumerate(names, start=1):
        path = f"line {line}, column {position}"
        if name not in known:
            near = get_close_matches(name, known, n=1)
            fix = f"Did you mean {near[0]}?" if near else f"Leave it out; {spec.kind} files have {', '.join(known)}."
            yield Problem(Code.IMPORT_COLUMN, f"There is no column {shown(name)}.", fix, path=path)
        elif name in names[: position - 1]:
            yield Problem(Code.IMPORT_COLUMN, f"The column {name} stands there twice.", "Leave one out.", path=path)


def _missing(names: list[str], spec: Spec, line: int) -> Iterator[Problem]:
    """Required columns that are not there."""
    for column in spec.columns:
        if column.required and column.name not in names:
            strange = [name for name in names if name not in {known.name for known in spec.columns}]
            near = get_close_matches(column.name, strange, n=1)
            fix = f"Rename {shown(near[0])} to {column.name}." if near else f"Add it: {column.help}"
            yield Problem(Code.IMPORT_COLUMN, f"The column {column.name} is missing.", fix, path=f"line {line}")
