"""Documents as JSON: how the worker hands them over, and how they can be stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeAlias, cast

import orjson

from commission_mcp.documents.model import Block, BlockKind, Document, Facts, Place

Fields: TypeAlias = Mapping[str, object]


def encoded(document: Document) -> bytes:
    """A document as JSON; its blocks are arrays, and places that repeat are written once."""
    places: dict[Place, int] = {}
    blocks = [[block.kind, block.text, places.setdefault(block.place, len(places))] for block in document.blocks]
    head = {
        "name": document.name,
        "media_type": document.media_type,
        "pages": document.pages,
        "facts": asdict(document.facts),
        "reader": document.reader,
        "notes": document.notes,
        "properties": dict(document.properties),
    }
    listed = [[place.page, place.section, place.sheet, place.rows, place.path] for place in places]
    return orjson.dumps({**head, "places": listed, "blocks": blocks})


def decoded(data: bytes) -> Document:
    """The document of `encoded`.

    Raises:
        ValueError: It is not of that form.
    """
    fields = cast("Fields", orjson.loads(data))
    try:
        places = [_place(row) for row in cast("list[list[object]]", fields["places"])]
        blocks = cast("list[tuple[str, str, int]]", fields["blocks"])
        return Document(
            name=str(fields["name"]),
            media_type=str(fields["media_type"]),
            blocks=tuple(Block(BlockKind(kind), text, places[place]) for kind, text, place in blocks),
            pages=int(cast("int", fields["pages"])),
            facts=_facts(cast("Fields", fields["facts"])),
            reader=str(fields["reader"]),
            notes=tuple(map(str, cast("list[str]", fields["notes"]))),
            properties=dict(cast("Mapping[str, str]", fields["properties"])),
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError("not an encoded document") from error


def _place(row: list[object]) -> Place:
    page, section, sheet, rows, path = row
    between = cast("list[int] | None", rows)
    return Place(
        page=cast("int | None", page),
        section=tuple(cast("list[str]", section)),
        sheet=cast("str | None", sheet),
        rows=None if between is None else (between[0], between[1]),
        path=cast("str | None", path),
    )


def _facts(fields: Fields) -> Facts:
    several = {name: tuple(cast("list[str]", value)) for name, value in fields.items() if isinstance(value, list)}
    single = {name: value for name, value in fields.items() if not isinstance(value, list)}
    return Facts(**cast("dict[str, str]", single), **several)  # pyright: ignore[reportArgumentType] - years are numbers
