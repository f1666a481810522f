"""A document cut into passages: along its own seams, never across a page, never through a row of a table.

The text of a document is its blocks in reading order. A passage is a slice of that text, so a citation can be checked
against it character by character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from commission_mcp.documents.model import Block, BlockKind, Chunk, Document, Facts, Place

SIZE_CHARS = 800
OVERLAP_CHARS = 100
SECTION_HEADER_CHARS_MAX = 160
FULL_ENOUGH = 2
"""A heading ends a passage that has at least one over this many parts of the size."""

_SENTENCE_END = re.compile(r"(?<=[.!?;:])[\"')\]\u201d\u2019]*\s+|(?<=[\u3002\uff01\uff1f])|\n+")
_WORD_END = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is never cut: a row, or as much of a block as one sentence (or a part of it) holds."""

    start: int
    end: int
    block: int
    kind: BlockKind


def full_text(document: Document) -> str:
    """The text of a document: its blocks in reading order; rows of a table on lines of their own.

    What `Chunk.start` and `Chunk.end` count in, in characters.
    """
    parts: list[str] = []
    for before, block in pairwise((None, *document.blocks)):
        if before is not None and block is not None:
            parts.append(_separator(before, block))
        if block is not None:
            parts.append(block.text)
    return "".join(parts)


def block_offsets(document: Document) -> list[tuple[int, int]]:
    """Where each block begins and ends in the text of its document, in characters."""
    offsets: list[tuple[int, int]] = []
    at = 0
    before: Block | None = None
    for block in document.blocks:
        at += 0 if before is None else len(_separator(before, block))
        offsets.append((at, at + len(block.text)))
        at += len(block.text)
        before = block
    return offsets


def chunks(document: Document, size: int = SIZE_CHARS, overlap: int = OVERLAP_CHARS) -> list[Chunk]:
    """Cut a document into passages.

    A passage ends where the page, the sheet or (once it is half full) the section ends, before a heading, else after
    the last paragraph, sentence or row that fits. What stands between two passages is white space only; none is longer
    than the size, but a single row that is.

    Args:
        document: What to cut.
        size: The length that a passage may have, in characters.
        overlap: How much of its end the next passage may repeat, whole sentences only, in characters. Rows are not
            repeated: each carries its columns' names.

    Returns:
        The passages in reading order; starts and ends both increase.

    Raises:
        ValueError: The size is not positive, or the overlap is negative or not below the size.
    """
    if size < 1 or not 0 <= overlap < size:
        raise ValueError("a passage needs a positive size and an overlap below it")
    text = full_text(document)
    found: list[Chunk] = []
    for _, pieces in groupby(_pieces(document, text, size), lambda piece: _leaf(document.blocks[piece.block].place)):
        for first, last, page in _packed(list(pieces), size, overlap):
            start, end = page[first].start, page[last].end
            place = _place([document.blocks[piece.block].place for piece in page[first : last + 1]])
            header = header_of(document.facts, place)
            found.append(Chunk(len(found), text[start:end], start, end, place, header))
    return found


def header_of(facts: Facts, place: Place) -> str:
    """What a reader knows who comes to a place from the top: title, organisation, years, kind, sheet, section."""
    organisation = facts.organisations[0] if facts.organisations else ""
    organisation = "" if organisation.casefold() in facts.title.casefold() else organisation
    kind = "" if facts.category == "other" else facts.category
    years = " ".join(str(year) for year in facts.years[:2])
    section = _shortened(" > ".join(place.section))
    parts = (facts.title, organisation, years, kind, place.sheet or "", section)
    return " | ".join(part for part in parts if part)


def _separator(before: Block, block: Block) -> str:
    rows = before.kind is block.kind is BlockKind.ROW and _leaf(before.place) == _leaf(block.place)
    return "\n" if rows else "\n\n"


def _leaf(place: Place) -> tuple[int | None, str | None]:
    """The page or sheet, which no passage crosses."""
    return place.page, place.sheet


def _pieces(document: Document, text: str, size: int) -> Iterator[_Piece]:
    for number, (block, (start, end)) in enumerate(zip(document.blocks, block_offsets(document), strict=True)):
        if block.kind is BlockKind.ROW:
            yield _Piece(start, end, number, block.kind)
        else:
            for low, high in _sentences(text, start, end, size):
                yield _Piece(low, high, number, block.kind)


def _sentences(text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """The sentences of a block; one that is longer than a passage in parts, along words where it has any."""
    for low, high in _split(text, start, end, _SENTENCE_END):
        if high - low <= size:
            yield low, high
        else:
            yield from _merged(_hard_parts(text, low, high, size), size)


def _hard_parts(text: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    for low, high in _split(text, start, end, _WORD_END):
        for cut in range(low, high, size):
            yield cut, min(cut + size, high)


def _split(text: str, start: int, end: int, seam: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """The stretches between seams, without white space around them."""
    at = start
    for match in (*seam.finditer(text, start, end), None):
        low, high = at, end if match is None else match.start() + len(match[0].rstrip())
        at = end if match is None else match.end()
        while low < high and text[low].isspace():
            low += 1
        while high > low and text[high - 1].isspace():
            high -= 1
        if low < high:
            yield low, high


def _merged(parts: Iterator[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Neighbouring parts joined while they fit."""
    low, high = next(parts)
    for start, end in parts:
        if end - low <= size:
            high = end
        else:
            yield low, high
            low, high = start, end
    yield low, high


def _packed(pieces: Sequence[_Piece], size: int, overlap: int) -> Iterator[tuple[int, int, Sequence[_Piece]]]:
    """The first and last piece of each passage of a page."""
    first = fresh = 0
    while fresh < len(pieces):
        last = _last(pieces, first, fresh, size)
        yield first, last, pieces
        fresh = last + 1
        first = _first(pieces, first, fresh, size, overlap)


def _last(pieces: Sequence[_Piece], first: int, fresh: int, size: int) -> int:
    """The last piece of the passage that begins at `first` and has to include `fresh`."""
    last = fresh
    start = pieces[first].start
    while last + 1 < len(pieces) and pieces[last + 1].end - start <= size:
        if _opens_section(pieces, last + 1) and (pieces[last].end - start) * FULL_ENOUGH >= size:
            return last
        last += 1
    return last if last + 1 == len(pieces) else _with_good_end(pieces, start, fresh, last, size)


def _with_good_end(pieces: Sequence[_Piece], start: int, fresh: int, last: int, size: int) -> int:
    """A passage is full: end it rather after a whole block, and never with the heading of what follows."""
    end = last
    while end > fresh and pieces[end].kind is BlockKind.HEADING:
        end -= 1
    for candidate in range(end, fresh - 1, -1):
        if (pieces[candidate].end - start) * 4 < size * 3:
            break
        if pieces[candidate].block != pieces[candidate + 1].block:
            return candidate
    return end


def _opens_section(pieces: Sequence[_Piece], at: int) -> bool:
    heads = pieces[at].kind is BlockKind.HEADING
    return heads and pieces[at - 1].kind is not BlockKind.HEADING


def _first(pieces: Sequence[_Piece], first: int, fresh: int, size: int, overlap: int) -> int:
    """Where the next passage begins: at `fresh`, or earlier by whole sentences within the overlap."""
    if fresh >= len(pieces) or pieces[fresh].kind is BlockKind.HEADING:
        return fresh
    earliest = max(pieces[fresh - 1].end - overlap, pieces[fresh].end - size)
    begin = fresh
    while begin - 1 > first and _repeats(pieces[begin - 1]) and pieces[begin - 1].start >= earliest:
        begin -= 1
    return begin


def _repeats(piece: _Piece) -> bool:
    return piece.kind is not BlockKind.ROW and piece.kind is not BlockKind.HEADING


def _place(places: Sequence[Place]) -> Place:
    """The place that holds all of these, which stand on one page."""
    rows = [place.rows for place in places if place.rows is not None]
    between = (min(low for low, _ in rows), max(high for _, high in rows)) if rows else None
    return replace(places[0], section=_common(places), rows=between, path=_common_path(places))


def _common(places: Sequence[Place]) -> tuple[str, ...]:
    """The headings that all places are under; those of the first text when a passage spans sections."""
    shared = places[0].section
    for place in places[1:]:
        depth = next((i for i, (a, b) in enumerate(zip(shared, place.section, strict=False)) if a != b), None)
        shared = shared[: min(len(shared), len(place.section)) if depth is None else depth]
    return shared or places[0].section


def _common_path(places: Sequence[Place]) -> str | None:
    paths = [place.path for place in places]
    if any(path is None for path in paths):
        return places[0].path
    steps = [path.split("/") for path in paths if path is not None]
    shared = 0
    while all(len(step) > shared and step[shared] == steps[0][shared] for step in steps):
        shared += 1
    return "/".join(steps[0][:shared])


def _shortened(section: str) -> str:
    """The end of a long section path: the nearest headings say most."""
    if len(section) <= SECTION_HEADER_CHARS_MAX:
        return section
    cut = section[-SECTION_HEADER_CHARS_MAX:]
    return "... " + cut[cut.find(" ") + 1 :]
