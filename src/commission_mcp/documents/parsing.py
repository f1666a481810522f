"""From bytes to a document: the parser of its format, then what the whole says about itself."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, cast

from commission_mcp.documents.draft import Draft
from commission_mcp.documents.facts import facts_of
from commission_mcp.documents.formats import Format, named_format
from commission_mcp.documents.limits import ReadingLimits
from commission_mcp.documents.model import Document
from commission_mcp.documents.pictures import Ocr
from commission_mcp.documents.refusals import empty, ocr_unavailable

PARSERS_VERSION = 3
"""Raised whenever a parser reads the same file differently: documents are then read again."""


class Parse(Protocol):
    """What a parser's module offers as `parse`."""

    def __call__(self, content: bytes, named: Format, draft: Draft, ocr: Ocr | None) -> None:
        """Put what the content says into the draft.

        Raises:
            Refused: It cannot be read.
        """
        ...


def parse(name: str, content: bytes, limits: ReadingLimits, ocr: Ocr | None) -> Document:
    """Read a document; for the worker, since a hostile file may break a parser.

    Raises:
        Refused: It cannot be read, or there is no text in it.
    """
    named = named_format(name)
    module = import_module(f"commission_mcp.documents.parsers.{named.parser}")
    draft = Draft(limits)
    cast("Parse", module.parse)(content, named, draft, ocr)
    if not draft.blocks:
        raise ocr_unavailable(limits.languages) if draft.pictures_unread and ocr is None else empty()
    if draft.pictures_unread:
        why = "no OCR program is installed" if ocr is None else f"at most {limits.images_max} a document are"
        draft.note(f"{draft.pictures_unread} pictures were not read: {why}.")
    return Document(
        name=name,
        media_type=named.media_type,
        blocks=tuple(draft.blocks),
        pages=draft.pages,
        facts=facts_of(name, draft.properties, draft.blocks),
        reader=reader_of(named, ocr.engine if ocr else None),
        notes=tuple(draft.notes),
        properties=draft.properties,
    )


def reader_of(named: Format, engine: str | None) -> str:
    """What reads a format here, with versions; OCR included where its files may hold pictures."""
    packages = [f"{package} {_version(package)}" for package in named.packages]
    sight = [engine or "no OCR"] if named.pictures else []
    return ", ".join([f"{named.parser} {PARSERS_VERSION}", *packages, *sight])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"
