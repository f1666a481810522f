"""What a document is once it has been read: blocks of text, each with the place where a person finds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class BlockKind(StrEnum):
    """What a block is in its document."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    ROW = "row"  # of a table or sheet; its text carries the names of its columns
    IMAGE = "image"  # text that was read out of a picture


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, as a person would look it up.

    Attributes:
        page: The page, counted from 1, where the format has pages.
        section: The headings above it, outermost first.
        sheet: The sheet of a workbook.
        rows: The first and last row of a sheet or table file, counted from 1, the header included.
        path: Where in a JSON document, as a JSON Pointer.
    """

    page: int | None = None
    section: tuple[str, ...] = ()
    sheet: str | None = None
    rows: tuple[int, int] | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document that stays together: a paragraph, a heading, a row.

    Attributes:
        kind: What it is.
        text: Its text, not empty; a row says ``column: value`` for each of its cells.
        place: Where it stands.
    """

    kind: BlockKind
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Facts:
    """What a document says about itself, found in its name and text; used for filters and routing.

    Attributes:
        title: Its title: from the file's properties, its first heading, or its name.
        category: What kind of document: ``policy``, ``rates``, ``contract``, ``report``, ``plan``, ``other`` ...
        language: ISO 639-1, such as ``en``; empty when it cannot be told.
        organisations: Companies that it is about, most prominent first, with their short forms.
        years: Calendar and fiscal years that it is about, most prominent first.
        dates: Dates that it states, ISO 8601, at most a few dozen.
        currencies: ISO 4217 codes, most frequent first.
        plan_names: Names of commission plans that it mentions.
        tags: Words for filters: from the folder, the properties and the facts above, lower-case.
    """

    title: str
    category: str = "other"
    language: str = ""
    organisations: tuple[str, ...] = ()
    years: tuple[int, ...] = ()
    dates: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    plan_names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was read.

    Attributes:
        name: Its path inside its folder, with ``/``, such as ``rates/emea.xlsx``.
        media_type: Its media type, by its content.
        blocks: Its text, in reading order; never empty.
        pages: How many pages it has; 0 where the format has none.
        facts: What it says about itself.
        reader: What read it, with versions, OCR included: part of its fingerprint.
        notes: What a person should know, such as pages that could not be read.
        properties: What the file says about itself: author, subject, keywords.
    """

    name: str
    media_type: str
    blocks: tuple[Block, ...]
    pages: int
    facts: Facts
    reader: str
    notes: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage that is found and cited as a whole.

    Attributes:
        number: Its position in the document, from 0.
        text: Its text as it stands in the document.
        start: Where the text begins in the text of the document (`documents.chunking.full_text`), in characters.
        end: Where it ends.
        place: Where it stands; within one page.
        header: What a reader knows who comes to it from the top of the document: title, organisation, year, kind,
            section. Searched with the text, not cited.
    """

    number: int
    text: str
    start: int
    end: int
    place: Place
    header: str
