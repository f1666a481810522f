"""What an index keeps of a document, and how a row of its store becomes that again, or is found damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import orjson

from commission_mcp.documents.model import BlockKind, Chunk, Facts, Place

if TYPE_CHECKING:
    from commission_mcp.search.embedding import Vectors


@dataclass(frozen=True, slots=True)
class FileState:
    """What the file system says of a file; equal states of a file that rests mean equal content."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Span:
    """Where a block of a document stands in its text, and what it is."""

    kind: BlockKind
    start: int
    end: int
    place: Place


@dataclass(frozen=True, slots=True)
class Embedding:
    """The vectors of a document's chunks.

    Attributes:
        model: The identity of the model; vectors of different models are never mixed.
        clear: A vector a chunk, as rows.
        masked: For each chunk whose masked text is another one, by its number, the vector of that.
    """

    model: str
    clear: Vectors
    masked: Mapping[int, Vectors] = field(default_factory=dict[int, "Vectors"])


@dataclass(frozen=True, slots=True)
class Properties:
    """What is known of a document as a whole; its kind, title and the like."""

    media_type: str
    pages: int
    facts: Facts
    reader: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A document as it is kept.

    Attributes:
        name: Its path inside its folder, with ``/``.
        state: The file that it was read from.
        sha256: Of that file's content.
        reading: How it was read and cut: another reading of the same content may give another text.
        indexed_at: When, in seconds since 1970.
        properties: What is known of it as a whole.
        text: Its whole text; chunks and spans are slices of it.
        masked_text: The same with personal data masked, of the same length; None where there is none to mask.
        spans: Its blocks.
        chunks: Its chunks, with the clear text.
        embedding: Their vectors; None as long as no model was there.
    """

    name: str
    state: FileState
    sha256: str
    reading: str
    indexed_at: float
    properties: Properties
    text: str
    masked_text: str | None
    spans: tuple[Span, ...]
    chunks: tuple[Chunk, ...]
    embedding: Embedding | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be read, and why.

    Attributes:
        name: Its path inside its folder.
        state: The file.
        sha256: Of its content; empty when that was not read.
        reading: How reading it was tried.
        failed_at: When, in seconds since 1970.
        code: The problem's code.
        message: What is wrong, for a person.
        fix: What would help.
    """

    name: str
    state: FileState
    sha256: str
    reading: str
    failed_at: float
    code: str
    message: str
    fix: str


class Damaged(Exception):  # noqa: N818 - a state that is found, and mended by whoever indexes
    """A row is not what was written."""


DOCUMENT_COLUMNS = (
    "name, size_bytes, mtime_ns, ctime_ns, inode, sha256, reading, indexed_at, properties, text, masked_text, spans, "
    "chunks, digest, model, dimensions, vectors, masked_numbers, masked_vectors, vectors_digest"
)
FAILURE_COLUMNS = "name, size_bytes, mtime_ns, ctime_ns, inode, sha256, reading, failed_at, code, message, fix, digest"
_PLAIN_COLUMNS = 13  # those before the digest
_NO_VECTORS: tuple[object, ...] = ("", 0, b"", b"", b"", b"")


def document_row(entry: Entry) -> tuple[object, ...]:
    """The values of `DOCUMENT_COLUMNS`."""
    state = entry.state
    plain = (
        entry.name,
        state.size_bytes,
        state.mtime_ns,
        state.ctime_ns,
        state.inode,
        entry.sha256,
        entry.reading,
        entry.indexed_at,
        orjson.dumps(entry.properties),
        entry.text,
        entry.masked_text,
        orjson.dumps([[span.kind, span.start, span.end, _place(span.place)] for span in entry.spans]),
        orjson.dumps([[chunk.start, chunk.end, _place(chunk.place), chunk.header] for chunk in entry.chunks]),
    )
    return (*plain, _digest(plain), *embedding_values(entry.embedding))


def embedding_values(embedding: Embedding | None) -> tuple[object, ...]:
    """The values of the last columns, from `model` on."""
    if embedding is None:
        return _NO_VECTORS
    import numpy as np  # noqa: PLC0415 - a server starts sooner without it

    numbers = np.array(sorted(embedding.masked), dtype="<i4")
    dimensions = int(embedding.clear.shape[1])
    masked = [embedding.masked[int(number)] for number in numbers]
    values = (
        embedding.model,
        dimensions,
        _bytes(embedding.clear),
        numbers.tobytes(),
        _bytes(np.stack(masked)) if masked else b"",
    )
    return (*values, _digest(values))


def entry_of(row: Sequence[Any], *, checked: bool = False) -> Entry:
    """The document that a row holds.

    Args:
        row: The values of `DOCUMENT_COLUMNS`.
        checked: Whether it is known to be what was written.

    Raises:
        Damaged: when the row is not what `document_row` wrote.
    """
    plain, digest = tuple(row[:_PLAIN_COLUMNS]), row[_PLAIN_COLUMNS]
    if not checked and _digest(plain) != digest:
        raise Damaged
    text: str = row[9]
    return Entry(
        name=row[0],
        state=FileState(*row[1:5]),
        sha256=row[5],
        reading=row[6],
        indexed_at=row[7],
        properties=properties_of(row[8]),
        text=text,
        masked_text=row[10],
        spans=tuple(_span(values) for values in orjson.loads(row[11])),
        chunks=tuple(_chunk(number, values, text) for number, values in enumerate(orjson.loads(row[12]))),
        embedding=_embedding(row[_PLAIN_COLUMNS + 1 :], checked=checked),
    )


def failure_row(failure: Failure) -> tuple[object, ...]:
    """The values of `FAILURE_COLUMNS`."""
    state = failure.state
    plain = (
        failure.name,
        state.size_bytes,
        state.mtime_ns,
        state.ctime_ns,
        state.inode,
        failure.sha256,
        failure.reading,
        failure.failed_at,
        failure.code,
        failure.message,
        failure.fix,
    )
    return (*plain, _digest(plain))


def failure_of(row: Sequence[Any]) -> Failure:
    """The failure that a row holds.

    Raises:
        Damaged: when the row is not what `failure_row` wrote.
    """
    if _digest(tuple(row[:-1])) != row[-1]:
        raise Damaged
    return Failure(row[0], FileState(*row[1:5]), *row[5:-1])


def _digest(values: tuple[object, ...]) -> bytes:
    digest = hashlib.sha256()
    for value in values:
        content = value if isinstance(value, bytes) else orjson.dumps(value)
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.digest()


def _bytes(vectors: Vectors) -> bytes:
    import numpy as np  # noqa: PLC0415 - as above

    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()


def _embedding(values: Sequence[Any], *, checked: bool) -> Embedding | None:
    model, dimensions, clear, numbers, masked, digest = values
    if not model:
        return None
    if not checked and _digest((model, dimensions, clear, numbers, masked)) != digest:
        raise Damaged
    import numpy as np  # noqa: PLC0415 - as above

    rows = _vectors(masked, dimensions)
    at = np.frombuffer(numbers, dtype="<i4")
    return Embedding(model, _vectors(clear, dimensions), {int(number): rows[i] for i, number in enumerate(at)})


def _vectors(content: bytes, dimensions: int) -> Vectors:
    import numpy as np  # noqa: PLC0415 - as above

    return np.frombuffer(content, dtype="<f4").reshape(-1, dimensions)


def _place(place: Place) -> list[object]:
    return [place.page, place.section, place.sheet, place.rows, place.path]


def _place_of(values: Sequence[Any]) -> Place:
    page, section, sheet, rows, path = values
    return Place(page, tuple(section), sheet, None if rows is None else (rows[0], rows[1]), path)


def _span(values: Sequence[Any]) -> Span:
    kind, start, end, place = values
    return Span(BlockKind(kind), start, end, _place_of(place))


def _chunk(number: int, values: Sequence[Any], text: str) -> Chunk:
    start, end, place, header = values
    return Chunk(number, text[start:end], start, end, _place_of(place), header)


def properties_of(content: bytes) -> Properties:
    """The properties in a row's column."""
    fields: dict[str, Any] = orjson.loads(content)
    facts: dict[str, Any] = {
        name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value
        for name, value in fields["facts"].items()
    }
    return Properties(fields["media_type"], fields["pages"], Facts(**facts), fields["reader"], tuple(fields["notes"]))
