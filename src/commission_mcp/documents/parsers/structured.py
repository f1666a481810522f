"""JSON: objects and arrays to rows and paragraphs, each with its JSON Pointer; numbers stay as they are written."""

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
    del named, ocr
    text, _ = decoded_text(content)
    try:
        value: Value = json.loads(
            text,
            parse_int=str,
            parse_float=str,
            parse_constant=str,
            object_pairs_hook=lambda pairs: Fields(tuple((name, _scalar(value)) for name, value in pairs)),
        )
    except json.JSONDecodeError as error:
        raise damaged(f"The file is no JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise damaged("The JSON is nested deeper than any document.") from error
    _Reading(draft).take(_scalar(value), "", ())


def _scalar(value: object) -> Value:
    """A value with its scalars as text."""
    if isinstance(value, Fields | str):
        return value
    if isinstance(value, list):
        return [_scalar(item) for item in cast("list[object]", value)]
    constants: dict[object, str] = {None: "", True: "true", False: "false"}
    return constants.get(value, str(value))


@dataclass(frozen=True, slots=True)
class _Reading:
    draft: Draft

    def take(self, value: Value, path: str, section: tuple[str, ...]) -> None:
        """Add the blocks of a value."""
        if isinstance(value, str):
            self._add(BlockKind.PARAGRAPH, named_cell(section[-1] if section else "", value), path, section)
        elif isinstance(value, list):
            self._take_array(value, path, section)
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
            if isinstance(item, Fields) and all(_is_plain(value) for _, value in item.pairs):
                cells = [named_cell(name, _plain(value)) for name, value in item.pairs]
                self.draft.add_row(cells, Place(section=section, path=inside))
            else:
                self.take(item, inside, section)

    def _add(self, kind: BlockKind, text: str, path: str, section: tuple[str, ...]) -> None:
        self.draft.add(kind, text, Place(section=section, path=path))


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
