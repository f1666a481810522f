"""Rows on stdout: a table where a person looks at it, CSV where a program does, JSON where it is asked for."""

from __future__ import annotations

import csv
import json
import sys
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias, cast

import typer

if TYPE_CHECKING:
    from commission_mcp.client import Rows

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON: an array with an object for each row.")]
AsCsv: TypeAlias = Annotated[bool, typer.Option("--csv", help="Print CSV, as into a pipe or file anyway.")]


_RECORDS_MAX, _BETWEEN = 20, " | "


class Form(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def form(*, as_json: bool = False, as_csv: bool = False) -> Form:
    """The form that was asked for, or that fits where stdout goes."""
    if as_json:
        return Form.JSON
    return Form.TABLE if sys.stdout.isatty() and not as_csv else Form.CSV


def print_rows(pages: Iterable[Rows], form: Form) -> None:
    """Print rows, page by page as they come; a table is made of all of them."""
    if form is Form.TABLE:
        for page in pages:
            _print_table(page)
    elif form is Form.CSV:
        _print_csv(pages)
    else:
        _print_json(pages)


def print_json(value: object) -> None:
    """Print a value as JSON, with Decimals and dates as their text."""
    from commission_mcp.client.values import wire

    sys.stdout.write(json.dumps(wire(value), ensure_ascii=False, indent=2) + "\n")


def printable(text: str) -> str:
    """The text without what a terminal would take for a command: data may come from anywhere."""
    return "".join(
        mark if mark in "\n\t" or not unicodedata.category(mark).startswith("C") else "\ufffd" for mark in text
    )


def _print_table(page: Rows) -> None:
    """A table; a few rows that are wider than a line are printed with a value on each line, since no cell would fit."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    cells = [[printable(_cell(value)) for value in row] for row in page]
    names = [printable(column.name) for column in page.columns]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    if len(cells) <= _RECORDS_MAX and sum(widths) + len(_BETWEEN) * len(widths) > console.width:
        for number, row in enumerate(cells, 1):
            console.print(Text(f"-- {number}", style="dim"))
            for name, cell in zip(names, row, strict=True):
                console.print(Text(f"{name:{max(map(len, names))}}  {cell}"))
        return
    table = Table(show_edge=False, header_style="bold")
    for column, name in zip(page.columns, names, strict=True):
        table.add_column(Text(name), justify="right" if column.is_number else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_csv(pages: Iterable[Rows]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, page in enumerate(pages):
        if number == 0:
            writer.writerow(page.names)
        types = [column.type for column in page.columns]
        writer.writerows([_cell(value, type_) for value, type_ in zip(row, types, strict=True)] for row in page)


def _print_json(pages: Iterable[Rows]) -> None:
    from commission_mcp.client.values import wire

    begin = "["
    for page in pages:
        for record in page.records():
            sys.stdout.write(f"{begin}\n{json.dumps(wire(record), ensure_ascii=False)}")
            begin = ","
    sys.stdout.write("[]\n" if begin == "[" else "\n]\n")


def _cell(value: object, type_: str = "") -> str:
    """The value as text that PostgreSQL reads: JSON stays JSON, so that its texts keep their quotes."""
    from commission_mcp.client.values import wire

    sent = wire(value)
    match sent:
        case None:
            return ""
        case list() if type_.endswith("multirange"):
            return f"{{{','.join(map(str, cast('list[object]', sent)))}}}"
        case str() if type_ in {"json", "jsonb"}:
            return json.dumps(sent, ensure_ascii=False)
        case bool() | list() | dict():
            return json.dumps(sent, ensure_ascii=False)
        case _:
            return str(sent)
