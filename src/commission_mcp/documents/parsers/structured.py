"""JSON: objects and arrays to rows and paragraphs, each with its JSON Pointer; numbers stay as they are written.

Of JSON lines, one value a line, each line is a row or a paragraph and is told by its number. Exports call them
``.json`` too, so that is looked for wherever a file is no single value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from commission_mcp.documents.draft import Draft, named_cell
from commission_mcp.documents.encodings import decoded_text
from commission_mcp.documents.formats import Format
from commission_mcp.documents.model import BlockKind, Place
from commission_mcp.documents.pictures import Ocr
from commission_mcp.documents.refusals import damaged

SECTIONS_DEEP = 6
LONG_TEXT_CHARS = 200


@dataclass(frozen=True, slots=True)
class Fields:
    """An object: its fields as they stand, a name that stands twice included."""

    pairs: tuple[tuple[str, Value], ...]


Value: TypeAlias = "str | list[Value] | Fields"


def parse(content: bytes, named: Format, draft: Draft, ocr: Ocr | None) -> None:
    """Read JSON.

    Raises:
        Refused: It is no JSON, or nested deeper than any document.
    """
    del ocr
    text, _ = decoded_text(content)
    reading = _Reading(draft)
    try:
        if named.name == "JSON lines":
            values = _lines(text)
        else:
            try:
                values = {None: _value(text)}
            except json.JSONDecodeError as error:
                values = _other_lines(text, error)
    except json.JSONDecodeError as error:
        raise damaged(f"The file is no JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise damaged("The JSON is nested deeper than any document.") from error
    for line, value in values.items():
        reading.line = line
        reading.take(value, "", ())


def _value(text: str) -> Value:
    value: object = json.loads(
        text,
        parse_int=str,
        parse_float=str,
        parse_constant=str,
        object_pairs_hook=lambda pairs: Fields(tuple((name, _scalar(value)) for name, value in pairs)),
    )
    return _scalar(value)


def _lines(text: str) -> dict[int | None, Value]:
    """The values of JSON lines, by the number of their line."""
    values: dict[int | None, Value] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values[number] = _value(line)
            except json.JSONDecodeError as error:
                raise json.JSONDecodeError(error.msg, "\n" * (number - 1) + line, error.pos + number - 1) from error
    return values


def _other_lines(text: str, failure: json.JSONDecodeError) -> dict[int | None, Value]:
    """JSON lines where a single value was expected; what is neither fails as the single value did."""
    first = text.lstrip().partition("\n")[0].strip()
    if not first.startswith(("{", "[")) or not first.endswith(("}", "]")):
        raise failure
    try:
        return _lines(text)
    except json.JSONDecodeError:
        raise failure from None


def _scalar(value: object) -> Value:
    """A value with its scalars as text."""
    if isinstance(value, Fields | str):
        return value
    if isinstance(value, list):
        return [_scalar(item) for item in cast("list[object]", value)]
    constants: dict[object, str] = {None: "", True: "true", False: "false"}
    return constants.get(value, str(value))


@dataclass(slots=True)
class _Reading:
    """Where the reading stands: of JSON lines, in which."""

    draft: Draft
    line: int | None = None

    def take(self, value: Value, path: str, section: tuple[str, ...]) -> None:
        """Add the blocks of a value."""
        if isinstance(value, str):
            self._add(BlockKind.PARAGRAPH, named_cell(section[-1] if section else "", value), path, section)
        elif isinstance(value, list):
            self._take_array(value, path, section)
        elif self.line is not None and not path and _is_flat(value):
            self._add_row(value, path, section)
        else:
            self._take_object(value, path, section)

    def _take_object(self, value: Fields, path: str, section: tuple[str, ...]) -> None:
        plain = [(name, item) for name, item in value.pairs if _is_plain(item)]
        lines = [named_cell(name, _plain(item)) for name, item in plain]
        self._add(BlockKind.PARAGRAPH, "\n".join(line for line in lines if line), path, section)
        for name, item in value.pairs:
            if not _is_plain(item):
                self.take(item, f"{path}/{_escaped(name)}", (*section, name)[-SECTIONS_DEEP:])

    def _take_array(self, items: list[Value], path: str, section: tuple[str, ...]) -> None:
        for number, item in enumerate(items):
            inside = f"{path}/{number}"
            if isinstance(item, Fields) and _is_flat(item):
                self._add_row(item, inside, section)
            else:
                self.take(item, inside, section)

    def _add_row(self, item: Fields, path: str, section: tuple[str, ...]) -> None:
        self.draft.add_row([named_cell(name, _plain(value)) for name, value in item.pairs], self._place(path, section))

    def _add(self, kind: BlockKind, text: str, path: str, section: tuple[str, ...]) -> None:
        self.draft.add(kind, text, self._place(path, section))

    def _place(self, path: str, section: tuple[str, ...]) -> Place:
        if self.line is None:
            return Place(section=section, path=path)
        return Place(section=section, rows=(self.line, self.line))


def _is_flat(item: Fields) -> bool:
    return all(_is_plain(value) for _, value in item.pairs)


def _is_plain(value: Value) -> bool:
    """Whether a value is written on the line of its name: a scalar, or a short array of scalars."""
    if isinstance(value, str):
        return True
    return isinstance(value, list) and _short(value)


def _short(items: Sequence[Value]) -> bool:
    return all(isinstance(item, str) for item in items) and sum(len(str(item)) for item in items) <= LONG_TEXT_CHARS


def _plain(value: Value) -> str:
    if isinstance(value, list):
        return ", ".join(item for item in value if isinstance(item, str) and item)
    return value if isinstance(value, str) else ""


def _escaped(name: str) -> str:
    """A name as a step of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
